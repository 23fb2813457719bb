"""A DICOM file's bytes to the few elements a film needs; a patient's name is never read."""

from __future__ import annotations

import io
import math
import unicodedata
import zlib
from contextlib import suppress
from copy import copy
from typing import Any

from pydicom import dcmread, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.dicom.elements import check_nesting
from hilum.imaging.limits import MAX_INFLATED_BYTES

__all__ = [
    "cleaned",
    "file_bytes",
    "has_preamble",
    "integer",
    "item",
    "number",
    "numbers",
    "parse",
    "parse_whole",
    "text",
    "value_of",
    "verbatim",
]

# fmt: off
_WANTED = [
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "PatientID",
    "Modality", "PresentationIntentType", "BurnedInAnnotation", "BodyPartExamined",
    "ViewPosition", "ViewCodeSequence", "PatientOrientation", "Laterality", "ImageLaterality",
    "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio",
    "PatientAge", "PatientBirthDate", "StudyDate", "PatientSex",
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PlanarConfiguration",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept",
    "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth", "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData",
]
# fmt: on


_MAX_VALUE_BYTES = 256 * 1024
"""Largest value read as words or numbers, in bytes; a full look-up table has half of it."""


def has_preamble(data: bytes) -> bool:
    """Return whether the file starts as PS3.10 asks: 128 bytes, then `DICM`."""
    return data[128:132] == b"DICM"


def parse(data: bytes, more: tuple[str, ...] = ()) -> FileDataset:
    """The elements a film needs, with a transfer syntax; a deflated data set is inflated first.

    pydicom inflates without a limit, so that is done here. Elements not needed, private ones and
    the patient's name among them, are stepped over.

    Args:
        data: the whole file.
        more: keywords to read beside those that every film needs.

    Raises:
        FilmError: `DECODE_LIMIT` (reject) or `DECODE_TRUNCATED` (error) for a deflated data set;
            of `check_nesting`.
    """
    meta, start = _meta(data)
    wanted = [*_WANTED, *more]
    syntax = meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        inflated = _inflate(data[start:])
        check_nesting(inflated, 0)
        dataset = dcmread(io.BytesIO(inflated), force=True, specific_tags=wanted)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"):
            setattr(dataset.file_meta, keyword, UID(text(meta, keyword)))
        return dataset
    check_nesting(data, start, little=syntax != ExplicitVRBigEndian)
    dataset = dcmread(io.BytesIO(data), force=True, specific_tags=wanted)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def parse_whole(data: bytes) -> FileDataset:
    """Every element of a DICOM file, with a transfer syntax; to make a different object of it.

    Args:
        data: the whole file; a deflated data set becomes Explicit VR Little Endian.

    Raises:
        FilmError: as `parse`; `DECODE_CORRUPT` (error) for bytes that are no data set.
    """
    meta, start = _meta(data)
    syntax = meta.get("TransferSyntaxUID")
    if syntax is not None and not UID(syntax).is_transfer_syntax:
        raise FilmError(
            Status.REJECT, ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED, "the encoding is not known"
        )
    try:
        if syntax == DeflatedExplicitVRLittleEndian:
            data = _inflate(data[start:])
            start, syntax = 0, ExplicitVRLittleEndian
        check_nesting(data, start, little=syntax != ExplicitVRBigEndian)
        dataset = dcmread(io.BytesIO(data), force=True)
        dataset.file_meta = FileMetaDataset()
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        native = ImplicitVRLittleEndian if implicit else explicit
        coded = syntax is not None and UID(syntax).is_encapsulated
        dataset.file_meta.TransferSyntaxUID = UID(str(syntax)) if coded else native
        with suppress(Exception):  # what stays ambiguous is not kept
            correct_ambiguous_vr(dataset, bool(little))
    except (FilmError, MemoryError):
        raise
    except Exception as error:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_CORRUPT,
            f"a DICOM file must hold elements; reading this one ended in {type(error).__name__}. "
            "Fetch the file again",
        ) from None
    return dataset


