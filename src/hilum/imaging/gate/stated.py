"""What the header states: view, age, body part, side."""

from __future__ import annotations

import re

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph, Sex, ViewPosition
from hilum.imaging.gate.rules import GateRules

__all__ = ["check_stated", "has_header"]

OLDEST_YEARS = 120.0
"""An older patient is a slip of the pen, and the age unknown."""

_NOTHING_SAID = frozenset({"", "UNKNOWN", "UNSPECIFIED", "OTHER", "NONE", "NA"})
_OF_DICOM = frozenset(
    {
        ReasonCode.DICOM_NO_PREAMBLE,
        ReasonCode.SECONDARY_CAPTURE,
        ReasonCode.SOP_UID_MISSING,
        ReasonCode.SOP_UID_MISMATCH,
    }
)
_TERMS = re.compile(r"[A-Z]+")


def has_header(film: Radiograph) -> bool:
    """Whether the film came with a header: from DICOM, not from a PNG, JPEG or TIFF.

    A film made in memory counts as such where any of its header's fields is set.
    """
    fields = (
        film.view is not ViewPosition.UNKNOWN,
        film.age_years is not None,
        film.sex is not Sex.UNKNOWN,
        film.spacing_mm is not None,
        bool(film.patient_id or film.laterality or film.body_part or film.sop_instance_uid),
        bool(_OF_DICOM.intersection(film.codes)),
    )
    return any(fields)


def check_stated(film: Radiograph, rules: GateRules) -> tuple[ReasonCode, ...]:
    """Refuse by what the header states; else the reasons to warn.

    Raises:
        FilmError: (reject) `VIEW_NOT_FRONTAL`, `BODY_PART_NOT_CHEST` or `AGE_OUT_OF_SCOPE`.
    """
    if not has_header(film):
        return ()
    codes: list[ReasonCode] = []
    if film.view in (ViewPosition.LL, ViewPosition.OTHER):
        raise FilmError(
            Status.REJECT,
            ReasonCode.VIEW_NOT_FRONTAL,
            f"a film must be frontal (PA or AP); the header says {_in_words(film.view)}",
        )
    _check_body_part(film.body_part, rules)
    age = film.age_years
    if age is None or not 0.0 <= age <= OLDEST_YEARS:
        codes.append(ReasonCode.AGE_UNKNOWN)
    elif age < rules.min_age_years:
        raise FilmError(
            Status.REJECT,
            ReasonCode.AGE_OUT_OF_SCOPE,
            f"the patient must be at least {rules.min_age_years:g} years old; the header says "
            f"{age:.3g}",
        )
    if film.view is ViewPosition.UNKNOWN:
        codes.append(ReasonCode.VIEW_UNKNOWN)
    if film.laterality in ("L", "R"):
        codes.append(ReasonCode.ONE_SIDE_STATED)
    return tuple(codes)


def _check_body_part(stated: str, rules: GateRules) -> None:
    """The first word decides, as "CHEST PA" is a chest; "THORACIC SPINE" and the like are not."""
    words = _TERMS.findall(stated.upper())
    if not words or "".join(words) in _NOTHING_SAID:
        return
    if words[0] in rules.chest_words and "SPINE" not in words:
        return
    raise FilmError(
        Status.REJECT,
        ReasonCode.BODY_PART_NOT_CHEST,
        f"a film must be of the chest; the header says {stated[:40]!r}",
    )


def _in_words(view: ViewPosition) -> str:
    return "lateral or oblique" if view is ViewPosition.LL else "another view"
