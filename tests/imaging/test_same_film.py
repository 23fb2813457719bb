"""One film in every file that can hold it: the same pixels, and the same scores."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from hilum.bundle import Bundle
from hilum.imaging.read import read
from hilum.phantom.corpus import PhantomCorpus

DicomOf = Callable[..., bytes]
TWELVE_BITS = 0.5 / 4095


@pytest.fixture(scope="module")
def gray() -> NDArray[np.uint8]:
    corpus = PhantomCorpus(patients=1, seed=3, enrichment=6, size=512)
    film = np.rint(corpus.draw(corpus.films()[0]).pixels * 255).astype(np.uint8)
    film[0, 0] = 255  # or 16 bits that never pass 4095 of 65535 would be another film
    return film


@pytest.fixture(scope="module")
def files(gray: NDArray[np.uint8], dicom_of: DicomOf) -> dict[str, tuple[bytes, float]]:
    """Name to the file and the largest difference its depth allows."""

    def saved(values: NDArray[np.unsignedinteger], kind: str, **options: object) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(values).save(stream, kind, **options)  # type: ignore[arg-type]
        return stream.getvalue()

    deep = gray.astype(np.uint16) * 257
    twelve = np.rint(gray * (4095 / 255)).astype(np.uint16)
    negative: dict[str, object] = {"PhotometricInterpretation": "MONOCHROME1"}
    codestream = saved(gray, "JPEG2000", irreversible=False, no_jp2=True)
    exact: dict[str, bytes] = {
        "8-bit PNG": saved(gray, "PNG"),
        "16-bit PNG": saved(deep, "PNG"),
        "16-bit TIFF": saved(deep, "TIFF"),
        "DICOM of 8 bits": dicom_of(gray),
        "DICOM of 16 bits": dicom_of(deep, 16),
        "MONOCHROME1 of 8 bits": dicom_of(255 - gray, **negative),
        "JPEG 2000": dicom_of(gray, 8, JPEG2000Lossless, codestream),
    }
    rounded: dict[str, bytes] = {
        "DICOM of 12 bits": dicom_of(twelve, 12),
        "MONOCHROME1 of 12 bits": dicom_of(4095 - twelve, 12, **negative),
        "both ways to say inverted": dicom_of(
            4095 - twelve, 12, PresentationLUTShape="INVERSE", **negative
        ),
        "a window": dicom_of(
            twelve, 12, ExplicitVRLittleEndian, WindowCenter=2048, WindowWidth=4096
        ),
        "RLE": dicom_of(twelve, 12, RLELossless),
        "JPEG-LS": dicom_of(twelve, 12, JPEGLSLossless),
    }
    return {name: (data, 1e-6) for name, data in exact.items()} | {
        name: (data, TWELVE_BITS + 1e-6) for name, data in rounded.items()
    }


def test_the_pixels_are_the_same(
    gray: NDArray[np.uint8], files: dict[str, tuple[bytes, float]]
) -> None:
    for name, (data, within) in files.items():
        film = read(data)
        assert film.codes == (), name
        np.testing.assert_allclose(film.pixels, gray / 255, rtol=0, atol=within, err_msg=name)


def test_the_scores_are_the_same(files: dict[str, tuple[bytes, float]]) -> None:
    said = Bundle.load("starter").predict_many([read(data) for data, _ in files.values()])
    first = said[0].findings
    assert len(first) > 1
    for name, other in zip(files, said, strict=True):
        for finding, result in other.findings.items():
            assert result.probability == pytest.approx(first[finding].probability, abs=1e-3), (
                f"{name}: {finding}"
            )
