"""Hostile heads through `hilum deidentify`: a row each, never a crash, never an export that names.

Heads are built element by element as bytes, since pydicom would not write most of them. Each holds
the canary where the attack is, and often beside it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset

import hilum
from hilum.domain.errors import ReasonCode
from hilum.interchange.parts.modules import file_bytes, new_file
from hilum.phantom.film import draw_example

CANARY = b"CANARY-8812"
TRACES = (b"CANARY", b"Canary", "CANARY".encode("utf-16-le"), "CANARY".encode("utf-16-be"))
LONG = (b"OB", b"OW", b"UN", b"SQ", b"UT", b"UC", b"UR", b"OF", b"OD")
CRASHES = (ReasonCode.DECODER_CRASHED.value, ReasonCode.TIMEOUT.value)
SIDE = 256
PATIENT_ID, PATIENT_NAME, CHARACTER_SET = 0x00100020, 0x00100010, 0x00080005
OF_REQUEST = 0x00400275
UNDEFINED = 0xFFFFFFFF


@pytest.fixture(scope="module")
def base() -> FileDataset:
    """A film of the canary patient that leaves as it is."""
    made = new_file()
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.9.1", "1.9.2"
    made.SOPInstanceUID = "1.9.3"
    made.SpecificCharacterSet = "ISO_IR 100"
    made.PatientName, made.PatientID = "Canary^Jane", CANARY.decode()
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.Manufacturer = "ACME"
    pixels = draw_example(None, 5, SIDE).pixels
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = np.rint(pixels * 4095).astype("<u2").tobytes()
    return made


def raw(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element in Explicit VR Little Endian, whatever its value and length are."""
    stated = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    form = struct.pack("<HI", 0, stated) if vr in LONG else struct.pack("<H", stated & 0xFFFF)
    return head + form + value


def hostile(base: FileDataset, *elements: tuple[int, bytes], number: int = 0) -> bytes:
    """The film with some elements put in their places, or in place of its own."""
    whole = file_bytes(base)
    own: dict[int, bytes] = {}
    for element in base:
        one = Dataset()
        one.add(element)
        stream = DicomIO(BytesIO())
        stream.is_implicit_VR, stream.is_little_endian = False, True
        write_dataset(stream, one)
        own[int(element.tag)] = stream.parent.getvalue()
    own[0x00080018] = raw(0x00080018, b"UI", f"1.9.3.{number}".encode().ljust(10, b"\0"))
    head = whole[: whole.index(own[0x00080005])]
    pixels = own.pop(0x7FE00010)
    placed: dict[int, bytes] = {**own, **dict(elements)}
    return head + b"".join(placed[tag] for tag in sorted(placed)) + pixels


def nested(depth: int, defined: bool) -> bytes:
    """Sequences in sequences with the canary in the innermost."""
    inner = raw(PATIENT_ID, b"LO", CANARY + b" ")
    if defined:
        for _ in range(depth):
            item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
            inner = raw(OF_REQUEST, b"SQ", item)
        return inner
    opened = raw(OF_REQUEST, b"SQ", b"", UNDEFINED)
    opened += struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    closed = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return opened * depth + inner + closed * depth


def wrong_values() -> Iterator[tuple[str, tuple[int, bytes]]]:
    """Values that their representation cannot hold, most of them the canary."""
    even = CANARY + b" "
    for vr in (
        b"US",
        b"SL",
        b"FD",
        b"AT",
        b"OB",
        b"OW",
        b"UN",
        b"SQ",
        b"DA",
        b"UI",
        b"ZZ",
        b"\0\0",
    ):
        yield f"name-as-{vr.hex()}", (PATIENT_NAME, raw(PATIENT_NAME, vr, even))
    cases = {
        "rows-odd": (0x00280010, b"US", b"\x01\x01\x01"),
        "rows-text": (0x00280010, b"LO", even),
        "date": (0x00080020, b"DA", even),
        "time": (0x00080030, b"TM", even),
        "age": (0x00101010, b"AS", even),
        "uid": (0x0020000D, b"UI", even),
        "integer": (0x00200013, b"IS", even),
        "decimal": (0x00181164, b"DS", even),
        "code": (0x00185101, b"CS", even),
        "modality": (0x00080060, b"CS", even),
        "maker": (0x00080070, b"LO", b"of " + CANARY),
        "spacing-nan": (0x00280030, b"DS", b"NaN\\inf "),
        "name-long": (PATIENT_NAME, b"PN", CANARY * 5000 + b" " * (len(CANARY) * 5000 % 2)),
        "sop-class": (0x00080016, b"UI", even),
        "burned": (0x00280301, b"CS", even),
    }
    for name, (tag, vr, value) in cases.items():
        yield name, (tag, raw(tag, vr, value))
    yield "length-beyond", (PATIENT_ID, raw(PATIENT_ID, b"LO", even, 60000))
    yield "length-huge", (0x00091010, raw(0x00091010, b"UN", even, 0x7FFFFFFF))
    yield "sequence-of-text", (OF_REQUEST, raw(OF_REQUEST, b"SQ", even * 9))
    yield "sequence-open", (OF_REQUEST, raw(OF_REQUEST, b"SQ", even, UNDEFINED))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0x7FFFFFF0)
    yield "item-huge", (OF_REQUEST, raw(OF_REQUEST, b"SQ", item + even))