def file_bytes(dataset: Dataset) -> bytes:
    """The bytes of the file that a data set would be; as Explicit VR Little Endian by default.

    The data set itself is left as it is.
    """
    written = copy(dataset)
    meta = FileMetaDataset()
    meta.update(getattr(dataset, "file_meta", {}))
    if "TransferSyntaxUID" not in meta:
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written.file_meta = meta
    stream = io.BytesIO()
    dcmwrite(stream, written, enforce_file_format=False)
    data = stream.getvalue()
    return data if has_preamble(data) else bytes(128) + b"DICM" + data


def text(dataset: Dataset, keyword: str) -> str:
    """Return an element as upper-case text without blanks around it, clipped to 64 characters.

    That is what its VR allows a code or UID; "" where the element is absent or empty. What cannot
    be printed becomes "?", since such text stands in messages.
    """
    value = value_of(dataset, keyword)
    words = "" if value is None else str(value).strip(" \0").upper()[:64]
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def verbatim(dataset: Dataset, keyword: str) -> str:
    """Return an element's text, control characters included, clipped to 1,024 characters."""
    value = value_of(dataset, keyword)
    if value is None or isinstance(value, float):
        return ""
    return ("\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value))[:1024]


_LONGEST = 324
"""Characters of a value: a patient name of three component groups of 64, generously."""


def cleaned(value: str) -> str:
    r"""Return a value without control characters and blanks around it, clipped.

    >>> cleaned(" Doe^Jane\n ")
    'Doe^Jane'
    """
    kept = (letter for letter in value if unicodedata.category(letter)[0] != "C")
    return "".join(kept).strip()[:_LONGEST]


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return an element's numbers, NaN for what is no number; empty where it has none."""
    value = value_of(dataset, keyword)
    if value is None or value == "":
        return []
    values = [value] if isinstance(value, str | int | float) else list(value)
    return [_float(one) for one in values]


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """Return the first of an element's numbers, or `default` where it is absent or empty."""
    return next(iter(numbers(dataset, keyword)), default)


def integer(dataset: Dataset, keyword: str, default: int) -> int:
    """Return the first of an element's numbers without its fraction; -1 where it is no number."""
    value = number(dataset, keyword, default)
    return int(value) if math.isfinite(value) else -1


def item(dataset: Dataset, keyword: str) -> Dataset | None:
    """Return the first item of a sequence, or None."""
    sequence = value_of(dataset, keyword)
    return sequence[0] if isinstance(sequence, Sequence) and len(sequence) > 0 else None


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value; pydicom converts it on first access, which may raise anything.

    A senseless value, or one that no film's header has room for, becomes NaN: no number and no
    known word, but not absent either.
    """
    try:
        raw = dataset.get_item(keyword) if keyword in dataset else None
        long = isinstance(raw, RawDataElement) and raw.length > _MAX_VALUE_BYTES
        if long and not keyword.endswith("Sequence"):
            return math.nan
        return dataset.get(keyword)
    except Exception:
        return math.nan


def _float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _meta(data: bytes) -> tuple[Dataset, int]:
    """Return the file meta information (group 0002) and where it ends."""
    stream = io.BytesIO(data)
    stream.seek(132 if has_preamble(data) else 0)
    if data[stream.tell() : stream.tell() + 2] != b"\x02\0":
        return Dataset(), stream.tell()

    def past(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return tag.group != 2

    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=past)
    return meta, stream.tell()


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            f"a deflated data set may inflate to at most {MAX_INFLATED_BYTES} bytes; "
            f"this one of {len(deflated)} bytes is larger",
        )
    if not inflater.eof:
        raise FilmError(
            Status.ERROR, ReasonCode.DECODE_TRUNCATED, "the deflated data set ends too early"
        )
    return inflated
