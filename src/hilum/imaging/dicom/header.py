"""Values of a DICOM header: view, patient, spacing and the grayscale pipeline."""

from __future__ import annotations

import math
import re
from datetime import date

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import OLDEST_YEARS, Sex, ViewPosition
from hilum.imaging.corrections import Aspect
from hilum.imaging.dicom.dataset import (
    cleaned,
    item,
    number,
    numbers,
    text,
    value_of,
    verbatim,
)
from hilum.imaging.dicom.grayscale import Grayscale, LookUp, Window, WindowShape

__all__ = [
    "age_years",
    "aspect",
    "grayscale",
    "laterality",
    "orientation",
    "sex",
    "view",
]

# View Code Sequence, SNOMED CT and its older SRT spelling, of PS3.16 CID 4010. Other codes are read
# by their meaning.
_VIEW_CODES = {
    **dict.fromkeys(("272479007", "R-10214"), ViewPosition.PA),
    **dict.fromkeys(("399348003", "R-10206"), ViewPosition.AP),
    **dict.fromkeys(("399067008", "399173006", "R-10236", "399198007", "R-10232"), ViewPosition.LL),
    "399033003": ViewPosition.FRONTAL,
    **dict.fromkeys(
        (
            *("260427002", "399004004", "399006002", "399038007", "399059000", "399061009"),
            *("399110001", "399132005", "399135007", "399160007", "399182000", "399184004"),
            *("399236003", "399312000", "399356000"),
        ),
        ViewPosition.OTHER,
    ),
}

_AGE = re.compile(r"(\d{1,3})([DWMY])")
_AGE_UNITS_A_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_NO_AGE = "999"
"""How some write an age that is not known, in any unit."""
_NO_BIRTH_DATES = (date(1900, 1, 1), date(1899, 12, 30), date(1899, 12, 31))
"""The zero of calendars, which stands where no birth date was entered."""
_DATE = re.compile(r"(\d{4})([./-]?)(\d{2})\2(\d{2})")
"""YYYYMMDD, and with dots as in ACR-NEMA, which PS3.5 asks readers to accept."""


def view(header: Dataset) -> ViewPosition:
    """Return the view by View Position, else View Code Sequence, else Patient Orientation.

    >>> header = Dataset()
    >>> header.ViewPosition = "LEFT LATERAL"
    >>> view(header)
    <ViewPosition.LL: 'LL'>
    >>> header.ViewPosition, header.PatientOrientation = "", ["P", "F"]
    >>> view(header)
    <ViewPosition.LL: 'LL'>
    """
    stated = ViewPosition.from_words(text(header, "ViewPosition"))
    code = item(header, "ViewCodeSequence")
    if stated is ViewPosition.UNKNOWN and code is not None:
        coded = _VIEW_CODES.get(text(code, "CodeValue"))
        stated = coded or ViewPosition.from_words(text(code, "CodeMeaning"))
    if stated is ViewPosition.UNKNOWN:
        return ViewPosition.from_orientation(orientation(header))
    return stated


def sex(header: Dataset) -> Sex:
    """Return Patient's Sex; `UNKNOWN` for O, blank and anything else."""
    word = text(header, "PatientSex")
    return Sex(word) if word in (Sex.FEMALE, Sex.MALE) else Sex.UNKNOWN


def age_years(header: Dataset) -> float | None:
    """Return Patient's Age, else the years between birth and study, else None.

    What cannot be an age, such as 999Y, a birth date of 1900-01-01 or more than 120 years, is none.

    >>> header = Dataset()
    >>> header.PatientAge = "018M"
    >>> age_years(header)
    1.5
    """
    stated = _AGE.fullmatch(text(header, "PatientAge"))
    if stated and stated[1] != _NO_AGE:
        years = int(stated[1]) / _AGE_UNITS_A_YEAR[stated[2]]
        if years <= OLDEST_YEARS:
            return years
    born, studied = _date(header, "PatientBirthDate"), _date(header, "StudyDate")
    if born is None or studied is None or studied < born or born in _NO_BIRTH_DATES:
        return None
    years = (studied - born).days / 365.25
    return years if years <= OLDEST_YEARS else None


def laterality(header: Dataset) -> str:
    """Return the side shown, "L", "R" or "B", of the image, else of its series; "" where none is.

    >>> header = Dataset()
    >>> header.ImageLaterality = "L"
    >>> laterality(header)
    'L'
    """
    word = text(header, "ImageLaterality") or text(header, "Laterality")
    return word if word in ("L", "R", "B") else ""


