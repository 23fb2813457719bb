"""The format of a file, by its first bytes (the suffix is only compared), and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph

__all__ = ["Format", "Origin", "format_of", "suffix_differs"]


class Format(StrEnum):
    """A file format that hilum reads."""

    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"
    DICOM = "DICOM"


_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*")

# Other pictures are outside the intended use; documents are no pictures at all. Neither is ever
# handed to a decoder (Pillow would start Ghostscript for the PostScript ones).
_REFUSED = (
    (b"GIF8", "GIF", Status.REJECT),
    (b"BM", "BMP", Status.REJECT),
    (b"\0\0\0\x0cjP  ", "JPEG 2000", Status.REJECT),
    (b"\xff\x4f\xff\x51", "JPEG 2000", Status.REJECT),
    (b"II+\0", "BigTIFF", Status.REJECT),
    (b"MM\0+", "BigTIFF", Status.REJECT),
    (b"8BPS", "Photoshop", Status.REJECT),
    (b"%!PS", "PostScript", Status.ERROR),
    (b"\xc5\xd0\xd3\xc6", "PostScript", Status.ERROR),
    (b"%PDF", "PDF", Status.ERROR),
)

_SUFFIXES = {
    ".png": Format.PNG,
    ".jpg": Format.JPEG,
    ".jpeg": Format.JPEG,
    ".tif": Format.TIFF,
    ".tiff": Format.TIFF,
    ".dcm": Format.DICOM,
    ".dicom": Format.DICOM,
    ".gif": None,
    ".bmp": None,
    ".webp": None,
    ".jp2": None,
}

_EXPLICIT_VR = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST TM UI UL UN US UT".split()
)


def format_of(data: bytes) -> Format:
    r"""Return the format of a file, by its content.

    Raises:
        FilmError: `EMPTY_FILE`, `FORMAT_NOT_ALLOWED` for a known format that is no film's, or
            `NOT_AN_IMAGE`.

    Example:
        >>> format_of(b"\xff\xd8\xff\xe0")
        <Format.JPEG: 'JPEG'>
        >>> format_of(b"<html>404 Not Found</html>")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: a film must be PNG, JPEG, TIFF or DICOM;
        these bytes are none of them
    """
    if not data:
        raise FilmError(Status.ERROR, ReasonCode.EMPTY_FILE, "the file has 0 bytes")
    if data.startswith(_PNG):
        return Format.PNG
    if data.startswith(_JPEG):
        return Format.JPEG
    # Before TIFF: the first 128 bytes of a DICOM file are free, and whole-slide scanners put a
    # TIFF header there.
    if data[128:132] == b"DICM" or _bare_dicom(data):
        return Format.DICOM
    if data.startswith(_TIFF):
        return Format.TIFF
    refused = _refused(data)
    if refused is not None:
        name, status = refused
        raise FilmError(
            status,
            ReasonCode.FORMAT_NOT_ALLOWED,
            f"a film must be PNG, JPEG, TIFF or DICOM; this file is {name}",
        )
    raise FilmError(
        Status.ERROR,
        ReasonCode.NOT_AN_IMAGE,
        "a film must be PNG, JPEG, TIFF or DICOM; these bytes are none of them",
    )


def suffix_differs(name: str, found: Format) -> bool:
    """Return whether a name has the suffix of a different format; no suffix is fine.

    DICOM files are often named by a UID, so an unknown suffix such as `.113` has no meaning.

    >>> suffix_differs("film.dcm", Format.PNG), suffix_differs("1.2.840.113", Format.DICOM)
    (True, False)
    """
    return _SUFFIXES.get(PurePath(name).suffix.lower(), found) is not found


def _refused(data: bytes) -> tuple[str, Status] | None:
    for magic, name, status in _REFUSED:
        if data.startswith(magic):
            return name, status
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP", Status.REJECT
    if data[4:8] == b"ftyp":
        return "HEIF, AVIF or video", Status.REJECT
    if b"<svg" in data[:1024].lower():
        return "SVG", Status.ERROR
    return None


def _bare_dicom(data: bytes) -> bool:
    """Return whether a data set starts at once, without the 128 bytes and `DICM` in front.

    Its first element is then of group 0002 or 0008, with a VR in letters or a short length.
    """
    group, element = data[0:2], int.from_bytes(data[2:4], "little")
    if len(data) < 8 or group not in (b"\x02\0", b"\x08\0") or element > 0x18:
        return False
    return data[4:6] in _EXPLICIT_VR or int.from_bytes(data[4:8], "little") < 256


@dataclass(frozen=True)
class Origin:
    """The source of a film: its name and the hash of its bytes.

    Attributes:
        name: what the film is called.
        sha256: of its bytes, hex.
        codes: reasons to warn that the name or the bytes gave.
    """

    name: str
    sha256: str = ""
    codes: tuple[ReasonCode, ...] = ()

    def film(self, pixels: NDArray[np.float32], codes: tuple[ReasonCode, ...] = ()) -> Radiograph:
        """Return a film without header, with the codes met in decoding."""
        return Radiograph(pixels, self.name, self.sha256, codes=(*self.codes, *codes))
