"""A film's DICOM identity, read only where DICOM output is requested."""

from __future__ import annotations

import math
import unicodedata

from pydicom.dataset import Dataset

from hilum.domain.radiograph import DicomHeader
from hilum.imaging.dicom.dataset import integer, numbers, value_of, verbatim

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
}
"""Field of `DicomHeader` to the keyword of its element."""
IDENTITY = (*_TEXTS.values(), "PatientOrientation")
"""Keywords to be read beside those that a film needs."""
_LONGEST = 324
"""Characters of a value: a patient name of three component groups of 64, generously."""


def identity_of(dataset: Dataset) -> DicomHeader:
    """Return the identity that a data set states; fields that it lacks are empty.

    Args:
        dataset: parsed with `IDENTITY` among the wanted elements.

    >>> identity_of(Dataset()).patient_name
    ''
    """
    return DicomHeader(
        **{field: _clean(verbatim(dataset, keyword)) for field, keyword in _TEXTS.items()},
        rows=integer(dataset, "Rows", 0),
        columns=integer(dataset, "Columns", 0),
        pixel_spacing_mm=_spacing(dataset),
        patient_orientation=_orientation(dataset),
    )


def _clean(value: str) -> str:
    kept = (letter for letter in value if unicodedata.category(letter)[0] != "C")
    return "".join(kept).strip()[:_LONGEST]


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        values = numbers(dataset, keyword)
        if len(values) == 2 and all(math.isfinite(value) and value > 0 for value in values):
            return values[0], values[1]
    return None


def _orientation(dataset: Dataset) -> tuple[str, ...]:
    if value_of(dataset, "PatientOrientation") is None:
        return ()
    words = verbatim(dataset, "PatientOrientation").split("\\")
    return tuple(word for word in map(_clean, words) if word and len(word) <= 16)
