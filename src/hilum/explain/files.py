"""A picture as the bytes of a file: PNG, which keeps each pixel, or JPEG."""

from __future__ import annotations

import struct
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["PictureFormat", "indexed_png_bytes", "jpeg_bytes", "png_bytes"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _INDEXED = 0, 2, 3
_UP = 2
"""The filter that stores each row as its difference from the row above."""
_LEVEL = 1
_BEGINNING = 16
"""Bytes of a stream that ISA-L's fast loop leaves to its careful one, which ends each block."""


class PictureFormat(StrEnum):
    """File format of heatmap pictures."""

    PNG = "png"
    """Each pixel as it was drawn."""
    JPEG = "jpg"
    """Lossy, for viewing: a sixth of the bytes."""

    def file_bytes(self, rgb: NDArray[np.uint8]) -> bytes:
        r"""Return the file of a picture, (H, W, 3) uint8.

        >>> PictureFormat.JPEG.file_bytes(np.zeros((2, 3, 3), np.uint8))[:2]
        b'\xff\xd8'
        """
        return png_bytes(rgb) if self is PictureFormat.PNG else jpeg_bytes(rgb)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    r"""Return a PNG file of (H, W) gray or (H, W, 3) RGB pixels, by ISA-L's deflate.

    Nothing of the source file travels with it: no text chunks, no EXIF, no time. Each row is stored
    as its difference from the row above: choosing a filter for each row saves no bytes on a film.

    >>> png_bytes(np.zeros((2, 3), np.uint8))[:4]
    b'\x89PNG'
    """
    color = _GRAY if pixels.ndim == 2 else _RGB
    return _png(pixels, color, [])


def indexed_png_bytes(levels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    r"""Return a PNG file of (H, W) levels that are shown in the colors of a palette.

    The levels themselves are stored, so they come back exactly, and the alpha of each color is in
    the file: one byte a pixel for a picture that can lie over another.

    Args:
        levels: the index of each pixel's color.
        palette: (256, 4) uint8, RGBA.

    >>> indexed_png_bytes(np.zeros((2, 3), np.uint8), np.zeros((256, 4), np.uint8))[:4]
    b'\x89PNG'
    """
    colors = [(b"PLTE", palette[:, :3].tobytes()), (b"tRNS", palette[:, 3].tobytes())]
    return _png(levels, _INDEXED, colors)


def _png(pixels: NDArray[np.uint8], color: int, extra: list[tuple[bytes, bytes]]) -> bytes:
    from isal import isal_zlib

    rows, columns = pixels.shape[:2]
    flat = pixels.reshape(rows, -1)
    lines = np.empty((rows, 1 + flat.shape[1]), np.uint8)
    lines[:, 0] = _UP
    lines[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=lines[1:, 1:])
    header = struct.pack(">IIBBBBB", columns, rows, 8, color, 0, 0, 0)
    chunks = ((b"IHDR", header), *extra, (b"IDAT", _deflated(lines)), (b"IEND", b""))
    file = [_SIGNATURE]
    for kind, data in chunks:
        crc = isal_zlib.crc32(data, isal_zlib.crc32(kind))
        file += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", crc)]
    return b"".join(file)


def _deflated(lines: NDArray[np.uint8]) -> bytes:
    """Return the zlib stream of rows; the same bytes each time.

    The fast loop of ISA-L, where it begins a stream, hashes an address of the stack in place of the
    third byte (2.32, levels 0 to 2): once in some thousand processes a first match is lost. So the
    beginning is a block of its own, for which the careful loop is taken.
    """
    from isal import isal_zlib

    stream = isal_zlib.compressobj(_LEVEL)
    data = lines.data.cast("B")
    pieces = [stream.compress(data[:_BEGINNING]), stream.flush(isal_zlib.Z_SYNC_FLUSH)]
    pieces += [stream.compress(data[_BEGINNING:]), stream.flush()]
    return b"".join(pieces)


def jpeg_bytes(pixels: NDArray[np.uint8], quality: int = 92) -> bytes:
    r"""Return a JPEG file of (H, W) gray or (H, W, 3) RGB pixels: a sixth of a PNG's bytes.

    It is for looking at: pixels come back nearly as they were, not quite.

    Args:
        pixels: to write.
        quality: from 1 to 100.

    >>> jpeg_bytes(np.zeros((2, 3), np.uint8))[:2]
    b'\xff\xd8'
    """
    import cv2

    # OpenCV's third channel is red
    pixels = np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[:, :, ::-1])
    written, file = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not written:
        raise ValueError(f"pixels of {pixels.shape} {pixels.dtype} cannot be written as JPEG")
    return file.tobytes()
