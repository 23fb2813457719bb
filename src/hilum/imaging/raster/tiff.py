"""A TIFF's directory before Pillow reads it: it is there, and its tags are of a sane size."""

from __future__ import annotations

import struct

from hilum.domain.errors import FilmError, ReasonCode, Status

__all__ = ["check_tiff"]

_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8)
_MAX_TAG_BYTES = 16 * 1024**2
"""Of all values of all tags: colour profiles and notes are far below."""
_MAX_DIRECTORIES = 16


def check_tiff(data: bytes) -> None:
    r"""Walk the directories: a small file's tags may all point at all of it, and be read each.

    Raises:
        FilmError: `DECODE_TRUNCATED` (error) where the first directory is missing, `DECODE_LIMIT`
            (reject) where tags hold more than any film's.

    Example:
        >>> check_tiff(b"II*\0" + b"\xff" * 4)
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: the file ends before its picture does:
        a TIFF must hold the directory its header points to
    """
    order = "<" if data.startswith(b"II") else ">"
    start, seen, size = _place(data, 4, order), set[int](), 0
    while start and start not in seen and len(seen) < _MAX_DIRECTORIES:
        first, count = start + 2, _count(data, start, order)
        if first + 12 * count > len(data):
            break
        seen.add(start)
        for place in range(first, first + 12 * count, 12):
            kind, values = struct.unpack_from(f"{order}HI", data, place + 2)
            size += values * (_BYTES_OF_TYPE[kind] if kind < len(_BYTES_OF_TYPE) else 0)
        if size > _MAX_TAG_BYTES:
            raise FilmError(
                Status.REJECT,
                ReasonCode.DECODE_LIMIT,
                f"a TIFF's tags may hold at most {_MAX_TAG_BYTES} bytes; this one's hold {size}",
            )
        start = _place(data, first + 12 * count, order)
    if not seen:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_TRUNCATED,
            "the file ends before its picture does: a TIFF must hold the directory its header "
            "points to",
        )


def _place(data: bytes, at: int, order: str) -> int:
    return struct.unpack_from(f"{order}I", data, at)[0] if at + 4 <= len(data) else 0


def _count(data: bytes, at: int, order: str) -> int:
    return struct.unpack_from(f"{order}H", data, at)[0] if at + 2 <= len(data) else len(data)
