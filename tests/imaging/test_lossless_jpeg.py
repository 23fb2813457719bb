import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.uid import JPEGLossless, JPEGLosslessSV1

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.dicom.codestream import jpeg_states
from hilum.imaging.dicom.lossless_jpeg import decode_lossless
from hilum.imaging.read import read

DICOM = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "dicom"
SMOOTH = (np.add.outer(np.arange(150), 2 * np.arange(140)) % 256).astype(np.uint16)


def guess(film: NDArray[np.uint16], row: int, column: int, predictor: int, first: int) -> int:
    """T.81 table H.1, pixel by pixel."""
    if row == column == 0:
        return first
    left = int(film[row, column - 1]) if column else 0
    above = int(film[row - 1, column]) if row else 0
    if row == 0:
        return left
    if column == 0:
        return above
    corner = int(film[row - 1, column - 1])
    return (
        left,
        above,
        corner,
        left + above - corner,
        left + ((above - corner) >> 1),
        above + ((left - corner) >> 1),
        (left + above) >> 1,
    )[predictor - 1]


def differences(film: NDArray[np.uint16], predictor: int, first: int) -> list[int]:
    """From -32767 to 32768, modulo 2^16, as the standard has it."""
    rows, columns = film.shape
    return [
        (int(film[row, column]) - guess(film, row, column, predictor, first) + 32767) % 65536
        - 32767
        for row in range(rows)
        for column in range(columns)
    ]


def coded(values: list[int], words: dict[int, str]) -> bytes:
    bits = []
    for value in values:
        size = abs(value).bit_length() if value != 32768 else 16
        bits.append(words[size])
        if 0 < size < 16:
            bits.append(f"{value if value > 0 else value + (1 << size) - 1:0{size}b}")
    joined = "".join(bits)
    joined += "1" * (-len(joined) % 8)
    return int(joined, 2).to_bytes(len(joined) // 8, "big").replace(b"\xff", b"\xff\x00")


def jpeg(
    film: NDArray[np.uint16], bits: int, predictor: int = 1, rows_each: int = 0, shift: int = 0
) -> bytes:
    """A JPEG Lossless picture, written after the standard and not after the decoder."""
    rows, columns = film.shape
    blocks = np.split(film >> shift, range(rows_each, rows, rows_each)) if rows_each else [film]
    if not rows_each:
        blocks = [film >> shift]
    first = 1 << (bits - shift - 1)
    values = [differences(block, predictor, first) for block in blocks]
    counts = Counter(abs(v).bit_length() if v != 32768 else 16 for block in values for v in block)
    # Code lengths: one bit longer for each rarer size; the last two stay clear of all ones.
    order = [size for size, _ in counts.most_common()]
    lengths = [min(place + 1, 8) for place in range(len(order))]
    table = [order[place] for place in range(len(order))]
    if len(order) > 7:  # the rest share 8 + 4 bits
        lengths = [*range(1, 8), *[12] * (len(order) - 7)]
    words, code, length = {}, 0, 0
    for size, wanted in zip(table, lengths, strict=True):
        code <<= wanted - length
        length = wanted
        words[size] = f"{code:0{length}b}"
        code += 1
    tally = bytes(lengths.count(n) for n in range(1, 17))
    huffman = b"\0" + tally + bytes(table)
    parts = [b"\xff\xd8", struct.pack(">HHBHHB3B", 0xFFC3, 11, bits, rows, columns, 1, 1, 0x11, 0)]
    parts.append(struct.pack(">HH", 0xFFC4, 2 + len(huffman)) + huffman)
    if rows_each:
        parts.append(struct.pack(">HHH", 0xFFDD, 4, rows_each * columns))
    parts.append(struct.pack(">HHB2B3B", 0xFFDA, 8, 1, 1, 0, predictor, 0, shift))
    for number, block in enumerate(values):
        if number:
            parts.append(bytes([0xFF, 0xD0 + (number - 1) % 8]))
        parts.append(coded(block, words))
    return b"".join((*parts, b"\xff\xd9"))


def decoded(data: bytes) -> NDArray[np.uint16]:
    return decode_lossless(data, jpeg_states(data))[..., 0]


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_predictor_and_depth(predictor: int, bits: int) -> None:
    film = np.random.default_rng(bits).integers(0, 1 << bits, (23, 17)).astype(np.uint16)
    film[3:9, 2:14] = 1
    np.testing.assert_array_equal(decoded(jpeg(film, bits, predictor)), film)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 7),
    st.integers(0, 5),
    st.integers(0, 3),
)
def test_any_shape_restart_and_point_transform(
    seed: int, rows: int, columns: int, predictor: int, rows_each: int, shift: int
) -> None:
    film = np.random.default_rng(seed).integers(0, 4096, (rows, columns)).astype(np.uint16)
    data = jpeg(film, 12, predictor, rows_each, shift)
    np.testing.assert_array_equal(decoded(data), film >> shift << shift)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
def test_a_film_is_the_same_as_uncompressed(syntax: str, dicom_of: Callable[..., bytes]) -> None:
    film = SMOOTH * 16
    plain = read(dicom_of(film, 12))
    frame = jpeg(film, 12, predictor=1 if syntax == JPEGLosslessSV1 else 4)
    np.testing.assert_array_equal(read(dicom_of(film, 12, syntax, frame)).pixels, plain.pixels)


@pytest.mark.skipif(not DICOM.exists(), reason="no ../shared/data/dicom beside here")
def test_a_real_film_is_the_same_as_its_jpeg_ls_twin() -> None:
    ours, twin = (read(DICOM / f"other_cr_dx__robyoung__RG3_{k}.dcm") for k in ("JPLL", "JLSL"))
    np.testing.assert_array_equal(ours.pixels, twin.pixels)


def test_a_cut_picture_is_truncated() -> None:
    data = jpeg(SMOOTH, 8)
    for kept in (len(data) - 2, len(data) // 2):
        with pytest.raises(FilmError) as caught:
            decoded(data[:kept])
        assert caught.value.code is ReasonCode.DECODE_TRUNCATED
    ended = data[: len(data) // 2] + b"\xff\xd9"
    with pytest.raises(FilmError) as caught:
        decoded(ended)
    assert caught.value.code is ReasonCode.DECODE_TRUNCATED


def test_another_jpeg_under_this_name_is_corrupt(dicom_of: Callable[..., bytes]) -> None:
    frame = jpeg(SMOOTH, 8).replace(b"\xff\xc3", b"\xff\xc0")
    with pytest.raises(FilmError) as caught:
        read(dicom_of(SMOOTH.astype(np.uint8), 8, JPEGLosslessSV1, frame))
    assert (caught.value.status, caught.value.code) == (Status.ERROR, ReasonCode.DECODE_CORRUPT)


DEPTHS = range(1, 17)
SMALL = jpeg(SMOOTH[:20, :20], 8, predictor=5)


@settings(max_examples=200, deadline=None)
@example([(16, 0xDD)])  # its table's length, under a restart interval's marker
@given(st.lists(st.tuples(st.integers(2, len(SMALL) - 1), st.integers(0, 255)), max_size=4))
def test_damage_ends_in_pixels_or_a_reason(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(SMALL)
    for place, value in changes:
        damaged[place] = value
    with suppress(FilmError):
        stated = jpeg_states(bytes(damaged))
        if 1 <= stated.rows * stated.columns * stated.samples <= 10_000 and stated.bits in DEPTHS:
            decode_lossless(bytes(damaged), stated)
