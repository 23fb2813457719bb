"""A DICOM file to a film: is it one, can it be decoded, and how its values become gray."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.imaging.corrections import gray_from_rgb, half_unused, squared, unsigned_white
from hilum.imaging.dicom import header
from hilum.imaging.dicom.dataset import has_preamble, integer, parse, text, value_of, verbatim
from hilum.imaging.dicom.identity import IDENTITY, identity_of
from hilum.imaging.dicom.pixels import (
    Decoded,
    check_transfer_syntax,
    decode,
    read_as_native,
)
from hilum.imaging.format import Origin
from hilum.imaging.limits import check_dimensions

__all__ = ["decoded", "read_dicom", "shown"]

FILM_MODALITIES = frozenset({"CR", "DX", "RG"})
"""Computed, digital and conventional radiography. Not CT, MR, US, MG, XA, and not RF."""

_FILM_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1.1",
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DIRECTORY = "1.2.840.10008.1.3.10"
_NO_PICTURE = (
    "1.2.840.10008.5.1.4.1.1.9.",  # waveforms
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.88.",  # structured reports, key object selections
    "1.2.840.10008.5.1.4.1.1.104.",  # encapsulated documents
)
_PALETTE = tuple(
    f"{color}PaletteColorLookupTable{part}"
    for color in ("Red", "Green", "Blue")
    for part in ("Descriptor", "Data")
)
_PHOTOMETRIC = {
    1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    3: ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
}
"""Photometric Interpretations read, by Samples per Pixel."""
_DESCRIPTION = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
"""Elements that every picture's header has, the last being near the pixels."""
_PIXEL_DATA_TAG = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
"""(7FE0,0010) in either byte order."""

Codes = tuple[ReasonCode, ...]


def read_dicom(data: bytes, origin: Origin, identity: bool = False) -> Radiograph:
    """A film from the bytes of a DICOM file, with what its header says of it.

    Every refusal that the header justifies comes before the pixels are decoded.

    Args:
        data: the whole file, with or without its preamble.
        origin: where the bytes are from; the header's names are not used.
        identity: read the DICOM identity too, which names the patient.

    Raises:
        FilmError: for an object that is no film, or a film that cannot be decoded.
    """
    dataset, stored, codes = decoded(data, IDENTITY if identity else ())
    pixels, met = shown(dataset, stored)
    pixels, spacing_mm, stretched = squared(pixels, header.aspect(dataset))
    return Radiograph(
        pixels=pixels,
        source=origin.name,
        sha256=origin.sha256,
        view=header.view(dataset),
        spacing_mm=spacing_mm,
        age_years=header.age_years(dataset),
        sex=header.sex(dataset),
        codes=origin.codes + codes + stored.codes + met + stretched,
        patient_id=verbatim(dataset, "PatientID"),
        orientation=header.orientation(dataset),
        laterality=header.laterality(dataset),
        body_part=text(dataset, "BodyPartExamined"),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        pixels_sha256=hashlib.sha256(np.ascontiguousarray(stored.values).data).hexdigest(),
        header=identity_of(dataset) if identity else None,
    )


def decoded(
    data: bytes, more: tuple[str, ...] = ()
) -> tuple[FileDataset, Decoded, tuple[ReasonCode, ...]]:
    """The elements of a film, its stored values, and reasons to be careful with it.

    Args:
        data: the whole file.
        more: keywords to read beside those that every film needs.

    Raises:
        FilmError: as `read_dicom`.
    """
    dataset = parse(data, more)
    codes: Codes = _check_preamble(data) + _check_object(dataset)
    _check_complete(dataset, data)
    codes += _complete(dataset)
    _check_layout(dataset)
    codes += read_as_native(dataset, _native_bytes(dataset))
    codes += _check_pixel_length(dataset) + _check_identity(dataset)
    if text(dataset, "BurnedInAnnotation") == "YES":
        codes += (ReasonCode.BURNED_IN_ANNOTATION,)
    return dataset, decode(dataset), codes


def _reject(code: ReasonCode, message: str) -> FilmError:
    return FilmError(Status.REJECT, code, message)


def _sop_class(dataset: FileDataset) -> str:
    return text(dataset.file_meta, "MediaStorageSOPClassUID") or text(dataset, "SOPClassUID")


def _is_secondary(dataset: FileDataset) -> bool:
    return _sop_class(dataset).startswith(_SECONDARY_CAPTURE)


