import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.imaging.read import read


def drawn(rows: int = 160, columns: int = 140, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth film with all levels from 0 to 255."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 235, rows)[:, None] + rng.integers(0, 21, (rows, columns))
    ramp[0, 0], ramp[-1, -1] = 0, 255
    return ramp.astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, color: int, pixels: bytes, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    parts = [chunk(b"IHDR", head), extra, chunk(b"IDAT", zlib.compress(pixels))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def refusal(data: bytes) -> tuple[Status, ReasonCode]:
    with pytest.raises(FilmError) as caught:
        read(data)
    assert "\n" not in caught.value.message
    return caught.value.status, caught.value.code


def same(film: Radiograph, gray: NDArray[np.uint8], within: float = 1e-6) -> None:
    np.testing.assert_allclose(film.pixels, gray / 255, atol=within)


GREY = drawn()
L = Image.fromarray(GREY)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_8_and_16_bits_of_a_film_are_equal(seed: int, rows: int, columns: int) -> None:
    gray = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    gray[0, 0] = 255
    deep = Image.fromarray(gray.astype(np.uint16) * 257)
    for kind in ("PNG", "TIFF"):
        same(read(encoded(Image.fromarray(gray), kind)), gray)
        same(read(encoded(deep, kind)), gray)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(L, id="L"),
        pytest.param(L.convert("LA"), id="LA"),
        pytest.param(L.convert("RGB"), id="RGB"),
        pytest.param(L.convert("RGBA"), id="RGBA"),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_gray_film_is_the_same_in_every_mode(image: Image.Image, kind: str) -> None:
    film = read(encoded(image, kind))
    same(film, GREY)
    assert film.codes == ()


def test_alpha_is_ignored_whatever_it_says() -> None:
    hidden = Image.merge("LA", [L, Image.new("L", L.size, 0)])
    same(read(encoded(hidden)), GREY)


def test_a_palette_is_looked_up() -> None:
    shuffle = np.random.default_rng(1).permutation(256)
    image = Image.fromarray(np.argsort(shuffle).astype(np.uint8)[GREY])
    indexed = Image.new("P", image.size)
    indexed.frombytes(image.tobytes())
    indexed.putpalette([int(value) for value in shuffle for _ in range(3)])
    same(read(encoded(indexed)), GREY)


def test_a_png_of_indices_without_a_palette_is_an_error() -> None:
    assert refusal(png(1, 1, 3, b"\0\0")) == (Status.ERROR, ReasonCode.PALETTE_MISSING)


def test_12_bits_in_16_are_inferred() -> None:
    film = read(encoded(Image.fromarray(GREY.astype(np.uint16) * 16)))
    assert film.codes == (ReasonCode.RANGE_INFERRED,)
    np.testing.assert_allclose(film.pixels, GREY * (16 / 4095), atol=1e-6)


def test_one_bit() -> None:
    film = read(encoded(L.point(lambda value: 255 * (value > 127)).convert("1")))
    assert set(np.unique(film.pixels)) == {0.0, 1.0}


def test_float_tiff_from_0_to_1() -> None:
    film = read(encoded(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"))
    same(film, GREY)
    assert film.codes == (ReasonCode.RANGE_INFERRED,)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (np.nan, ReasonCode.NONFINITE_PIXELS),
        (np.inf, ReasonCode.NONFINITE_PIXELS),
        (1.5, ReasonCode.RANGE_AMBIGUOUS),
        (-0.5, ReasonCode.RANGE_AMBIGUOUS),
    ],
)
def test_float_tiff_of_unknown_range_is_rejected(value: float, code: ReasonCode) -> None:
    pixels = (GREY / 255).astype(np.float32)
    pixels[3, 4] = value
    assert refusal(encoded(Image.fromarray(pixels), "TIFF")) == (Status.REJECT, code)


def test_whole_numbers_of_32_bits() -> None:
    fits = read(encoded(Image.fromarray(GREY.astype(np.int32) * 257), "TIFF"))
    same(fits, GREY)
    assert fits.codes == (ReasonCode.RANGE_INFERRED,)
    wide = Image.fromarray(GREY.astype(np.int32) * 70_000)
    assert refusal(encoded(wide, "TIFF"))[1] is ReasonCode.BITS_INVALID


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_every_depth_of_a_gray_tiff(bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (6, 16))
    values[0, 0] = (1 << bits) - 1
    packed = "".join(f"{value:0{bits}b}" for value in values.ravel())
    pixels = int(packed, 2).to_bytes(len(packed) // 8, "big")
    if bits == 16:
        pixels = values.astype("<u2").tobytes()
    fields = {256: 16, 257: 6, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 6, 279: len(pixels)}
    tags = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items()]
    directory = struct.pack("<H", len(tags)) + b"".join(tags) + struct.pack("<I", 0)
    film = read(b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory)
    np.testing.assert_allclose(film.pixels, values / ((1 << bits) - 1), atol=1e-6)
    assert film.codes == ()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_every_depth_of_a_gray_png(bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (6, 16))
    values[0, 0] = (1 << bits) - 1
    rows = ["".join(f"{value:0{bits}b}" for value in row) for row in values]
    filtered = b"".join(b"\0" + int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    head = struct.pack(">IIBBBBB", 16, 6, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(filtered)) + chunk(b"IEND", b"")
    film = read(b"\x89PNG\r\n\x1a\n" + parts)
    np.testing.assert_allclose(film.pixels, values / ((1 << bits) - 1), atol=1e-6)
    assert film.codes == ()


@pytest.mark.parametrize("image", [L, Image.fromarray(GREY.astype(np.uint16) * 257)])
def test_a_tiff_whose_zero_is_white_is_inverted_once(image: Image.Image) -> None:
    negative = bytearray(encoded(image, "TIFF"))
    entry = struct.pack("<HHI", 262, 3, 1)
    place = negative.index(entry) + len(entry)
    assert negative[place] == 1
    negative[place] = 0
    same(read(bytes(negative)), 255 - GREY)


def test_orientation_is_obeyed_with_a_warning() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    film = read(encoded(L, "JPEG", quality=95, exif=exif))
    assert film.codes == (ReasonCode.EXIF_ORIENTATION_APPLIED,)
    same(film, np.rot90(GREY, -1), within=0.05)
    in_png = read(encoded(L, "PNG", exif=exif))
    same(in_png, np.rot90(GREY, -1))
    in_tiff = read(encoded(L, "TIFF", tiffinfo={0x0112: 6}))
    assert in_tiff.codes == (ReasonCode.EXIF_ORIENTATION_APPLIED,)
    same(in_tiff, np.rot90(GREY, -1))


def test_color_becomes_luminance() -> None:
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, 256, (150, 150, 3), dtype=np.uint8)
    film = read(encoded(Image.fromarray(rgb)))
    assert film.codes == (ReasonCode.COLOR_CONVERTED,)
    same(film, np.asarray(Image.fromarray(rgb).convert("L")), within=1 / 255)


def test_a_red_arrow_is_an_annotation_and_not_white() -> None:
    rgb = np.stack([GREY] * 3, -1)
    rgb[10:20, 10:40] = 255, 0, 0
    film = read(encoded(Image.fromarray(rgb)))
    assert film.codes == (ReasonCode.COLOR_ANNOTATION,)
    assert film.pixels[15, 20] == pytest.approx(0.299, abs=1e-3)


def test_cmyk_is_converted_with_a_warning() -> None:
    film = read(encoded(L.convert("RGB").convert("CMYK"), "JPEG", quality=95))
    assert film.codes == (ReasonCode.COLOR_CONVERTED,)
    same(film, GREY, within=0.1)


def test_pictures_of_several_frames_are_rejected() -> None:
    more = {"save_all": True, "append_images": [ImageOps.invert(L)]}
    for kind in ("PNG", "TIFF"):
        assert refusal(encoded(L, kind, **more)) == (Status.REJECT, ReasonCode.MULTI_FRAME)


@pytest.mark.parametrize("lost", [1, 12, 100, 2000])
def test_a_cut_png_is_truncated(lost: int) -> None:
    assert refusal(encoded(L)[:-lost]) == (Status.ERROR, ReasonCode.DECODE_TRUNCATED)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_jpeg_or_tiff_is_truncated(kind: str, share: float) -> None:
    data = encoded(L, kind)
    cut = data[: int(len(data) * share)]
    assert refusal(cut) == (Status.ERROR, ReasonCode.DECODE_TRUNCATED)


def test_sizes_are_refused_from_the_header() -> None:
    for side in (12_001, 30_000):
        bomb = png(side, side, 0, b"\0" * 1000)
        assert refusal(bomb) == (Status.REJECT, ReasonCode.DIMENSIONS_EXCEED_LIMIT)


def test_a_text_chunk_that_inflates_is_refused() -> None:
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"A" * 5_000_000, 9))
    assert refusal(png(8, 8, 0, b"\0" * 72, text)) == (Status.REJECT, ReasonCode.DECODE_LIMIT)


def test_tags_that_all_point_at_the_whole_file_are_refused() -> None:
    data = bytearray(encoded(L, "TIFF"))
    start = len(data) + len(data) % 2
    tags = [struct.pack("<HHII", 270, 2, 1 << 20, 0)] * 20
    directory = struct.pack("<H", len(tags)) + b"".join(tags) + struct.pack("<I", 0)
    data[4:8] = struct.pack("<I", start)
    bomb = bytes(data).ljust(start, b"\0") + directory
    assert refusal(bomb) == (Status.REJECT, ReasonCode.DECODE_LIMIT)


def test_long_exif_is_refused() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + b"\0" * 70_000
    assert refusal(encoded(L, exif=exif)) == (Status.REJECT, ReasonCode.DECODE_LIMIT)


def test_text_in_a_png_does_no_harm() -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("PatientName", "<script>alert(1)</script>")
    same(read(encoded(L, pnginfo=note)), GREY)
