"""JPEG Lossless (ITU-T T.81 annex H, process 14) in NumPy: differences, Huffman coded, added up.

Where one code starts is only known once the one before it is read. So the length of the code that
would start at *every* bit is looked up at once, and a plain loop then only hops from code to code.
The rest, the differences and most predictors, is done for all pixels or for a whole row together.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.dicom.codestream import Stated

__all__ = ["LOSSLESS", "decode_lossless"]

LOSSLESS = 0xC3
"""The start-of-frame marker of the one process decoded here."""

Codes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""For each 16 bits: length of the code they start with, bits of its difference, and the sum."""
Samples = NDArray[np.uint16]

_HUFFMAN, _RESTARTS, _SCAN, _END = 0xC4, 0xDD, 0xDA, 0xD9
_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_BLOCK = 1 << 16
"""Bytes of code looked up at a time; bounds the memory."""
_NO_CODE = 255
_LONGEST = 32
"""Bits of a code and its difference."""
_MARKERS_AT_MOST, _TABLES_AT_MOST = 10_000, 16


@dataclass
class _Scan:
    """What stands before the coded pixels."""

    tables: dict[int, Codes] = field(default_factory=dict[int, Codes])
    defined: int = 0
    restart: int = 0
    components: tuple[int, ...] = ()
    predictor: int = 0
    shift: int = 0
    coded: bytes = b""


def decode_lossless(frame: bytes, stated: Stated) -> Samples:
    """The pixels of a JPEG Lossless picture.

    Args:
        frame: the whole picture.
        stated: its frame header, checked against the limits.

    Returns:
        (H, W, samples), unsigned.

    Raises:
        FilmError: (error) `DECODE_CORRUPT` or `DECODE_TRUNCATED`; (reject)
            `TRANSFER_SYNTAX_NOT_SUPPORTED` for several scans, or channels with tables of their own.
    """
    scan = _scan(frame, stated.samples)
    row = stated.columns * stated.samples
    if scan.shift >= stated.bits:
        raise _corrupt("a point transform that leaves no bits")
    if scan.restart % stated.columns:
        raise _corrupt("a restart interval must be whole rows")
    rows_each = scan.restart // stated.columns or stated.rows
    table = scan.tables[scan.components[0]]
    first = 1 << (stated.bits - scan.shift - 1)
    parts = _RESTART.split(scan.coded, maxsplit=stated.rows)
    pixels = np.empty((stated.rows, stated.columns, stated.samples), np.uint16)
    for part, top in enumerate(range(0, stated.rows, rows_each)):
        rows = min(rows_each, stated.rows - top)
        if part >= len(parts):
            raise _truncated()
        coded = parts[part].replace(b"\xff\x00", b"\xff")
        differences = _differences(coded, table, rows * row)
        block = differences.reshape(rows, stated.columns, stated.samples)
        for sample in range(stated.samples):
            pixels[top : top + rows, :, sample] = _predicted(
                np.ascontiguousarray(block[..., sample]), scan.predictor, first
            )
    return pixels << np.uint16(scan.shift)


def _scan(frame: bytes, samples: int) -> _Scan:
    """Read the markers up to the coded pixels."""
    scan, place = _Scan(), 2
    for _ in range(_MARKERS_AT_MOST):
        if place + 4 > len(frame):
            break
        marker, length = struct.unpack_from(">HH", frame, place)
        if marker == 0xFFFF:  # a byte of fill
            place += 1
            continue
        body = frame[place + 4 : place + 2 + length]
        if marker < 0xFF00 or length < 2 or len(body) != length - 2:
            break
        place += 2 + length
        if marker & 0xFF == _HUFFMAN:
            _add_tables(scan, body)
        elif marker & 0xFF == _RESTARTS:
            if len(body) != 2:
                raise _corrupt("a restart interval of a wrong length")
            scan.restart = int.from_bytes(body, "big")
        elif marker & 0xFF == _SCAN:
            _begin(scan, body, samples)
            end = _MARKER.search(frame, place)
            if end is None:
                raise _truncated()
            scan.coded = frame[place : end.start()]
            return scan
    raise _corrupt("no scan of coded pixels")


def _begin(scan: _Scan, body: bytes, samples: int) -> None:
    """The scan header: which tables, which predictor."""
    if not body or len(body) != 2 * body[0] + 4:
        raise _corrupt("a scan header of a wrong length")
    scan.components = tuple(tables >> 4 for tables in body[2 : 2 + 2 * body[0] : 2])
    scan.predictor, scan.shift = body[-3], body[-1] & 15
    if body[0] != samples or len(set(scan.components)) != 1:
        raise FilmError(
            Status.REJECT,
            ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED,
            "JPEG Lossless in color is read where its channels share a scan and a table; convert "
            "the film to Explicit VR Little Endian",
        )
    if not 1 <= scan.predictor <= 7 or scan.components[0] not in scan.tables:
        raise _corrupt("a predictor or a table that does not exist")


def _add_tables(scan: _Scan, body: bytes) -> None:
    """Huffman tables: 16 counts of codes by length, then what the codes stand for."""
    place = 0
    while place + 17 <= len(body):
        counts = body[place + 1 : place + 17]
        meant = body[place + 17 : place + 17 + sum(counts)]
        lengths = np.repeat(np.arange(1, 17), np.frombuffer(counts, np.uint8))
        spans = 1 << (16 - lengths)
        scan.defined += 1
        sound = len(meant) == len(lengths) and max(meant, default=0) <= 16
        if not sound or spans.sum() > 1 << 16 or scan.defined > _TABLES_AT_MOST:
            raise _corrupt("a Huffman table that is none")
        # Codes are in the order of their bits, so each takes the next stretch of all 16-bit words.
        length, bits = np.zeros(1 << 16, np.uint8), np.full(1 << 16, _NO_CODE, np.uint8)
        length[: spans.sum()] = np.repeat(lengths, spans)
        bits[: spans.sum()] = np.repeat(np.frombuffer(meant, np.uint8), spans)
        hop = np.where(bits == _NO_CODE, _LONGEST, length + np.where(bits == 16, 0, bits))
        scan.tables[body[place] & 15] = length, bits, hop.astype(np.uint8)
        place += 17 + len(meant)


