"""The identity of a DICOM film and how it is to be shown: what result objects are made from.

It is read only where an output needs it. Values come back by name, without control characters, and
clipped; whether they are valid for their place is for the objects to decide.
"""

from __future__ import annotations

import base64
import math

from pydicom.dataset import Dataset

from hilum.domain.errors import FilmError
from hilum.domain.radiograph import DicomDisplay, DicomHeader, DicomTable
from hilum.imaging.dicom.dataset import cleaned, integer, item, numbers, verbatim
from hilum.imaging.dicom.grayscale import LookUp
from hilum.imaging.dicom.header import grayscale, orientation

__all__ = ["IDENTITY", "identity_of"]

_TEXTS = {
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
    "sop_class_uid": "SOPClassUID",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "patient_age": "PatientAge",
    "referring_physician": "ReferringPhysicianName",
    "modality": "Modality",
    "body_part": "BodyPartExamined",
}
"""Field of `DicomHeader` to the keyword of its element."""
_MOMENTS = ("Content", "Acquisition", "Series", "Study")
"""What the picture's date is taken from, in order."""
IDENTITY = (
    *_TEXTS.values(),
    *(f"{moment}{part}" for moment in _MOMENTS for part in ("Date", "Time")),
    "ProcedureCodeSequence",
)
"""Keywords to be read beside those that a film needs."""


def identity_of(dataset: Dataset) -> DicomHeader:
    """Return the identity that a data set states; fields that it lacks are empty.

    Args:
        dataset: parsed with `IDENTITY` among the wanted elements.

    >>> identity_of(Dataset()).patient_name
    ''
    """
    date, time = _moment(dataset)
    sets = verbatim(dataset, "SpecificCharacterSet").split("\\")
    return DicomHeader(
        **{field: cleaned(verbatim(dataset, keyword)) for field, keyword in _TEXTS.items()},
        rows=integer(dataset, "Rows", 0),
        columns=integer(dataset, "Columns", 0),
        pixel_spacing_mm=_spacing(dataset),
        patient_orientation=orientation(dataset),
        character_set=tuple(map(cleaned, sets)) if any(sets) else (),
        procedure=_procedure(dataset),
        content_date=date,
        content_time=time,
        display=_display(dataset),
    )


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        values = numbers(dataset, keyword)
        if len(values) == 2 and all(math.isfinite(value) and value > 0 for value in values):
            return values[0], values[1]
    return None


def _moment(dataset: Dataset) -> tuple[str, str]:
    """Return the first date there is, with the time beside it."""
    for moment in _MOMENTS:
        date = cleaned(verbatim(dataset, f"{moment}Date"))
        if date:
            return date, cleaned(verbatim(dataset, f"{moment}Time"))
    return "", ""


def _procedure(dataset: Dataset) -> tuple[str, ...]:
    code = item(dataset, "ProcedureCodeSequence")
    if code is None:
        return ()
    parts = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    found = tuple(cleaned(verbatim(code, part)) for part in parts)
    return found if all(found) else ()


def _display(dataset: Dataset) -> DicomDisplay:
    signed = integer(dataset, "PixelRepresentation", 0) == 1
    try:
        shown = grayscale(dataset, integer(dataset, "BitsStored", 8), signed)
    except FilmError:  # a table that cannot be used: such a film is refused for its pixels
        return DicomDisplay(signed=signed)
    window = shown.window
    scaled = math.isfinite(shown.slope) and math.isfinite(shown.intercept) and shown.slope != 0.0
    return DicomDisplay(
        slope=shown.slope if scaled else 1.0,
        intercept=shown.intercept if scaled else 0.0,
        modality=_table(shown.modality),
        voi=_table(shown.voi),
        window=(window.center, window.width, window.shape.value)
        if window is not None and window.valid
        else None,
        inverted=shown.inverted,
        signed=signed,
    )


def _table(found: LookUp | None) -> DicomTable | None:
    if found is None or not found.valid:
        return None
    entries = base64.b64encode(found.entries.astype("<u2").tobytes()).decode("ascii")
    return DicomTable(found.first, found.bits, entries)
