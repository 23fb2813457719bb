"""Films of fewer bits than their container look alike in every file; what is too dark says so."""

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from hilum.bundle.source import film_of
from hilum.domain.errors import ReasonCode
from hilum.domain.radiograph import Radiograph
from hilum.imaging.corrections import unsigned_white
from hilum.imaging.dicom.grayscale import Grayscale
from hilum.imaging.read import read

DicomOf = Callable[..., bytes]
INFERRED, UNUSED = ReasonCode.RANGE_INFERRED, ReasonCode.RANGE_UNUSED


def film(bits: int, share: float = 0.98) -> NDArray[np.uint16]:
    """A film of some depth, whose brightest pixel is at a share of its scale."""
    rng = np.random.default_rng(bits)
    ramp = np.linspace(0, 0.9, 160)[:, None] + rng.random((160, 140)) * 0.1
    return np.round(ramp / ramp.max() * share * ((1 << bits) - 1)).astype(np.uint16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(values: NDArray[np.unsignedinteger], color: int, *extra: bytes) -> bytes:
    """A PNG of the depth of its values, of color type 0 (gray), 2, 4 (gray and alpha) or 6."""
    rows, columns = values.shape[:2]
    head = struct.pack(">IIBBBBB", columns, rows, 8 * values.itemsize, color, 0, 0, 0)
    big = values.astype(f">u{values.itemsize}").reshape(rows, -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in big))
    parts = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(values: NDArray[np.unsignedinteger]) -> bytes:
    return cv2.imencode(".tiff", values)[1].tobytes()


def opaque(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.full(values.shape, 65535, np.uint16)


CONTAINERS: dict[str, Callable[[NDArray[np.uint16]], bytes]] = {
    "gray PNG": lambda v: png(v, 0),
    "RGB PNG": lambda v: png(np.stack([v, v, v], 2), 2),
    "gray and alpha PNG": lambda v: png(np.stack([v, opaque(v)], 2), 4),
    "RGBA PNG": lambda v: png(np.stack([v, v, v, opaque(v)], 2), 6),
    "gray TIFF": lambda v: tiff(v),
    "RGB TIFF": lambda v: tiff(np.stack([v, v, v], 2)),
}


def shown_as(read_film: Radiograph, values: NDArray[np.uint16], bits: int) -> bool:
    expected = values / ((1 << bits) - 1)
    return bool(np.allclose(read_film.pixels, expected, atol=1e-6))


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("bits", range(8, 17))
def test_a_depth_looks_the_same_in_every_container(name: str, bits: int) -> None:
    values = film(bits)
    got = read(CONTAINERS[name](values))
    assert shown_as(got, values, bits)
    assert got.codes == ((INFERRED,) if bits < 16 else ())


@pytest.mark.parametrize("bits", range(8, 17))
def test_arrays_and_dicom_of_16_bits_stored_follow_the_same_rule(
    bits: int, dicom_of: DicomOf
) -> None:
    values = film(bits)
    for got in (film_of(values), read(dicom_of(values, 16))):
        assert shown_as(got, values, bits)
        assert got.codes == ((INFERRED,) if bits < 16 else ())
    inverse = read(dicom_of(values, 16, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_allclose(inverse.pixels, 1 - values / ((1 << bits) - 1), atol=1e-6)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 65535))
def test_white_is_the_least_depth_that_holds_the_film(brightest: int) -> None:
    white, codes = unsigned_white(16, brightest)
    assert brightest <= white
    assert (INFERRED in codes) == (brightest < 1 << 15)
    assert white < 2 * brightest or white == 255  # no depth below 8 is inferred


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 15), st.floats(0.01, 1), st.booleans())
def test_a_stated_depth_is_believed_and_a_dark_film_of_it_warned_of(
    bits: int, share: float, marked: bool
) -> None:
    top = (1 << bits) - 1
    values = np.full((160, 140), round(share * top), np.uint16)
    if marked:  # 9 of 22,400 pixels at full scale
        values[:3, :3] = top
    pixels, codes = Grayscale(bits=bits).render(values)
    assert np.allclose(pixels, values / top, atol=1e-6)
    assert codes == ((UNUSED,) if 2 * round(share * top) <= top else ())