def _differences(coded: bytes, table: Codes, count: int) -> Samples:
    """The first `count` differences, modulo 2^16."""
    padded = np.frombuffer(coded + b"\xff" * 8, np.uint8).astype(np.uint32)
    words = padded[:-2] << _TWO_BYTES | padded[1:-1] << _BYTE | padded[2:]
    starts = np.empty(count, np.int64)
    found, place = 0, 0
    for block in range(0, len(coded), _BLOCK):
        at_each_bit = words[block : min(block + _BLOCK, len(coded)), None] >> _DOWN & _LOW
        hops, offset = table[2][at_each_bit].tobytes(), 8 * block
        inside, here, end = list[int](), place - offset, len(hops)
        while here < end:
            inside.append(here)
            here += hops[here]
        kept = min(len(inside), count - found)
        starts[found : found + kept] = np.array(inside[:kept], np.int64) + offset
        found, place = found + kept, here + offset
        if found == count:
            break
    if found < count:
        raise _truncated()
    return _values(words, starts, table, 8 * len(coded))


_DOWN = np.arange(8, 0, -1, dtype=np.uint32)
"""From three bytes to the 16 bits that start at each bit of the first."""
_BYTE, _TWO_BYTES, _LOW = np.uint32(8), np.uint32(16), np.uint32(0xFFFF)


def _values(
    words: NDArray[np.uint32], starts: NDArray[np.int64], table: Codes, end: int
) -> Samples:
    """The differences whose codes start at these bits."""

    def bits_at(places: NDArray[np.int64]) -> NDArray[np.uint32]:
        return words[places >> 3] >> (8 - (places & 7)).astype(np.uint32) & _LOW

    code = bits_at(starts)
    length, bits = table[0][code], table[1][code].astype(np.uint32)
    if (bits == _NO_CODE).any():
        raise _corrupt("bits that are no code")
    if int(starts[-1]) + int(length[-1]) + int(bits[-1]) % 16 > end:
        raise _truncated()
    value = (bits_at(starts + length) >> (16 - bits)).astype(np.int32)
    half = np.int32(1) << (bits.astype(np.int32) - 1).clip(0)
    negative = (value < half) & (bits > 0)
    value -= np.where(negative, 2 * half - 1, 0)
    return np.where(bits == 16, 32768, value).astype(np.uint16)


def _predicted(differences: Samples, predictor: int, first: int) -> Samples:
    """Differences (H, W) to samples: the first row from the left, the first column from above."""
    pixels = differences
    pixels[0, :1] += np.uint16(first)
    pixels[0] = np.cumsum(pixels[0], dtype=np.uint16)
    if predictor == 2 or pixels.shape[1] == 1:
        return np.cumsum(pixels, axis=0, dtype=np.uint16)
    if predictor == 1:
        pixels[:, 0] = np.cumsum(pixels[:, 0], dtype=np.uint16)
        pixels[1:] = np.cumsum(pixels[1:], axis=1, dtype=np.uint16)
        return pixels
    if predictor == 4:
        pixels[1:] = np.cumsum(pixels[1:], axis=1, dtype=np.uint16)
        return np.cumsum(pixels, axis=0, dtype=np.uint16)
    pixels[:, 0] = np.cumsum(pixels[:, 0], dtype=np.uint16)
    if predictor in (3, 5):
        for row in range(1, len(pixels)):
            above = pixels[row - 1].astype(np.int32)
            if predictor == 3:
                pixels[row, 1:] += above[:-1].astype(np.uint16)
            else:
                pixels[row, 1:] += (np.diff(above) >> 1).astype(np.uint16)
                pixels[row] = np.cumsum(pixels[row], dtype=np.uint16)
        return pixels
    return _along_diagonals(pixels, predictor)


def _along_diagonals(pixels: Samples, predictor: int) -> Samples:
    """Predictors 6 and 7 need left and above: all pixels of a diagonal are ready together."""
    rows, columns = pixels.shape
    flat = pixels.reshape(-1)
    for diagonal in range(2, rows + columns - 1):
        top = max(1, diagonal - columns + 1)
        bottom = min(rows - 1, diagonal - 1)
        place = top * columns + diagonal - top
        step, count = columns - 1, bottom - top + 1

        def along(start: int, step: int = step, count: int = count) -> NDArray[np.int32]:
            return flat[start : start + step * (count - 1) + 1 : step].astype(np.int32)

        left, above = along(place - 1), along(place - columns)
        if predictor == 6:
            guess = above + ((left - along(place - columns - 1)) >> 1)
        else:
            guess = (left + above) >> 1
        flat[place : place + step * (count - 1) + 1 : step] += guess.astype(np.uint16)
    return pixels


def _truncated() -> FilmError:
    return FilmError(
        Status.ERROR,
        ReasonCode.DECODE_TRUNCATED,
        "the file ends before its picture does: coded pixels are missing; fetch it again",
    )


def _corrupt(what: str) -> FilmError:
    return FilmError(
        Status.ERROR, ReasonCode.DECODE_CORRUPT, f"the JPEG Lossless cannot be decoded: {what}"
    )
