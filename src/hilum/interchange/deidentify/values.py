"""Values: which are valid for their representation, stand-ins, shifted dates, capped ages."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from pydicom.multival import MultiValue

from hilum.interchange.parts.values import valid

__all__ = [
    "DUMMY",
    "NUMBERS",
    "TEXTS",
    "capped_age",
    "dummy",
    "kept_value",
    "listed",
    "shifted",
]

DUMMY = "REMOVED"
NUMBERS = frozenset(["AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"])
"""Representations that are numbers of fixed size and can name nobody."""
TEXTS = frozenset(["AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
"""Representations in which people write."""

_STAND_INS: dict[str, Any] = {
    **dict.fromkeys(TEXTS, DUMMY),
    "CS": DUMMY,
    "UR": "urn:removed",
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "DS": "0",
    "IS": "0",
    **dict.fromkeys(NUMBERS, 0),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), bytes(8)),
}
_NUMBER = re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)? *")
_INTEGER = re.compile(r" *[+-]?\d{1,11} *")
_DATE_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d{2,6})?(\.\d{1,6})?([+-]\d{4})?")
_OLDEST = 90
"""So few people are older that the age alone can name one."""
_SHORT = 64


def dummy(vr: str) -> Any:
    """Return a value that says nothing; None for a representation that has none.

    >>> dummy("LO"), dummy("DA"), dummy("SQ")
    ('REMOVED', '19000101', None)
    """
    return _STAND_INS.get(vr)


def listed(value: Any) -> list[Any]:
    """Return an element's values as a list; empty where it has none.

    >>> listed(None), listed("a"), listed(MultiValue(str, ["a", "b"]))
    ([], ['a'], ['a', 'b'])
    """
    if value is None or (isinstance(value, str | bytes) and not value):
        return []
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def kept_value(vr: str, value: Any) -> Any:
    r"""Return a value that may stay as far as its form goes; None where its form is wrong.

    A form that is wrong is a place to write a name in: a date of `Jane Doe` is not a date.

    >>> kept_value("DA", "20200230"), kept_value("CS", "chest, Jane Doe"), kept_value("IS", "12")
    (None, None, '12')
    """
    if vr in NUMBERS:
        values = listed(value)
        return value if values and not any(isinstance(one, str | bytes) for one in values) else None
    words = [str(one) for one in listed(value)]
    if not words or not all(_well_formed(vr, word) for word in words):
        return None
    return words if len(words) > 1 else words[0]


def _well_formed(vr: str, word: str) -> bool:
    if vr in ("DS", "IS"):
        return len(word) <= 16 and bool((_NUMBER if vr == "DS" else _INTEGER).fullmatch(word))
    if vr == "DT":
        return bool(_DATE_TIME.fullmatch(word.strip())) and _is_date(word.strip()[:8])
    if vr in ("AS", "CS", "DA", "LO", "PN", "SH", "TM", "UI"):
        return not word.strip() or bool(valid(vr, word))
    return vr in TEXTS and len(word) <= _SHORT and word.isprintable()


def _is_date(word: str) -> bool:
    return len(word) < 8 or bool(valid("DA", word))


def shifted(vr: str, value: Any, days: int) -> Any:
    """Return dates moved by some days; None where they are no dates, or the calendar ends.

    A time of day stays: it moves with its date. An offset from UTC goes.

    >>> shifted("DA", "20200301", -1), shifted("DT", "20200301101112.5+0100", -1)
    ('20200229', '20200229101112.5')
    """
    if vr == "TM":
        return kept_value(vr, value)
    moved = [_moved(vr, str(one).strip(), days) for one in listed(value)]
    if not moved or any(one is None for one in moved):
        return None
    return moved if len(moved) > 1 else moved[0]


def _moved(vr: str, word: str, days: int) -> str | None:
    digits = word[:8]
    if len(digits) < 8 or not valid("DA", digits):
        return None
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) + timedelta(days=days)
    except OverflowError:
        return None
    written = f"{day:%Y%m%d}".zfill(8)
    if vr == "DA":
        return written if len(word) == 8 else None
    if vr != "DT" or not _DATE_TIME.fullmatch(word):
        return None
    return written + re.sub("[+-].*", "", word[8:])


def capped_age(value: Any) -> str | None:
    """Return an age of at most 90 years, which stands for all above 89; None for no age.

    >>> capped_age("094Y"), capped_age("057Y"), capped_age("57")
    ('090Y', '057Y', None)
    """
    word = valid("AS", str(value)) if not isinstance(value, MultiValue) else ""
    if not word:
        return None
    years = int(word[:3]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[word[3]]
    return f"{_OLDEST:03d}Y" if years >= _OLDEST else word