def test_a_marker_at_full_scale_does_not_vouch_for_a_film_of_fewer_bits() -> None:
    values = film(14)
    values[:3, :3] = 65535
    for name in CONTAINERS:
        assert read(CONTAINERS[name](values)).codes == (UNUSED,)
    assert film_of(values).codes == (UNUSED,)


@pytest.mark.parametrize("bits", range(9, 16))
def test_sbit_gives_white_where_no_pixel_exceeds_it(bits: int) -> None:
    dark = film(bits, share=0.3)
    stated = chunk(b"sBIT", bytes([bits]))
    got = read(png(dark, 0, stated))
    assert shown_as(got, dark, bits)
    assert got.codes == (INFERRED, UNUSED)
    color = read(png(np.stack([dark] * 3, 2), 2, chunk(b"sBIT", bytes([bits] * 3))))
    np.testing.assert_array_equal(color.pixels, got.pixels)
    scaled = film(16)  # as the PNG standard asks: samples scaled to the full depth
    assert shown_as(read(png(scaled, 0, stated)), scaled, 16)


@pytest.mark.parametrize("shape", [(0, 1), (2, 3)])
def test_a_dark_film_of_8_bits_is_warned_of_and_not_brightened(shape: tuple[int, int]) -> None:
    color, channels = shape
    for top, codes in ((127, (UNUSED,)), (140, ())):
        values = (film(8, share=1.0) * (top / 255)).astype(np.uint8)
        got = read(png(np.squeeze(np.stack([values] * channels, 2)), color))
        assert got.codes == codes
        np.testing.assert_allclose(got.pixels, values / 255, atol=1e-6)


def test_floats_and_arrays_that_pass_no_half_are_warned_of() -> None:
    half = (film(16) / 65535 / 2).astype(np.float32)
    assert film_of(half).codes == (UNUSED,)
    assert film_of(half * 2).codes == ()
    stream = io.BytesIO()
    Image.fromarray(half).save(stream, "TIFF")
    assert read(stream.getvalue()).codes == (INFERRED, UNUSED)
    assert film_of(np.full((40, 40), 90, np.uint8)).codes == (UNUSED,)


def test_a_window_that_shows_no_bright_pixel_is_warned_of(dicom_of: DicomOf) -> None:
    values = film(12)
    dark = {"WindowCenter": 6000, "WindowWidth": 12000}
    assert read(dicom_of(values, 12, **dark)).codes == (UNUSED,)
    negative = dicom_of(values, 12, PhotometricInterpretation="MONOCHROME1", **dark)
    assert read(negative).codes == (UNUSED,)
    assert read(dicom_of(values, 12, WindowCenter=2048, WindowWidth=4096)).codes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_color_is_turned_as_gray_is(orientation: int) -> None:
    values = film(12)
    exif = chunk(b"eXIf", _exif(orientation))
    gray, rgb = png(values, 0, exif), png(np.stack([values] * 3, 2), 2, exif)
    np.testing.assert_array_equal(read(gray).pixels, read(rgb).pixels)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize(("coded", "stated"), [(14, 16), (12, 16), (10, 12), (16, 14), (14, 12)])
def test_the_compressed_picture_knows_its_depth_better_than_the_header(
    syntax: str, coded: int, stated: int, dicom_of: DicomOf
) -> None:
    values = film(coded)
    got = read(altered(dicom_of(values, coded, syntax), stated))
    assert shown_as(got, values, coded)
    assert got.codes == (ReasonCode.BITS_MISMATCH,)
    assert read(dicom_of(values, coded, syntax)).codes == ()


def test_a_codestream_padded_to_more_bits_than_are_used_is_no_mismatch(dicom_of: DicomOf) -> None:
    values = film(12)
    got = read(altered(dicom_of(values, 16, JPEG2000Lossless), 12))
    assert shown_as(got, values, 12)
    assert got.codes == ()


def altered(data: bytes, stated: int) -> bytes:
    """The same file with a different Bits Stored."""
    dataset = dcmread(io.BytesIO(data))
    dataset.BitsStored, dataset.HighBit = stated, stated - 1
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
