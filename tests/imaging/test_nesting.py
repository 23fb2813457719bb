import io
import struct
import sys
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.dicom import elements
from hilum.imaging.dicom.elements import MAX_DEPTH, check_nesting
from hilum.imaging.read import read

GREY = np.add.outer(np.arange(150), np.arange(140)).astype(np.uint8)


def nested(depth: int, undefined: bool = False) -> Dataset:
    """Content Sequences in one another, to a depth."""
    inner = Dataset()
    inner.CodeValue = "leaf"
    for _ in range(depth):
        outer = Dataset()
        outer.ContentSequence = [inner]
        outer["ContentSequence"].is_undefined_length = undefined
        inner.is_undefined_length_sequence_item = undefined
        inner = outer
    return inner


def written(dataset: Dataset, implicit: bool, little: bool) -> bytes:
    stream = io.BytesIO()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        dcmwrite(stream, dataset, implicit_vr=implicit, little_endian=little)
    finally:
        sys.setrecursionlimit(before)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("implicit", "little"), [(False, True), (True, True), (False, False)], ids=str
)
@pytest.mark.parametrize("undefined", [False, True])
def test_the_depth_is_counted_in_every_encoding(
    implicit: bool, little: bool, undefined: bool
) -> None:
    check_nesting(written(nested(MAX_DEPTH, undefined), implicit, little), 0, little)
    for depth in (MAX_DEPTH + 1, 400):
        with pytest.raises(FilmError) as caught:
            check_nesting(written(nested(depth, undefined), implicit, little), 0, little)
        assert caught.value.code is ReasonCode.DICOM_TOO_DEEP


def test_sequences_side_by_side_are_not_deep() -> None:
    flat = Dataset()
    flat.ContentSequence = [nested(2) for _ in range(100)]
    check_nesting(written(flat, False, True), 0)


def test_a_deep_film_is_refused_and_the_recursion_limit_left(
    dicom_of: Callable[..., bytes],
) -> None:
    opened = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    data = dicom_of(GREY)
    before = sys.getrecursionlimit()
    at = data.index(b"\x10\0\x40\0CS")  # PatientSex
    deep = data[:at] + opened * 900 + data[at:]
    with pytest.raises(FilmError) as caught:
        read(deep)
    assert (caught.value.status, caught.value.code) == (Status.ERROR, ReasonCode.DICOM_TOO_DEEP)
    assert sys.getrecursionlimit() == before


def test_a_deep_deflated_film_is_refused(dicom_of: Callable[..., bytes]) -> None:
    data = dicom_of(GREY)
    end = 144 + struct.unpack("<I", data[140:144])[0]
    meta = data[:end].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta[:140] + struct.pack("<I", len(meta) - 144) + meta[144:]
    meta = meta.replace(b"UI\x14\x001.2.840.10008.1.2.1.99", b"UI\x16\x001.2.840.10008.1.2.1.99")
    opened = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(opened * 900) + squeeze.flush()
    with pytest.raises(FilmError) as caught:
        read(meta + body)
    assert caught.value.code is ReasonCode.DICOM_TOO_DEEP


def test_elements_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_ELEMENTS", 50)
    many = b"\x09\0\x01\x10LO\0\0" * 60
    with pytest.raises(FilmError) as caught:
        check_nesting(many, 0)
    assert caught.value.code is ReasonCode.DECODE_LIMIT
    check_nesting(many[: 8 * 40], 0)
