"""PNG, JPEG and TIFF to gray values: any depth, palette, alpha, color, orientation."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.imaging.corrections import gray_from_rgb, half_unused, unsigned_white
from hilum.imaging.format import Format, Origin
from hilum.imaging.limits import check_dimensions
from hilum.imaging.raster_structure import (
    check_inflated,
    check_png,
    check_tiff,
    corrupt,
    decode_deep,
    decode_plain,
    jpeg_end,
    trails,
    truncated,
)

__all__ = ["film_of_image", "read_raster"]

Pixels = tuple[NDArray[np.float32], tuple[ReasonCode, ...]]

_ORIENTATION = 0x0112
_MAX_EXIF_BYTES = 65536
"""Largest EXIF block in bytes, that of a JPEG."""
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0


def read_raster(data: bytes, found: Format, origin: Origin) -> Radiograph:
    """Read a film from the bytes of a PNG, JPEG or TIFF.

    The value of white is that of the file's depth: 255 for 1 to 8 bits, 65535 for 16. Where the
    depth does not say it, it is inferred with `RANGE_INFERRED` (see `unsigned_white`). Color of
    16 bits is read in 16 bits. A transparency channel is ignored, as what lies under it is the
    film, with `ALPHA_IGNORED` where any of it is transparent. Bytes after the picture are not read,
    with `TRAILING_BYTES`. An orientation tag is obeyed, with `EXIF_ORIENTATION_APPLIED`.

    Args:
        data: the whole file.
        found: its format, by content.
        origin: where the bytes are from.

    Raises:
        FilmError: for bytes that cannot be decoded or a picture that cannot be a film.
    """
    deep = b""
    if found is Format.PNG:
        png = check_png(data)
        origin = _trailing(origin, png.trailing)
        if png.plain and (values := decode_plain(data, png)) is not None:
            return origin.film(*_integers(values, png.depth, png.significant))
        check_inflated(data, png)
        deep = data if png.deep_color else b""
        return _film(_open(data, found), origin, deep, png.significant)
    if found is Format.TIFF:
        origin = _trailing(origin, check_tiff(data))
        image = _open(data, found)
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,)) if _is_tiff(image) else (8,)
        return _film(image, origin, data if len(bits) > 1 and max(bits) > 8 else b"")
    origin = _trailing(origin, trails(data, jpeg_end(data)))
    return _film(_open(data, found), origin)


def film_of_image(image: Image.Image, origin: Origin) -> Radiograph:
    """A film from an image that Pillow has opened, by the rules of `read_raster`.

    Raises:
        FilmError: for pixels that cannot be decoded or a picture that cannot be a film.
    """
    return _film(image, origin)


def _trailing(origin: Origin, trailing: bool) -> Origin:
    codes = (ReasonCode.TRAILING_BYTES,) if trailing else ()
    return replace(origin, codes=(*origin.codes, *codes))


def _film(
    image: Image.Image, origin: Origin, deep: bytes = b"", significant: int = 0
) -> Radiograph:
    """Return the film of an opened image; `deep` are the bytes of a file in color of 16 bits."""
    check_dimensions(image.height, image.width, 8 if deep else _bytes_a_pixel(image.mode))
    _check_single(image)
    if image.format == "PNG":
        _load(image)  # its EXIF may stand behind its pixels
    way = _orientation(image)
    turned = way in range(2, 9)
    white_is_zero = _white_is_zero(image)
    depth = _declared_bits(image)
    _load(image)
    codes = (ReasonCode.ALPHA_IGNORED,) if _is_see_through(image) else ()
    rgb = (
        decode_deep(deep, len(image.getbands()) if image.format == "TIFF" else 3) if deep else None
    )
    if rgb is not None and rgb.shape[:2] == (image.height, image.width):
        rgb = _turned(rgb, way)
        white, met = unsigned_white(16, int(rgb.max()), significant)
        pixels, colored = gray_from_rgb(rgb, white)
        met += (*colored, *half_unused(pixels))
    else:
        if turned:
            image = ImageOps.exif_transpose(image)
        pixels, met = _gray(image, depth, significant)
    if white_is_zero:
        pixels = np.float32(1.0) - pixels
    if turned:
        codes = (*codes, ReasonCode.EXIF_ORIENTATION_APPLIED)
    return origin.film(pixels, (*met, *codes))


def _turned(rgb: NDArray[np.uint16], way: int) -> NDArray[np.uint16]:
    """Return a picture turned as EXIF's orientation 1 to 8 asks."""
    if way in (5, 6, 7, 8):
        rgb = rgb.swapaxes(0, 1)
    rows, columns = way in (3, 4, 7, 8), way in (2, 3, 6, 7)
    return np.ascontiguousarray(rgb[:: -1 if rows else 1, :: -1 if columns else 1])


def _is_tiff(image: Image.Image) -> TypeGuard[TiffImagePlugin.TiffImageFile]:
    return isinstance(image, TiffImagePlugin.TiffImageFile)


