"""Structure of a PNG or TIFF, checked before it is decoded; and a fast decoder for plain PNGs.

The common film is 8 or 16 bits of gray, not interlaced, with nothing beside its pixels that would
change them. For that one there is a decoder that is some three times as fast as Pillow; anything
else, and anything that it cannot decode, goes to Pillow, which reports the fault.
"""

from __future__ import annotations

import contextlib
import operator
import re
import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
from kornia_rs import io as quick
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.limits import check_dimensions

__all__ = [
    "Png",
    "check_inflated",
    "check_png",
    "check_tiff",
    "corrupt",
    "decode_deep",
    "decode_plain",
    "jpeg_end",
    "trails",
    "truncated",
]

_START = 8
_GRAY, _INDEXED = 0, 3
_CHANNELS = {_GRAY: 1, 2: 3, _INDEXED: 1, 4: 2, 6: 4}
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""First column and row, and the steps between them, of each pass of an interlaced PNG."""
# Chunks that leave the pixels as they are. Not among them: palettes, transparency, animation,
# and everything that can hold an orientation (eXIf, and text with EXIF or XMP inside).
_HARMLESS = frozenset(
    (b"IHDR", b"IDAT", b"IEND", b"tIME", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD")
)
_MAX_CHUNKS = 100_000


@dataclass(frozen=True)
class Png:
    """A PNG's header, the kinds of its chunks, and the places of its pixels.

    Attributes:
        rows, columns, depth, color, interlaced: as in the header.
        kinds: of its chunks.
        coded: places of the compressed pixels.
        significant: bits of a sample that are used, as sBIT states them; 0 where it does not.
        trailing: whether more follows the end of the picture.
    """

    rows: int
    columns: int
    depth: int
    color: int
    interlaced: bool
    kinds: frozenset[bytes]
    coded: tuple[slice, ...]
    significant: int = 0
    trailing: bool = False

    @property
    def deep_color(self) -> bool:
        """Whether it has 16 bits and more than one channel, of which Pillow keeps 8."""
        return self.depth == 16 and _CHANNELS.get(self.color, 1) > 1

    @property
    def inflated_bytes(self) -> int:
        """Bytes of the inflated pixels, with one filter byte in each row."""
        bits, size = self.depth * _CHANNELS.get(self.color, 0), 0
        for left, top, across, down in _ADAM7 if self.interlaced else _WHOLE:
            columns = max(0, -(-(self.columns - left) // across))
            rows = max(0, -(-(self.rows - top) // down))
            size += rows * (1 + -(-columns * bits // 8)) if columns else 0
        return size

    @property
    def plain(self) -> bool:
        """Whether it is 8 or 16 bits of gray and nothing else."""
        deep = self.depth in (8, 16) and self.color == _GRAY
        return deep and not self.interlaced and self.kinds <= _HARMLESS


def check_png(data: bytes) -> Png:
    r"""Walk the chunks: decoders accept a PNG without its end, with damage, or without a palette.

    Raises:
        FilmError: (error) `DECODE_TRUNCATED`, `DECODE_CORRUPT` for a chunk that is not what its
            checksum says, `PALETTE_MISSING`; (reject) `DECODE_LIMIT`, or of `check_dimensions`.

    Example:
        >>> check_png(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0dIHDR")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: the file ends before its picture does:
        a PNG must end with its IEND chunk
    """
    view = memoryview(data)
    position, spans, kinds = _START, list[slice](), list[bytes]()
    while True:
        if position + 12 > len(data):
            raise truncated("a PNG must end with its IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise truncated("a PNG must end with its IEND chunk")
        spans.append(slice(position + 4, end - 4))
        if len(spans) > _MAX_CHUNKS:
            raise FilmError(
                Status.REJECT,
                ReasonCode.DECODE_LIMIT,
                f"a PNG may have at most {_MAX_CHUNKS} chunks; this one has more",
            )
        kinds.append(kind)
        position = end
        if kind == b"IEND":
            break
    for span in spans:
        if zlib.crc32(view[span]) != int.from_bytes(view[span.stop : span.stop + 4], "big"):
            raise corrupt("a chunk is not what its checksum says")
    coded = [
        slice(span.start + 4, span.stop)
        for span, kind in zip(spans, kinds, strict=True)
        if kind == b"IDAT"
    ]
    stated = next((span for span, kind in zip(spans, kinds, strict=True) if kind == b"sBIT"), None)
    png = _header(data, frozenset(kinds), tuple(coded))
    return replace(
        png,
        significant=0 if stated is None or png.color == _INDEXED else _significant(data, stated),
        trailing=trails(data, position),
    )


def _significant(data: bytes, span: slice) -> int:
    """Return the bits of the first channel; those of color are the same in a film."""
    return data[span.start + 4] if span.stop > span.start + 4 else 0


def trails(data: bytes, end: int) -> bool:
    r"""Return whether more than filling follows the end of a picture, such as a different file.

    >>> trails(b"film\0\0", 4), trails(b"filmPK", 4)
    (False, True)
    """
    rest = memoryview(data)[end:]
    return bool(rest) and bool(bytes(rest).strip(_FILLING))


_FILLING = b"\0\xff \t\r\n"
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""In coded JPEG data, bytes of 0xFF are followed by 0 or a restart marker."""


def jpeg_end(data: bytes) -> int:
    """Return where a JPEG ends, after its end-of-image marker; the length if it has none.

    Thumbnails in its segments are passed over by the segments' lengths.
    """
    place = 2
    while found := _NEXT_MARKER.search(data, place):
        marker, place = data[found.end() - 1], found.end()
        if marker == _END_OF_IMAGE:
            return place
        if marker != _ALONE_IN_JPEG and place + 2 <= len(data):
            place += int.from_bytes(data[place : place + 2], "big")
    return len(data)


_END_OF_IMAGE, _ALONE_IN_JPEG = 0xD9, 0x01


def decode_deep(data: bytes, channels: int) -> NDArray[np.uint16] | None:
    """Decode a color picture of 16 bits a channel, of which Pillow would drop the lower 8.

    Args:
        data: the whole PNG or TIFF.
        channels: 3 or more are color and alpha; 2 are gray and alpha.

    Returns:
        (H, W, 3) red, green, blue; None where it is not decoded as such.
    """
    import cv2

    with contextlib.suppress(cv2.error):
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is not None and decoded.dtype == np.uint16 and decoded.ndim == 3:
            rgb = decoded[..., 2::-1] if channels > 2 else decoded[..., :1].repeat(3, axis=2)
            return np.ascontiguousarray(rgb, np.uint16)
    return None


def decode_plain(data: bytes, png: Png) -> NDArray[np.uint8] | NDArray[np.uint16] | None:
    """Decode a plain film with the fast decoder; return None where Pillow must report the fault.

    Returns:
        (H, W) of 8 or 16 bits, the same numbers as Pillow's.

    """
    try:
        decode = quick.decode_image_png_u8 if png.depth == 8 else quick.decode_image_png_u16
        decoded: NDArray[np.uint8] | NDArray[np.uint16] = decode(
            data, (png.rows, png.columns), "mono"
        )
    except Exception:
        return None
    return decoded[..., 0]


def check_inflated(data: bytes, png: Png) -> None:
    """Check that there are pixels for every row; Pillow leaves missing rows black.

    Anything else that is wrong is left to Pillow.

    Raises:
        FilmError: `DECODE_TRUNCATED` (error).
    """
    inflater, left = zlib.decompressobj(), png.inflated_bytes
    try:
        for span in png.coded:
            left -= len(inflater.decompress(memoryview(data)[span], max(1, left)))
            if left <= 0:
                return
    except zlib.error:
        return
    raise truncated("rows are missing")


def _header(data: bytes, kinds: frozenset[bytes], coded: tuple[slice, ...]) -> Png:
    length, kind = struct.unpack_from(">I4s", data, _START)
    if kind != b"IHDR" or length != 13:
        raise corrupt("a PNG must start with its IHDR chunk")
    fields = struct.unpack_from(">IIBBBBB", data, _START + 8)
    columns, rows, depth, color, _, _, interlace = fields
    if color == _INDEXED and b"PLTE" not in kinds:
        raise FilmError(
            Status.ERROR,
            ReasonCode.PALETTE_MISSING,
            "a PNG of palette indices must have a palette; this one has none",
        )
    check_dimensions(rows, columns, max(1, _CHANNELS.get(color, 1) * depth // 8))
    return Png(rows, columns, depth, color, interlace != 0, kinds, coded)


def truncated(what: str) -> FilmError:
    """Return the error of a file that ends too early."""
    return FilmError(
        Status.ERROR, ReasonCode.DECODE_TRUNCATED, f"the file ends before its picture does: {what}"
    )


def corrupt(what: str) -> FilmError:
    """Return the error of a file that is damaged."""
    return FilmError(Status.ERROR, ReasonCode.DECODE_CORRUPT, f"cannot be decoded: {what}")


_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8)
_MAX_TAG_BYTES = 16 * 1024**2
"""Largest size of all values of all tags, in bytes; color profiles and notes are far below."""
_MAX_DIRECTORIES = 16


def check_tiff(data: bytes) -> bool:
    r"""Walk the directories: a small file's tags may all point at all of it, and be read each.

    Returns:
        Whether more follows the last byte that a directory, tag or strip uses. Never so where there
        are directories inside tags, which are not followed.

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
    start, seen, size, ends = _place(data, 4, order), set[int](), 0, [8]
    while start and start not in seen and len(seen) < _MAX_DIRECTORIES:
        first, count = start + 2, _count(data, start, order)
        if first + 12 * count > len(data):
            break
        seen.add(start)
        for place in range(first, first + 12 * count, 12):
            kind, values = struct.unpack_from(f"{order}HI", data, place + 2)
            of_tag = values * (_BYTES_OF_TYPE[kind] if kind < len(_BYTES_OF_TYPE) else 0)
            size += of_tag
            ends.append(_place(data, place + 8, order) + of_tag if of_tag > _INLINE_BYTES else 0)
        if size > _MAX_TAG_BYTES:
            raise FilmError(
                Status.REJECT,
                ReasonCode.DECODE_LIMIT,
                f"a TIFF's tags may hold at most {_MAX_TAG_BYTES} bytes; this one's hold {size}",
            )
        ends += [first + 12 * count + 4, _strips_end(data, first, count, order)]
        start = _place(data, first + 12 * count, order)
    if not seen:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_TRUNCATED,
            "the file ends before its picture does: a TIFF must hold the directory its header "
            "points to",
        )
    return trails(data, max(ends))


_INLINE_BYTES = 4
"""Size up to which a tag's values are in the directory, in place of where they are."""
_STRIPS = {273: 279, 324: 325}
"""Tag of the places of strips, or tiles, to that of their lengths."""
_INNER_DIRECTORIES = frozenset({330, 34665, 34853, 40965})


def _strips_end(data: bytes, first: int, count: int, order: str) -> int:
    """Return where the last strip of a directory ends; the file's length where that is unknown."""
    tags = {
        struct.unpack_from(f"{order}H", data, place)[0]: place
        for place in range(first, first + 12 * count, 12)
    }
    if _INNER_DIRECTORIES.intersection(tags):
        return len(data)
    end = 0
    for places, lengths in _STRIPS.items():
        if places in tags:
            starts = _numbers(data, tags[places], order)
            sizes = _numbers(data, tags[lengths], order) if lengths in tags else ()
            if len(starts) != len(sizes):
                return len(data)
            end = max((end, *map(operator.add, starts, sizes)))
    return end


def _numbers(data: bytes, tag: int, order: str) -> tuple[int, ...]:
    """Return a tag's whole numbers; none where they are outside the file or of a different type."""
    kind, values = struct.unpack_from(f"{order}HI", data, tag + 2)
    letter = {3: "H", 4: "I"}.get(kind, "")
    size = values * _BYTES_OF_TYPE[kind] if letter else 0
    place = tag + 8 if size <= _INLINE_BYTES else _place(data, tag + 8, order)
    if not size or place + size > len(data):
        return ()
    return struct.unpack_from(f"{order}{values}{letter}", data, place)


def _place(data: bytes, at: int, order: str) -> int:
    return struct.unpack_from(f"{order}I", data, at)[0] if at + 4 <= len(data) else 0


def _count(data: bytes, at: int, order: str) -> int:
    return struct.unpack_from(f"{order}H", data, at)[0] if at + 2 <= len(data) else len(data)
