"""Whatever holds a film gives the same film; whatever does not is refused in one line."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from hilum.bundle.source import film_of, films_of
from hilum.datasets.parts.disk import draw_dicom
from hilum.domain.errors import FilmError, ReasonCode, UsageError
from hilum.domain.radiograph import Radiograph
from hilum.phantom.film import draw_example

PIXELS = np.rint(draw_example("Mass", seed=1, size=64).pixels * 255).astype(np.uint8)


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def dicom(tmp_path: Path) -> Path:
    """A film that pydicom warns of: a name of six components, an id that is too long."""
    path = tmp_path / "film.dcm"
    draw_dicom(path, 120)
    dataset = pydicom.dcmread(path)
    with warnings.catch_warnings(action="ignore"):
        dataset.PatientName, dataset.PatientID = "A=B=C=D=E=F", "x" * 100
        dataset.PixelData += b"\0\0\0\0"
        dataset.save_as(path)
    return path


def test_every_source_gives_the_same_film(tmp_path: Path) -> None:
    png = encoded("PNG")
    path = tmp_path / "film.png"
    path.write_bytes(png)
    with path.open("rb") as file:
        opened = film_of(file)
        assert not file.closed
    films = [
        *(film_of(path), film_of(str(path)), film_of(png), film_of(bytearray(png)), opened),
        *(film_of(memoryview(png)), film_of(io.BytesIO(png)), film_of(PIXELS)),
        *(film_of(Image.fromarray(PIXELS)), film_of(Image.open(path))),
    ]
    for film in films:
        np.testing.assert_array_equal(film.pixels, films[0].pixels)
    assert film_of(films[0]) is films[0]
    assert opened.source == "film.png"


def test_bytes_are_read_from_where_the_file_stands() -> None:
    stream = io.BytesIO(b"junk" + encoded("PNG"))
    stream.seek(4)
    assert film_of(stream).shape == PIXELS.shape


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *((kind, mode) for kind in ("PNG", "TIFF", "BMP") for mode in ("L", "RGB", "P")),
        *(("JPEG", mode) for mode in ("L", "RGB")),
    ],
)
@pytest.mark.parametrize("loaded", [False, True])
def test_images_of_any_mode_are_films(kind: str, mode: str, loaded: bool) -> None:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, kind)
    image = Image.open(stream)
    if loaded:
        image.load()
    difference = film_of(image).pixels - film_of(PIXELS).pixels
    assert np.abs(difference).max() <= (0.0 if kind != "JPEG" else 0.1)
    np.testing.assert_array_equal(film_of(image).pixels, film_of(image).pixels)


def test_an_image_of_several_frames_is_refused_and_left_at_its_first() -> None:
    stream = io.BytesIO()
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS.T.copy())]
    frames[0].save(stream, "TIFF", save_all=True, append_images=frames[1:])
    image = Image.open(stream)
    with pytest.raises(FilmError) as refused:
        film_of(image)
    assert refused.value.code is ReasonCode.MULTI_FRAME
    assert image.tell() == 0


def test_a_dataset_is_read_as_its_file_and_left_as_it_was(dicom: Path) -> None:
    dataset = pydicom.dcmread(dicom)
    held = set(dataset.keys()), set(dataset.file_meta.keys())
    film, read = film_of(dataset), film_of(dicom)
    np.testing.assert_array_equal(film.pixels, read.pixels)
    assert (film.codes, film.view, film.pixels_sha256) == (
        *(read.codes, read.view, read.pixels_sha256),
    )
    assert film.sha256 == ""
    assert (set(dataset.keys()), set(dataset.file_meta.keys())) == held
    del dataset.file_meta
    np.testing.assert_array_equal(film_of(dataset).pixels, read.pixels)


def test_a_dataset_without_a_picture_is_refused() -> None:
    with pytest.raises(FilmError):
        film_of(pydicom.Dataset())


class Tensor:
    __module__ = "torch"


@pytest.mark.parametrize(
    ("nonsense", "said"),
    [
        (None, "got NoneType. Give a path"),
        (3, "got int. Give a path"),
        ({}, "got dict. Give a path"),
        ([PIXELS], "got list. Call predict once a film; give a path"),
        (Tensor(), r"got torch.Tensor. Give tensor.numpy\(\), an \(H, W\) array"),
        (io.StringIO("text"), "must give bytes; reading _io.StringIO gave str. Open it with 'rb'"),
        (np.float32(0.5), "got numpy.float32. Give a path"),
        (PIXELS.astype(np.int32), "an array must be of uint8, uint16 or float; got int32"),
    ],
)
def test_what_is_no_film_is_refused_with_what_to_give(nonsense: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        film_of(nonsense)


def test_no_library_is_loaded_to_find_out_what_a_source_is() -> None:
    lines = (
        "import sys, numpy as np",
        "from hilum.bundle.source import film_of",
        "from hilum.domain.errors import UsageError",
        "film_of(np.zeros((2, 2), np.uint8))",
        "try: film_of(None)",
        "except UsageError: pass",
        "print([m for m in ('PIL', 'pydicom', 'torch') if m in sys.modules])",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_hostile_header_warns_nobody_whatever_other_threads_do_to_the_filters(
    dicom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda text, *_: shown.append(str(text)))
    film_of(dicom)
    done = threading.Event()

    def meddle() -> None:
        while not done.is_set():
            with warnings.catch_warnings():
                pass

    other = threading.Thread(target=meddle)
    before = list(warnings.filters)
    other.start()
    try:
        films = [film_of(dicom) for _ in range(20)]
    finally:
        done.set()
        other.join()
    assert all(isinstance(film, Radiograph) for film in films)
    assert shown == []
    assert warnings.filters == before


@pytest.mark.parametrize(
    "one", [None, "film.png", Path("film.png"), b"film", np.zeros((4, 4)), io.BytesIO(b"x"), 7]
)
def test_one_film_in_place_of_several_is_one_line(one: object) -> None:
    with pytest.raises(UsageError, match="several films must come as a list; got") as caught:
        films_of(one)
    assert "\n" not in str(caught.value)


def test_several_films_come_as_any_iterable() -> None:
    films = [np.zeros((4, 4)), "film.png"]
    assert films_of(films) == films_of(tuple(films)) == films_of(iter(films)) == films
    assert len(films_of(np.zeros((3, 4, 4)))) == 3


class Broken:
    def read(self, _: int) -> bytes:
        raise ValueError("I/O operation on closed file")


def test_an_object_that_cannot_be_read_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"a file must be open for reading; .*Broken failed"):
        film_of(Broken())  # pyright: ignore