def _is_see_through(image: Image.Image) -> bool:
    """Return whether any pixel is transparent, by an alpha channel or a transparent color."""
    if "A" in image.getbands():
        least = image.getchannel("A").getextrema()[0]
        return isinstance(least, int | float) and least < _OPAQUE
    clear: object = image.info.get("transparency")
    if clear is None:
        return False
    if isinstance(clear, bytes):  # alpha of each index of a palette
        used = image.histogram()
        return any(used[index] for index, alpha in enumerate(clear) if alpha < _OPAQUE)
    values = np.asarray(image)
    same = values == np.asarray(clear)
    return bool((same.all(axis=2) if values.ndim == 3 else same).any())


_OPAQUE = 255


def _open(data: bytes, found: Format) -> Image.Image:
    """Decode the header with the one plugin of the detected format."""
    try:
        return Image.open(io.BytesIO(data), formats=(found.value,))
    except Image.DecompressionBombError:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DIMENSIONS_EXCEED_LIMIT,
            "the header states more pixels than any film has",
        ) from None
    except UnidentifiedImageError as error:
        raise corrupt(f"the {found} header cannot be read") from error
    except (OSError, ValueError) as error:
        raise _decoding_failed(error) from error


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise _decoding_failed(error) from error


def _decoding_failed(error: Exception) -> FilmError:
    """Return the error for Pillow's, which differ only in their text."""
    words = str(error)
    if "MAX_TEXT" in words:
        return FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            "a text chunk inflates past the limit of 1 MB; remove it from the file",
        )
    if "runcated" in words:
        return truncated(words)
    return corrupt(words)


def _bytes_a_pixel(mode: str) -> int:
    """Return bytes of a pixel in Pillow's memory: two channels need as much as four."""
    if mode in ("1", "L", "P"):
        return 1
    return 2 if mode.startswith("I;16") else 4


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation tag; refuse a long block, whose tags may all point at all of it."""
    length = max(len(image.info.get(name, b"")) for name in ("exif", "Raw profile type exif"))
    if length > _MAX_EXIF_BYTES:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            f"an EXIF block may have at most {_MAX_EXIF_BYTES} bytes; this one has {length}",
        )
    return image.getexif().get(_ORIENTATION, 1)


def _check_single(image: Image.Image) -> None:
    try:
        image.seek(1)
    except EOFError:
        return
    image.seek(0)
    raise FilmError(
        Status.REJECT,
        ReasonCode.MULTI_FRAME,
        "a film is one picture; this file holds several. Save the film alone",
    )


def _white_is_zero(image: Image.Image) -> bool:
    """Return whether a TIFF's zero is white and Pillow does not invert it (it does 1 to 8 bits)."""
    if not _is_tiff(image):
        return False
    deep = image.mode.startswith("I") or image.mode == "F"
    return deep and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _declared_bits(image: Image.Image) -> int:
    """Return the bits of a deep unsigned pixel: TIFF can declare 12; a PNG beyond 8 bits has 16."""
    if _is_tiff(image):
        return int(image.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0])
    return 16


def _gray(image: Image.Image, depth: int, significant: int) -> Pixels:
    mode = image.mode
    if mode in ("1", "L", "LA"):
        return _integers(np.asarray(image.convert("L") if mode != "L" else image), 8, significant)
    if mode.startswith("I"):
        return _integers(np.asarray(image), depth, significant)
    if mode == "F":
        return _float(np.asarray(image))
    if mode in ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"):
        pixels, codes = gray_from_rgb(np.asarray(image.convert("RGB")), 255)
        codes = (ReasonCode.COLOR_CONVERTED,) if mode == "CMYK" else codes
        return pixels, (*codes, *half_unused(pixels))
    raise FilmError(
        Status.REJECT,
        ReasonCode.FORMAT_NOT_ALLOWED,
        f"pixels must be gray, palette, RGB or CMYK; got Pillow mode {mode}",
    )


def _integers(values: NDArray[np.integer], depth: int, significant: int = 0) -> Pixels:
    """Return integers as gray, among them Pillow's signed and 32-bit pixels."""
    if values.dtype == np.uint8:
        white, codes = unsigned_white(8, int(values.max()) if significant else 255, significant)
        codes += half_unused(values, white)
        return np.divide(values, np.float32(white), dtype=np.float32), codes
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise FilmError(
            Status.REJECT,
            ReasonCode.BITS_INVALID,
            f"whole-number pixels must lie in 0 to 65535; got {low} to {high}",
        )
    white, codes = unsigned_white(min(depth, 16), high, significant)
    if depth > 16:
        codes = (ReasonCode.RANGE_INFERRED,)
    codes += half_unused(values, white)
    return np.divide(values, np.float32(white), dtype=np.float32), codes


def _float(values: NDArray[np.floating]) -> Pixels:
    """Return float pixels as gray; they do not declare white, so only 0 to 1 is accepted."""
    if not np.isfinite(values).all():
        bad = int(values.size - np.isfinite(values).sum())
        raise FilmError(
            Status.REJECT, ReasonCode.NONFINITE_PIXELS, f"{bad} pixels are NaN or infinite"
        )
    low, high = float(values.min()), float(values.max())
    if low < 0.0 or high > 1.0:
        raise FilmError(
            Status.REJECT,
            ReasonCode.RANGE_AMBIGUOUS,
            f"float pixels must lie in 0 to 1, as their white is unknown; got {low:g} to {high:g}",
        )
    return values.astype(np.float32), (ReasonCode.RANGE_INFERRED, *half_unused(values))
