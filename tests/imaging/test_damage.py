"""Damaged and hostile files, thousands of them: a film or a reason comes out, and soon."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from hilum.domain.errors import FilmError
from hilum.imaging.read import read

DicomOf = Callable[..., bytes]

GREY = np.add.outer(np.arange(96), 2 * np.arange(80)).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 16
A_FILE_AT_MOST_S = 5.0
"""A hundred times what the slowest took; a file that hangs or fills memory takes for ever."""
FILES_OF_EACH = 400


def saved(kind: str, mode: str = "L", **options: object) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(DEEP) if mode == "I;16" else Image.fromarray(GREY).convert(mode)
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Bytes changed, lost, doubled or exchanged, and the end cut off, at places drawn."""
    bytes_ = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        # Headers decide most, so half of all changes are made near the start.
        reach = len(bytes_) if draw.random() < 0.5 else min(len(bytes_), 1200)
        place, kind = draw.randrange(max(1, reach)), draw.randrange(6)
        if kind <= 1:
            bytes_[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 2:
            bytes_[place : place + 4] = draw.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff"))
        elif kind == 3:
            del bytes_[place : place + draw.randint(1, 40)]
        elif kind == 4:
            again = draw.randrange(len(bytes_) or 1)
            bytes_[place:place] = bytes_[again : again + draw.randint(1, 60)]
        elif draw.random() < 0.3:
            del bytes_[place:]
    return bytes(bytes_)


SEEDS: dict[str, Callable[[DicomOf], bytes]] = {
    "png": lambda _: saved("PNG"),
    "png 16": lambda _: saved("PNG", "I;16"),
    "png palette": lambda _: saved("PNG", "P"),
    "jpeg": lambda _: saved("JPEG"),
    "jpeg cmyk": lambda _: saved("JPEG", "CMYK"),
    "tiff": lambda _: saved("TIFF"),
    "tiff lzw": lambda _: saved("TIFF", "RGB", compression="tiff_lzw"),
    "dicom": lambda of: of(DEEP, 12, WindowCenter=2048, WindowWidth=4096, RescaleSlope="1"),
    "dicom spacing": lambda of: of(GREY, 8, ExplicitVRLittleEndian, PixelSpacing=[0.2, 0.1]),
    "dicom rle": lambda of: of(DEEP, 12, RLELossless),
    "dicom jpeg-ls": lambda of: of(DEEP, 12, JPEGLSLossless),
    "dicom jpeg 2000": lambda of: of(
        GREY, 8, JPEG2000Lossless, saved("JPEG2000", irreversible=False, no_jp2=True)
    ),
    "dicom jpeg": lambda of: of(GREY, 8, "1.2.840.10008.1.2.4.50", saved("JPEG")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_only_reasons_come_out_and_soon(name: str, dicom_of: DicomOf) -> None:
    whole, draw = SEEDS[name](dicom_of), random.Random(name)
    assert read(whole).shape[0] in GREY.shape or "spacing" in name
    reasons: list[str] = []
    for _ in range(FILES_OF_EACH):
        damaged = mutated(whole, draw)
        before = time.process_time()
        try:
            read(damaged)
        except FilmError as error:
            reasons.append(error.message)
        assert time.process_time() - before < A_FILE_AT_MOST_S
    assert len(reasons) > FILES_OF_EACH // 10
    assert not any("\n" in reason for reason in reasons)