_FOREIGN = (
    *(
        b"MZ",
        b"\x7fELF",
        b"#!",
        b"dex\n",
        b"\0asm",
        b"PK\x03\x04",
        b"Rar!",
        b"7z\xbc\xaf",
        b"\x1f\x8b",
    ),
    *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
    *(b"\xca\xfe\xba\xbe", b"\xd0\xcf\x11\xe0", b"%PDF", b"%!PS", b"<", b"{\\rtf", b"@echo"),
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"ID3", b"OggS", b"SQLite format 3"),
)
"""First bytes of programs, scripts, archives, documents and pictures. Not TIFF, which the standard
allows in the preamble (PS3.10 7.1), and not text, which some scanners leave there."""


def _check_preamble(data: bytes) -> Codes:
    """Return whether the 128 free bytes are those of a film: a program there can be started."""
    if not has_preamble(data):
        return (ReasonCode.DICOM_NO_PREAMBLE,)
    return (ReasonCode.PREAMBLE_FOREIGN,) if data.startswith(_FOREIGN) else ()


def _complete(dataset: FileDataset) -> Codes:
    """Fill in what the header of a picture must state and viewers assume: `HEADER_INCOMPLETE`."""
    color = text(dataset, "PhotometricInterpretation") in _PHOTOMETRIC[3]
    allocated = integer(dataset, "BitsAllocated", 0)
    stored = integer(dataset, "BitsStored", allocated)
    usual = {
        "SamplesPerPixel": 3 if color else 1,
        "PixelRepresentation": 0,
        "BitsStored": stored,
        "HighBit": stored - 1,
    }
    if color:
        usual["PlanarConfiguration"] = 0
    missing = [keyword for keyword in usual if value_of(dataset, keyword) in (None, "")]
    for keyword in missing:
        setattr(dataset, keyword, max(0, usual[keyword]))
    return (ReasonCode.HEADER_INCOMPLETE,) if missing else ()


def _check_object(dataset: FileDataset) -> Codes:
    """Return whether the object is a radiograph, by its class and modality."""
    kind, modality = _sop_class(dataset), text(dataset, "Modality")
    if kind == _DIRECTORY:
        raise FilmError(
            Status.SKIP,
            ReasonCode.DICOMDIR,
            "a directory of DICOM files, whose entries are not followed; give the films themselves",
        )
    film = modality in FILM_MODALITIES or (not modality and kind in _FILM_CLASSES)
    picture = "Rows" in dataset or UID(kind).name.endswith("Image Storage")
    if kind.startswith(_NO_PICTURE) or not (film or picture):
        raise FilmError(
            Status.SKIP,
            ReasonCode.NOT_AN_IMAGE_OBJECT,
            f"a DICOM object without a picture (modality '{modality}', class '{kind}')",
        )
    secondary = _is_secondary(dataset)
    if not film and not (secondary and modality in ("", "OT", "SC")):
        raise _reject(
            ReasonCode.MODALITY_NOT_SUPPORTED,
            f"the modality must be CR, DX or RG; the header says '{modality}', class "
            f"'{UID(kind).name}'",
        )
    if text(dataset, "PresentationIntentType") == "FOR PROCESSING":
        raise _reject(
            ReasonCode.FOR_PROCESSING,
            "a film must be FOR PRESENTATION; this one holds raw detector values",
        )
    return (ReasonCode.SECONDARY_CAPTURE,) if secondary else ()


def _check_complete(dataset: FileDataset, data: bytes) -> None:
    """Distinguish a truncated file from one that never had a picture."""
    if "PixelData" in dataset:
        element = dataset.get_item("PixelData")
        cut = _stated_length(element) > len(element.value or b"")
    else:
        described = all(keyword in dataset for keyword in _DESCRIPTION)
        cut = not described or any(tag in data for tag in _PIXEL_DATA_TAG)
        if not cut:
            raise _reject(ReasonCode.NO_PIXEL_DATA, "the header describes a picture; none follows")
    if cut:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_TRUNCATED,
            "the file ends before its picture does; fetch it again",
        )


def _stated_length(element: object) -> int:
    length = getattr(element, "length", 0)
    return 0 if length == 0xFFFFFFFF else length


