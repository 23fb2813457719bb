"""A DICOM file's bytes to the few elements a film needs; names and ids are never read."""

from __future__ import annotations

import io
import math
import zlib
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset
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
from hilum.imaging.limits import MAX_INFLATED_BYTES

__all__ = ["has_preamble", "item", "number", "numbers", "parse", "text"]

# fmt: off
_WANTED = [
    "SOPClassUID", "Modality", "PresentationIntentType", "BurnedInAnnotation",
    "ViewPosition", "ViewCodeSequence", "PixelSpacing", "ImagerPixelSpacing",
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


def has_preamble(data: bytes) -> bool:
    """Whether the file starts as PS3.10 asks: 128 bytes, then `DICM`."""
    return data[128:132] == b"DICM"


def parse(data: bytes) -> FileDataset:
    """The elements a film needs, with a transfer syntax; a deflated data set is inflated first.

    pydicom inflates without a limit, so that is done here. Elements not needed, private ones and
    the patient's name among them, are stepped over.

    Raises:
        FilmError: `DECODE_LIMIT` (reject) or `DECODE_TRUNCATED` (error) for a deflated data set.
    """
    meta, start = _meta(data)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        dataset = dcmread(io.BytesIO(_inflate(data[start:])), force=True, specific_tags=_WANTED)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if "MediaStorageSOPClassUID" in meta:
            dataset.file_meta.MediaStorageSOPClassUID = UID(text(meta, "MediaStorageSOPClassUID"))
        return dataset
    dataset = dcmread(io.BytesIO(data), force=True, specific_tags=_WANTED)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def text(dataset: Dataset, keyword: str) -> str:
    """An element as upper-case text without blanks around it, clipped to 64 characters.

    That is what its VR allows a code or UID; "" where the element is absent or empty.
    """
    value = _value(dataset, keyword)
    return "" if value is None else str(value).strip().upper()[:64]


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """An element's numbers, NaN for what is none; empty where the element is absent or empty."""
    value = _value(dataset, keyword)
    if value is None or value == "":
        return []
    values = [value] if isinstance(value, str | int | float) else list(value)
    return [_float(one) for one in values]


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """The first of an element's numbers, or `default` where it is absent or empty."""
    return next(iter(numbers(dataset, keyword)), default)


def item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, or None."""
    sequence = _value(dataset, keyword)
    return sequence[0] if isinstance(sequence, Sequence) and len(sequence) > 0 else None


def _value(dataset: Dataset, keyword: str) -> Any:
    """An element's value, converted by pydicom when first asked for, which may raise anything.

    A senseless value becomes NaN: no number and no known word, but not absent either.
    """
    try:
        return dataset.get(keyword)
    except Exception:
        return math.nan


def _float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _meta(data: bytes) -> tuple[Dataset, int]:
    """The file meta information (group 0002) and where it ends."""
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
