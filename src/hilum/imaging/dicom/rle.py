"""RLE Lossless, the DICOM way (PS3.5 annex G): a byte plane a segment, each run-length coded.

Written here, as a run of two bytes stands for up to 128: a decoder without a limit makes of a
small file what fills any memory.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status

__all__ = ["decode_rle"]

_HEADER_BYTES = 64
_NOTHING = 128
"""A run's first byte that says nothing at all."""


def decode_rle(frame: bytes, rows: int, columns: int, planes: int) -> NDArray[np.uint8]:
    """The byte planes of one frame; what follows a full plane is ignored.

    Args:
        frame: the header of 16 numbers, then the segments.
        rows: of the film.
        columns: of the film.
        planes: bytes of a pixel, all its samples.

    Returns:
        (planes, rows, columns): of each sample the highest byte first.

    Raises:
        FilmError: (error) `DECODE_CORRUPT` for another number of planes, `DECODE_TRUNCATED` for a
            plane that ends early.

    Example:
        >>> frame = struct.pack("<16I", 1, 64, *[0] * 14) + bytes([254, 9, 0, 5])
        >>> decode_rle(frame, 2, 2, 1).tolist()
        [[[9, 9], [9, 5]]]
    """
    if len(frame) < _HEADER_BYTES:
        raise _truncated()
    count, *starts = struct.unpack_from("<16I", frame)
    if count != planes:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_CORRUPT,
            f"the header asks for {planes} bytes a pixel; the RLE frame has {count}",
        )
    ends = [*starts[1:planes], len(frame)]
    size = rows * columns
    plain = [_plane(frame[start:end], size) for start, end in zip(starts, ends, strict=False)]
    joined = np.frombuffer(b"".join(plain), np.uint8)
    return joined.reshape(planes, rows, columns)


def _plane(runs: bytes, size: int) -> bytes:
    # No encoder needs more than two bytes for one.
    runs = runs[: 2 * size + 2]
    plain, place = bytearray(), 0
    while place < len(runs) and len(plain) < size:
        first = runs[place]
        if first < _NOTHING:
            plain += runs[place + 1 : place + 2 + first]
            place += 2 + first
        elif first > _NOTHING:
            plain += runs[place + 1 : place + 2] * (257 - first)
            place += 2
        else:
            place += 1
    if len(plain) < size:
        raise _truncated()
    return bytes(plain[:size])


def _truncated() -> FilmError:
    return FilmError(
        Status.ERROR,
        ReasonCode.DECODE_TRUNCATED,
        "the file ends before its picture does: the RLE frame is short; fetch it again",
    )
