"""Films read by several confined processes are those read here; a hostile film costs itself."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import FilmError, ReasonCode
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing, thumbnail
from hilum.imaging.read import read
from hilum.reading import process
from hilum.reading.pool import ReaderPool
from hilum.reading.process import Limits
from hilum.reading.requests import FilmRaster, FilmThumbnail, raster_request, thumbnail_request

HOSTILE = (sys.executable, "-P", str(Path(__file__).with_name("hostile_reader.py")))
PREPROCESSING = Preprocessing(size=64)


def test_rasters_and_thumbnails_are_those_of_reading_here(toy: Path) -> None:
    paths = sorted((toy / "films" / "images").iterdir())[:12]
    with ReaderPool(PREPROCESSING, GateRules.labeled(), len(paths), 2) as pool:
        rasters = list(pool.results(paths, lambda path: raster_request(path, PREPROCESSING)))
        thumbnails = list(pool.results(paths, thumbnail_request))
    for path, raster, small in zip(paths, rasters, thumbnails, strict=True):
        film = read(path)
        assert isinstance(raster, FilmRaster)
        assert isinstance(small, FilmThumbnail)
        np.testing.assert_array_equal(raster.pixels, PREPROCESSING.raster(film))
        np.testing.assert_array_equal(small.pixels, thumbnail(film))
        assert (raster.shape, small.sha256, small.codes) == (film.shape, film.sha256, film.codes)


def test_hostile_films_cost_themselves_and_the_order_stays(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.reading.COMMAND", HOSTILE)
    monkeypatch.setattr(process, "_TO_ANSWER_S", 0.5)
    film = next((toy / "films" / "images").iterdir())
    names = ("a", "segfault", "b", "greedy", "c", "hang", "d", "no_raster", "e", "missing")
    paths = [tmp_path / f"{name}.png" for name in names]
    for path in paths[:-1]:
        shutil.copyfile(film, path)
    limits = Limits(timeout_s=2, memory_bytes=1024**3)
    with ReaderPool(PREPROCESSING, GateRules.labeled(), 1, 1, limits) as pool:
        results = list(pool.results(paths, lambda path: raster_request(path, PREPROCESSING)))
    found = {
        path.stem: result.code if isinstance(result, FilmError) else None
        for path, result in zip(paths, results, strict=True)
    }
    assert found == {
        **dict.fromkeys("abcde"),
        "segfault": ReasonCode.DECODER_CRASHED,
        "no_raster": ReasonCode.DECODER_CRASHED,
        "greedy": ReasonCode.DECODE_LIMIT,
        "hang": ReasonCode.TIMEOUT,
        "missing": ReasonCode.FILE_NOT_FOUND,
    }
