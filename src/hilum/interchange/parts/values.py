"""Values of a source header that are valid for their place; invalid ones are left out.

Real films have a Patient's Age of `81`, a date of `20200230` and a name with a line end. Copied
into a new object, each makes that object invalid, and some archives refuse it.
"""

from __future__ import annotations

import re
from datetime import date

__all__ = ["valid"]

_PATTERNS = {
    "AS": r"\d{3}[DWMY]",
    "CS": r"[A-Z0-9 _]{1,16}",
    "DA": r"\d{8}",
    "LO": r".{1,64}",
    "PN": r"[^=]{0,64}(=[^=]{0,64}){0,2}",
    "SH": r".{1,16}",
    "TM": r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?",
    "UI": r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+",
}
_LONGEST_UID = 64
_COMPONENTS = 5


def valid(vr: str, value: str) -> str:
    r"""Return a value, or "" where it is not a single valid value of its representation.

    Args:
        vr: AS, CS, DA, LO, PN, SH, TM or UI.
        value: as the source has it.

    >>> valid("AS", "057Y"), valid("AS", "81"), valid("DA", "20200230"), valid("LO", "a\\b")
    ('057Y', '', '', '')
    """
    value = value.strip()
    if not value or not value.isprintable() or "\\" in value:
        return ""
    if not re.fullmatch(_PATTERNS[vr], value):
        return ""
    if vr == "DA":
        return value if _is_date(value) else ""
    if vr == "UI":
        return value if len(value) <= _LONGEST_UID else ""
    if vr == "PN":
        groups = value.split("=")
        return value if all(group.count("^") < _COMPONENTS for group in groups) else ""
    return value


def _is_date(value: str) -> bool:
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True