def character_sets() -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """Character sets that are none, contradict the text, or hold the name themselves."""
    name = b"\x1b$BCANARY\x1b(B^\xff\xfe\x1b$)CCANARY "
    sets = (
        CANARY + b" ",
        b"ISO 2022 IR 87\\ISO_IR 999 ",
        b"ISO_IR 192",
        b"GB18030 ",
        b"\\\\\\\\\\\\\\ ",
        b"ISO 2022 IR 149\\ISO 2022 IR 58\\CANARY",
        b"utf_16_le ",
        b"rot13 ",
        b"\xff\xfe\0\0",
        b"ISO_IR 100\\" * 500,
    )
    for number, words in enumerate(sets):
        even = words + b" " * (len(words) % 2)
        own = (CHARACTER_SET, raw(CHARACTER_SET, b"CS", even))
        yield f"charset-{number}", [own, (PATIENT_NAME, raw(PATIENT_NAME, b"PN", name))]
        comment = (0x00204000, raw(0x00204000, b"LT", "CANARY".encode("utf-16-le") + b"\xff\xff"))
        yield f"charset-{number}-comment", [own, comment]


def private_blocks() -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """Private elements: large, many, without a creator, with the canary for one, and of groups
    that look standard."""
    creator = (0x00090010, raw(0x00090010, b"LO", b"ACME"))
    yield "private-large", [creator, (0x00091001, raw(0x00091001, b"OB", CANARY * 2_000_000))]
    many = [
        (
            0x00110000 | (block << 8) | number,
            raw(0x00110000 | (block << 8) | number, b"LO", b"CANARY"),
        )
        for block in range(0x10, 0x60)
        for number in range(256)
    ]
    yield "private-many", many
    yield "private-no-creator", [(0x00091001, raw(0x00091001, b"UN", CANARY * 2))]
    named = (0x00090010, raw(0x00090010, b"LO", CANARY + b" "))
    yield "private-creator", [named, (0x00091001, raw(0x00091001, b"SQ", nested(20, True)))]
    for tag in (0x00010020, 0x00030020, 0x50003000, 0x60003000, 0xFFFCFFFC, 0x00080000, 0x00100001):
        yield f"odd-{tag:08x}", [(tag, raw(tag, b"OB", CANARY * 2))]


def attacks(base: FileDataset) -> Iterator[tuple[str, bytes]]:
    """Every hostile file by its name."""
    yield "plain", hostile(base)
    for number, (name, element) in enumerate(wrong_values(), start=1):
        yield name, hostile(base, element, number=number)
    for number, (name, elements) in enumerate((*character_sets(), *private_blocks()), start=100):
        yield name, hostile(base, *elements, number=number)
    for number, (depth, defined) in enumerate(
        ((30, False), (33, True), (1000, True), (10_000, False), (10_000, True)), start=200
    ):
        one = (OF_REQUEST, nested(depth, defined))
        yield f"nested-{depth}-{defined}", hostile(base, one, number=number)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 20) + raw(PATIENT_ID, b"LO", CANARY + b" ")
    wide = (OF_REQUEST, raw(OF_REQUEST, b"SQ", item * 10_000))
    yield "wide", hostile(base, wide, number=210)
    whole = hostile(base, number=211)
    edge = len(whole) - 2 * SIDE * SIDE
    for cut in (*range(100, edge, 61), edge + 7):
        yield f"cut-{cut}", whole[:cut]
    chance = random.Random(8812)
    for number in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(132, edge)] = chance.randrange(256)
        yield f"damaged-{number}", bytes(damaged)


def traces(data: bytes) -> list[bytes]:
    return [word for word in TRACES if word in data]


@pytest.mark.slow
def test_hostile_heads_get_a_row_and_name_nobody(base: FileDataset, tmp_path: Path) -> None:
    names: list[str] = []
    films = tmp_path / "films"
    films.mkdir()
    for number, (name, data) in enumerate(attacks(base)):
        names.append(name)
        (films / f"{number:04d}.dcm").write_bytes(data)
        assert name.startswith(("cut", "damaged")) or traces(data), name
    rows = hilum.deidentify([str(films)], tmp_path / "out", key=tmp_path / "key")
    assert len(rows) == len(names) > 130
    found = dict(zip(names, rows, strict=True))
    assert found["plain"].status == "ok"
    assert {row.status for row in rows} <= {"ok", "reject", "error", "skip"}
    assert [name for name, row in found.items() if row.code in CRASHES] == []
    assert found["nested-10000-False"].code == found["nested-10000-True"].code == "DICOM_TOO_DEEP"
    for name, row in found.items():
        if not row.file:
            continue
        path = tmp_path / "out" / row.file
        assert traces(path.read_bytes()) == [], name
        assert "Jane" not in str(dcmread(path)), name
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or traces(path.read_bytes()) == [], path.name
