"""`hilum cache` writes what `hilum train --cache` reads, and says what it wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilum.datasets import open_dataset
from hilum.imaging.read import read
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih
from hilum.runs.recipe import load_config
from hilum.training.data.cache import FilmCache

Said = Callable[..., tuple[int, str, str]]
SMALL = ("--set", "preprocessing.size=64")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_nih(PhantomCorpus(patients=6, seed=1, size=128), folder)
    return folder


def test_it_holds_every_film_at_the_preset_s_size(said: Said, films: Path, tmp_path: Path) -> None:
    code, out, err = said("cache", "demo", "--data", films, "-o", tmp_path / "cache", *SMALL)
    cohort = open_dataset(films)
    assert (code, out) == (0, f"{tmp_path / 'cache'}\n")
    assert err == f"{len(cohort)} films of 64 px, 0.00 GB; 0 refused\n"
    preprocessing = load_config("demo", ("preprocessing.size=64",)).preprocessing
    cached, notes = FilmCache.open(tmp_path / "cache").films(cohort, preprocessing)
    assert cached.names == tuple(cohort.image_ids())
    assert notes == ()
    for row in (0, len(cohort) - 1):
        own = preprocessing.raster(read(cohort.records[row].path))
        np.testing.assert_array_equal(cached.rasters[row], own)


def test_films_that_are_left_out_are_not_cached(said: Said, films: Path, tmp_path: Path) -> None:
    names = open_dataset(films).image_ids()
    (tmp_path / "unwanted.txt").write_text(names[0])
    given = ("cache", "demo", "--data", films, "-o", tmp_path / "cache", *SMALL)
    assert said(*given, "--exclude", tmp_path / "unwanted.txt", "--quiet")[::2] == (0, "")
    index = FilmCache.open(tmp_path / "cache").index
    assert [film.name for film in index.films] == names[1:]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("demmo", "--data", "."), "no preset 'demmo'"),
        (("demo", "--data", "nowhere"), "a dataset must be a folder or a table"),
        (("demo", "--data", ".", "--set", "sizes=1"), "demo: sizes: no such field"),
    ],
)
def test_a_mistake_is_one_line(
    said: Said, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    code, out, err = said("cache", *words, "-o", tmp_path / "cache")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "cache").exists()