def _check_layout(dataset: FileDataset) -> None:
    """Return whether the pixels are of a size, depth and coding that can be decoded."""
    frames = integer(dataset, "NumberOfFrames", 1)
    if frames > 1:
        raise _reject(ReasonCode.MULTI_FRAME, f"a film is one picture; this object has {frames}")
    allocated = integer(dataset, "BitsAllocated", 0)
    photometric, samples = text(dataset, "PhotometricInterpretation"), _samples(dataset)
    bytes_a_pixel = 6 if photometric == "PALETTE COLOR" else samples * max(1, allocated // 8)
    check_dimensions(integer(dataset, "Rows", 0), integer(dataset, "Columns", 0), bytes_a_pixel)
    stored = integer(dataset, "BitsStored", allocated)
    high = integer(dataset, "HighBit", stored - 1)
    if allocated not in (8, 16) or not 1 <= stored <= allocated or high != stored - 1:
        raise _reject(
            ReasonCode.BITS_INVALID,
            "pixels must have 8 or 16 bits allocated, with the stored ones lowest; got "
            f"{allocated} allocated, {stored} stored, high bit {high}",
        )
    if integer(dataset, "PixelRepresentation", 0) not in (0, 1):
        raise _reject(
            ReasonCode.BITS_INVALID,
            "pixels must be unsigned (0) or signed (1); Pixel Representation is "
            f"{integer(dataset, 'PixelRepresentation', 0)}",
        )
    if photometric not in _PHOTOMETRIC.get(samples, ()):
        raise _reject(
            ReasonCode.FORMAT_NOT_ALLOWED,
            f"pixels must be MONOCHROME1 or 2, palette or RGB; got '{photometric}' with "
            f"{samples} samples",
        )
    if photometric == "PALETTE COLOR" and not all(word in dataset for word in _PALETTE):
        raise FilmError(
            Status.ERROR,
            ReasonCode.PALETTE_MISSING,
            "a picture of palette indices must have its palette; this one has none",
        )
    check_transfer_syntax(dataset.file_meta.TransferSyntaxUID)


def _samples(dataset: FileDataset) -> int:
    return integer(dataset, "SamplesPerPixel", 1)


def _native_bytes(dataset: FileDataset) -> int:
    """Return the size of the pixels without compression, by the header."""
    pixels = integer(dataset, "Rows", 0) * integer(dataset, "Columns", 0)
    expected = pixels * _samples(dataset) * (integer(dataset, "BitsAllocated", 0) // 8)
    half = text(dataset, "PhotometricInterpretation") == "YBR_FULL_422"
    return expected * 2 // 3 if half else expected


def _check_pixel_length(dataset: FileDataset) -> Codes:
    """Check that uncompressed pixels have the size that the header implies, or one more byte."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return ()
    expected = _native_bytes(dataset)
    found = len(dataset.PixelData or b"")
    if found < expected:
        raise FilmError(
            Status.ERROR,
            ReasonCode.PIXEL_LENGTH_MISMATCH,
            f"the header asks for {expected} bytes of pixels; the file has {found}",
        )
    return (ReasonCode.PIXEL_LENGTH_MISMATCH,) if found > expected + 1 else ()


def _check_identity(dataset: FileDataset) -> Codes:
    """Return whether the object has one name of its own, in the file's head and in the data set."""
    inside, outside = (
        text(dataset, "SOPInstanceUID"),
        text(dataset.file_meta, "MediaStorageSOPInstanceUID"),
    )
    if not inside:
        return (ReasonCode.SOP_UID_MISSING,)
    return (ReasonCode.SOP_UID_MISMATCH,) if outside not in ("", inside) else ()


def shown(dataset: FileDataset, stored: Decoded) -> tuple[NDArray[np.float32], Codes]:
    """Return the decoded picture as gray values in [0, 1]."""
    photometric, values = text(dataset, "PhotometricInterpretation"), stored.values
    if photometric.startswith("MONOCHROME"):
        signed = integer(dataset, "PixelRepresentation", 0) == 1
        return header.grayscale(dataset, stored.bits, signed).render(values)
    met: Codes = ()
    if photometric == "PALETTE COLOR":
        values = apply_color_lut(values, dataset)
        white = int(np.iinfo(values.dtype).max)
    else:
        values = values.view(f"u{values.dtype.itemsize}")
        white, met = unsigned_white(stored.bits, int(values.max()))
    pixels, codes = gray_from_rgb(values.view(f"u{values.dtype.itemsize}"), white)
    met += half_unused(pixels)
    if ReasonCode.COLOR_CONVERTED in codes:
        raise _reject(
            ReasonCode.MODALITY_NOT_SUPPORTED,
            "a radiograph is gray; this picture is in color all over",
        )
    return pixels, met + codes
