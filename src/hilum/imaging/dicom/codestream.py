"""The size that a compressed picture in a DICOM file states, read before it is decoded.

Decoders believe the picture and not the header around it. A damaged or hostile one may state
65,535 rows where the header has 1,000, and take minutes and gigabytes to say so.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.limits import check_dimensions

__all__ = ["Stated", "check_stated", "jpeg2000_states", "jpeg_states"]

_JPEG_2000 = b"\xff\x4f\xff\x51"
_JP2_BOXES_AT_MOST = 4096
_SOF55 = 0xF7
_FRAMES = frozenset((*range(0xC0, 0xD0), _SOF55)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers of JPEG and JPEG-LS; the three are tables and reserved words."""
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers without a length."""
_END_OF_IMAGE, _SCAN = 0xD9, 0xDA
_MARKERS_AT_MOST = 10_000


@dataclass(frozen=True)
class Stated:
    """Size and depth that the header of a compressed picture states.

    Attributes:
        rows, columns, samples: of the picture.
        bits: of a sample.
        process: the start-of-frame marker's second byte; 0 for JPEG 2000.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    process: int = 0


def jpeg_states(frame: bytes) -> Stated:
    """Return the frame header of a JPEG or JPEG-LS.

    Raises:
        FilmError: `DECODE_CORRUPT` (error) where there is none.

    Example:
        >>> jpeg_states(bytes.fromhex("ffd8 ffc3 000b 0c 0100 0200 01 011100"))
        Stated(rows=256, columns=512, samples=1, bits=12, process=195)
    """
    place = 2
    for _ in range(_MARKERS_AT_MOST if frame[:2] == b"\xff\xd8" else 0):
        if place + 10 > len(frame) or frame[place] != 0xFF:
            break
        marker = frame[place + 1]
        if marker in _FRAMES:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, place + 4)
            return Stated(rows, columns, samples, bits, marker)
        if marker in (_SCAN, _END_OF_IMAGE):
            break
        if marker == 0xFF:  # a byte of fill
            place += 1
        elif marker in _ALONE:
            place += 2
        else:
            place += 2 + struct.unpack_from(">H", frame, place + 2)[0]
    raise _corrupt("the compressed picture has no frame header")


def jpeg2000_states(frame: bytes) -> Stated:
    """Return the SIZ marker of a JPEG 2000 codestream, with or without the boxes of a JP2 file.

    Raises:
        FilmError: `DECODE_CORRUPT` (error) where there is none.
    """
    start = frame.find(_JPEG_2000, 0, _JP2_BOXES_AT_MOST)
    if start < 0 or start + 43 > len(frame):
        raise _corrupt("the compressed picture has no frame header")
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    samples, bits = struct.unpack_from(">HB", frame, start + 40)
    return Stated(bottom - top, right - left, samples, (bits & 0x7F) + 1)


def check_stated(stated: Stated, rows: int, columns: int, samples: int, allocated: int) -> None:
    """Compare the compressed picture with the header around it and with the limits.

    Args:
        stated: by the picture.
        rows: as the header has them.
        columns: as the header has them.
        samples: as the header has them.
        allocated: Bits Allocated.

    Raises:
        FilmError: of `check_dimensions`, or `DECODE_CORRUPT` (error) where the two differ.

    Example:
        >>> check_stated(Stated(256, 512, 1, 12), 256, 500, 1, 16)
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: cannot be decoded: the header says 256 x 500 x 1 of 16 bits,
        and the compressed picture 256 x 512 x 1 of 12
    """
    check_dimensions(stated.rows, stated.columns, stated.samples * max(1, allocated // 8))
    same = (stated.rows, stated.columns, stated.samples) == (rows, columns, samples)
    if not same or not 1 <= stated.bits <= allocated:
        raise _corrupt(
            f"the header says {rows} x {columns} x {samples} of {allocated} bits, and the "
            f"compressed picture {stated.rows} x {stated.columns} x {stated.samples} of "
            f"{stated.bits}"
        )


def _corrupt(what: str) -> FilmError:
    return FilmError(Status.ERROR, ReasonCode.DECODE_CORRUPT, f"cannot be decoded: {what}")