def aspect(header: Dataset) -> Aspect:
    """Return the distance of pixel centers and a pixel's shape, from it or Pixel Aspect Ratio.

    The distance is that in the patient if calibrated, else at the detector, else on the digitized
    film. At the detector it is larger by the geometric magnification, 5 to 20 %.

    >>> header = Dataset()
    >>> header.ImagerPixelSpacing = [0.2, 0.1]
    >>> aspect(header)
    Aspect(spacing_mm=(0.2, 0.1), ratio=2.0)
    """
    stated = False
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = numbers(header, keyword)
        if _two_lengths(values):
            return Aspect((values[0], values[1]), values[0] / values[1])
        stated |= bool(values) and values != [0.0, 0.0]  # which is how some write "unknown"
    values = numbers(header, "PixelAspectRatio")
    if _two_lengths(values):
        return Aspect(None, values[0] / values[1])
    return Aspect(None, math.nan if stated or values else 1.0)


def _two_lengths(values: list[float]) -> bool:
    return len(values) == 2 and all(math.isfinite(value) and value > 0 for value in values)


def grayscale(header: Dataset, bits: int, signed: bool) -> Grayscale:
    """Return the gray-scale pipeline that the header asks for.

    Raises:
        FilmError: `RESCALE_INVALID` (reject) for a modality LUT that cannot be used.
    """
    modality_item, voi_item = item(header, "ModalityLUTSequence"), item(header, "VOILUTSequence")
    modality = None if modality_item is None else _lookup(modality_item, signed)
    if modality is not None and not modality.valid:
        raise FilmError(
            Status.REJECT,
            ReasonCode.RESCALE_INVALID,
            "a modality LUT must have as many entries as its descriptor says, not all equal",
        )
    return Grayscale(
        bits=bits,
        signed=signed,
        slope=number(header, "RescaleSlope", 1.0),
        intercept=number(header, "RescaleIntercept", 0.0),
        modality=modality,
        voi=None if voi_item is None else _lookup(voi_item, signed),
        window=_window(header),
        inverted=text(header, "PhotometricInterpretation") == "MONOCHROME1"
        or text(header, "PresentationLUTShape") == "INVERSE",
        padding=_padding(header, bits, signed),
    )


def _window(header: Dataset) -> Window | None:
    """Return the first window; one of center and width alone makes an invalid window, not none."""
    if not numbers(header, "WindowCenter") and not numbers(header, "WindowWidth"):
        return None
    word = text(header, "VOILUTFunction")
    return Window(
        center=number(header, "WindowCenter", math.nan),
        width=number(header, "WindowWidth", math.nan),
        shape=WindowShape(word) if word in list(WindowShape) else WindowShape.LINEAR,
    )


def _lookup(table: Dataset, signed: bool) -> LookUp:
    """Return a LUT item; one that contradicts its descriptor has no entries and is not valid."""
    descriptor = numbers(table, "LUTDescriptor")
    if len(descriptor) != 3 or not all(math.isfinite(value) for value in descriptor):
        return LookUp(0, 0, np.zeros(0, np.uint16))
    # The descriptor's VR may be US where SS is meant, and a count of 65536 is written as 0.
    count, first, bits = (int(value) for value in descriptor)
    count = count % 65536 or 65536
    if signed and first > 32767:
        first -= 65536
    entries = _entries(table, count, bits)
    return LookUp(first, bits, entries if entries.size == count else entries[:0])


def _entries(table: Dataset, count: int, bits: int) -> NDArray[np.uint16]:
    data = value_of(table, "LUTData")
    if isinstance(data, bytes):
        packed = bits <= 8 and len(data) in (count, count + 1)
        order = ">" if table.is_little_endian is False else "<"
        kind = np.dtype(np.uint8 if packed else f"{order}u2")
        return np.frombuffer(data[: count * kind.itemsize], kind).astype(np.uint16)
    values = numbers(table, "LUTData")
    if not all(0 <= value <= 65535 for value in values):
        return np.zeros(0, np.uint16)
    return np.array(values, np.uint16)


def _padding(header: Dataset, bits: int, signed: bool) -> tuple[int, int] | None:
    """Return Pixel Padding Value and its Range Limit, in order, in stored values."""
    ends = [
        *numbers(header, "PixelPaddingValue")[:1],
        *numbers(header, "PixelPaddingRangeLimit")[:1],
    ]
    if not numbers(header, "PixelPaddingValue") or not all(math.isfinite(end) for end in ends):
        return None
    whole = [int(end) for end in ends]
    if signed:  # written as US, it stands for the negative number of the same bits
        whole = [end - (1 << 16) if end >= 1 << (bits - 1) else end for end in whole]
    return min(whole), max(whole)


def _date(header: Dataset, keyword: str) -> date | None:
    found = _DATE.fullmatch(text(header, keyword))
    try:
        return date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def orientation(dataset: Dataset) -> tuple[str, ...]:
    """Return Patient Orientation: the directions in which rows and columns run; () where absent."""
    if value_of(dataset, "PatientOrientation") is None:
        return ()
    words = verbatim(dataset, "PatientOrientation").split("\\")
    return tuple(word for word in map(cleaned, words) if word and len(word) <= 16)
