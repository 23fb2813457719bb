import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging import raster as raster
from hilum.imaging import raster_structure as quick_way
from hilum.imaging.format import Format, Origin
from hilum.imaging.raster_structure import check_png, decode_plain
from hilum.imaging.read import read

START = b"\x89PNG\r\n\x1a\n"
GREY = np.add.outer(np.arange(150), 2 * np.arange(140)).astype(np.uint8)


def encoded(values: NDArray[np.unsignedinteger], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG", **options)  # type: ignore[arg-type]
    return stream.getvalue()


UPRIGHT = Image.Exif()
UPRIGHT[0x0112] = 1


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def made(rows: int, columns: int, depth: int, filtered: bytes, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", columns, rows, depth, 0, 0, 0, 0)
    packed = zlib.compress(filtered)
    middle = len(packed) // 2
    parts = extra, chunk(b"IDAT", packed[:middle]), chunk(b"IDAT", packed[middle:])
    return START + chunk(b"IHDR", head) + b"".join(parts) + chunk(b"IEND", b"")


def refusal(data: bytes) -> tuple[Status, ReasonCode]:
    with pytest.raises(FilmError) as caught:
        read(data)
    return caught.value.status, caught.value.code


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30), st.sampled_from([8, 16]))
def test_both_ways_give_the_same_bits(seed: int, rows: int, columns: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    filtered = rng.integers(0, 256, (rows, 1 + columns * depth // 8), dtype=np.uint8)
    filtered[:, 0] = rng.integers(0, 5, rows)
    data = made(rows, columns, depth, filtered.tobytes())
    quick = decode_plain(data, check_png(data))
    assert quick is not None
    with Image.open(io.BytesIO(data)) as slow:
        np.testing.assert_array_equal(quick, np.asarray(slow))


@pytest.mark.parametrize("values", [GREY, GREY.astype(np.uint16) * 257, GREY.astype(np.uint16)])
def test_a_film_is_the_same_by_both_ways(
    values: NDArray[np.unsignedinteger], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(values)
    quick = read(data)
    monkeypatch.setattr(raster, "decode_plain", lambda *_: None)
    slow = read(data)
    np.testing.assert_array_equal(quick.pixels, slow.pixels)
    assert (quick.codes, quick.shape) == (slow.codes, slow.shape)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(GREY, exif=UPRIGHT), id="exif"),
        pytest.param(encoded(np.stack([GREY] * 3, -1)), id="rgb"),
        pytest.param(encoded(GREY, transparency=3), id="transparency"),
        pytest.param(encoded(GREY > 100), id="1 bit"),
    ],
)
def test_what_is_not_plain_goes_to_pillow(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(raster, "decode_plain")
    assert raster.read_raster(data, Format.PNG, Origin("a")).shape == GREY.shape


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_no_changed_byte_passes(place: float, change: int) -> None:
    data = bytearray(encoded(GREY))
    data[int(8 + place * (len(data) - 8))] ^= change
    status, code = refusal(bytes(data))
    assert status is Status.ERROR
    assert code in (ReasonCode.DECODE_CORRUPT, ReasonCode.DECODE_TRUNCATED)


@pytest.mark.parametrize("color", [0, 2, 3, 4, 6])
@pytest.mark.parametrize("interlace", [0, 1])
def test_a_missing_row_is_told(color: int, interlace: int) -> None:
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    head = struct.pack(">IIBBBBB", 11, 13, 8, color, 0, 0, interlace)
    passes = [(2, 2), (1, 2), (3, 2), (3, 4), (6, 3), (5, 7), (11, 6)] if interlace else [(11, 13)]
    filtered = b"".join((b"\0" + b"\1" * columns * channels) * rows for columns, rows in passes)

    def png(kept: int) -> bytes:
        pixels = chunk(b"IDAT", zlib.compress(filtered[:kept]))
        palette = chunk(b"PLTE", bytes(range(9)))
        return START + chunk(b"IHDR", head) + palette + pixels + chunk(b"IEND", b"")

    assert read(png(len(filtered))).shape == (13, 11)
    assert refusal(png(len(filtered) - 5)) == (Status.ERROR, ReasonCode.DECODE_TRUNCATED)


def test_a_filter_that_is_none_is_told() -> None:
    unknown = made(20, 20, 8, b"\x07" * 21 * 20)
    assert refusal(unknown) == (Status.ERROR, ReasonCode.DECODE_CORRUPT)


def test_sizes_and_chunks_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(made(100, 12_001, 8, b"")) == (
        Status.REJECT,
        ReasonCode.DIMENSIONS_EXCEED_LIMIT,
    )
    monkeypatch.setattr(quick_way, "_MAX_CHUNKS", 5)
    filtered = b"\0" * 21 * 20
    assert read(made(20, 20, 8, filtered, chunk(b"tIME", b"\0" * 7))).shape == (20, 20)
    many = made(20, 20, 8, filtered, chunk(b"tIME", b"\0" * 7) * 2)
    assert refusal(many) == (Status.REJECT, ReasonCode.DECODE_LIMIT)


def test_the_header_comes_first() -> None:
    assert refusal(START + chunk(b"IEND", b"")) == (Status.ERROR, ReasonCode.DECODE_CORRUPT)
