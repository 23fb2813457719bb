"""A cache gives the films that reading them would give, or says in one line why it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.domain.errors import BundleError, DatasetError, ReasonCode
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record, Split
from hilum.files.sealed import seal
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.stack import read_stack
from hilum.training.data import cache, films
from hilum.training.data.cache import FilmCache, films_of, ready, write
from hilum.training.data.films import Rasters

PREPARED = Preprocessing(size=32)
LABELS = LabelSet("two", ("Mass", "Edema"))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "BLOCK", 4)


def quiet(what: str, done: int, total: int) -> None:
    """An `advance` that nobody watches."""


def row(number: int, path: Path | None) -> Record:
    states = (LabelState(number % 2), LabelState(-(number % 3)))
    return Record(f"{number}.png", f"p{number}", states, path)


def drawn(folder: Path, count: int = 11) -> Cohort:
    """Films; number 3 is damaged, 5 is constant, 7 is not there and 8 never was."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        film = rng.integers(0, 256, (150, 130 + number)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), film * (number != 5))
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:900])
    (folder / "7.png").unlink()
    records = [row(n, None if n == 8 else folder / f"{n}.png") for n in range(count)]
    return Cohort("drawn", LABELS, tuple(records))


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return drawn(tmp_path / "films")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


def write_quietly(cohort: Cohort, folder: Path) -> FilmCache:
    return write(cohort, PREPARED, folder, 2, quiet)


def test_the_films_are_those_that_reading_gives(cohort: Cohort, folder: Path) -> None:
    cached = write_quietly(cohort, folder)
    films, notes = films_of(cohort, Split.TRAIN, PREPARED, cached, 1, quiet)
    read, same_notes = films_of(cohort, Split.TRAIN, PREPARED, None, 1, quiet)
    names = tuple(f"{n}.png" for n in (0, 1, 2, 4, 6, 9, 10))
    assert films.names == read.names == names
    assert isinstance(films.rasters, Rasters)
    assert isinstance(read.rasters, np.ndarray)
    stack = read_stack([cohort.records[int(name[:-4])].path for name in names], PREPARED)
    np.testing.assert_array_equal(films.rasters[:], stack.rasters)
    np.testing.assert_array_equal(read.rasters, stack.rasters)
    for got in (films, read):
        np.testing.assert_array_equal(got.states, cohort.states()[[0, 1, 2, 4, 6, 9, 10]])
    assert notes == same_notes
    assert notes == (
        "train: 2 rows have no film on disk; left out",
        "train: 2 films could not be used, first 3.png: DECODE_TRUNCATED",
    )


def test_the_index_tells_what_it_holds(cohort: Cohort, folder: Path) -> None:
    index = write_quietly(cohort, folder).index
    assert index.records_sha256 == cohort.sha256()
    assert index.refused == {
        "3.png": ReasonCode.DECODE_TRUNCATED,
        "5.png": ReasonCode.CONSTANT_IMAGE,
    }
    assert len(index.films) == 9
    assert index.films[0].bytes == (cohort.records[0].path or folder).stat().st_size


def test_a_split_comes_in_its_own_order_and_copies_nothing(cohort: Cohort, folder: Path) -> None:
    cached = write_quietly(cohort, folder)
    some = replace(cohort, records=tuple(cohort.records[n] for n in (9, 2, 0)))
    films, notes = cached.films(some, PREPARED)
    assert (films.names, notes) == (("9.png", "2.png", "0.png"), ())
    np.testing.assert_array_equal(films.states, some.states())
    stack = read_stack([record.path for record in some.records], PREPARED)
    np.testing.assert_array_equal(films.rasters[np.array([2, 0])], stack.rasters[[2, 0]])
    assert np.shares_memory(films.rasters[0], cached.rasters)


def test_it_tells_how_far_it_is(cohort: Cohort, folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    write(cohort, PREPARED, folder, 2, lambda *step: told.append(step))
    assert told == [("caching films", done, 9) for done in range(1, 10)]
    told.clear()
    films_of(cohort, Split.TUNE, PREPARED, None, 1, lambda *step: told.append(step))
    assert told == [("reading tune", done, 9) for done in range(1, 10)]


def test_the_same_films_give_the_same_bytes(cohort: Cohort, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for threads, folder in enumerate(folders, start=1):
        write(cohort, PREPARED, folder, threads, quiet)
    files = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert files[0] == files[1]
    assert len(files[0]) == 3  # index, rasters, lock
    for name in files[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.mark.parametrize("number", [8, 7])
def test_without_any_film_there_is_no_cache_and_no_split(
    cohort: Cohort, folder: Path, number: int
) -> None:
    none = replace(cohort, records=cohort.records[number : number + 1])
    with pytest.raises(DatasetError, match=r"1 rows and 0 films on disk, none readable"):
        write_quietly(none, folder)
    with pytest.raises(BundleError, match=r"cache\.json must be there"):
        FilmCache.open(folder)
    with pytest.raises(DatasetError, match=r"the tune split needs readable films; drawn has 1"):
        films_of(none, Split.TUNE, PREPARED, None, 1, quiet)
    refused = replace(cohort, records=cohort.records[3:4])
    cached = write_quietly(cohort, folder)
    with pytest.raises(DatasetError, match=r"1 rows there and 1 films on disk, none readable"):
        films_of(refused, Split.TUNE, PREPARED, cached, 1, quiet)


# what does not fit


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 48}, "must have size 48; .* has 32"),
        ({"fit": "stretch"}, "must have fit stretch; .* has pad"),
        ({"clahe_clip": 2.0}, r"must have clahe_clip 2\.0; .* has 0\.0"),
    ],
)
def test_other_rules_are_refused(
    cohort: Cohort, folder: Path, fields: dict[str, object], said: str
) -> None:
    cached = write_quietly(cohort, folder)
    with pytest.raises(DatasetError, match=f"{said}. Make it again with `hilum cache`"):
        cached.films(cohort, Preprocessing.model_validate({"size": 32, **fields}))


def test_what_comes_after_the_raster_does_not_matter(cohort: Cohort, folder: Path) -> None:
    cached = write_quietly(cohort, folder)
    cached.films(cohort, Preprocessing(size=32, channels=1, mean=(0.5,), std=(0.25,)))


def test_a_film_that_is_not_cached_is_named(cohort: Cohort, folder: Path) -> None:
    cached = write_quietly(replace(cohort, records=cohort.records[:9]), folder)
    with pytest.raises(DatasetError, match=r"must have every film; .* has no 9\.png"):
        cached.films(cohort, PREPARED)


@pytest.mark.parametrize("number", [2, 3])  # 3 was refused: mended, it must be read
@pytest.mark.parametrize("what", ["size", "time"])
def test_a_film_that_changed_since_is_named(
    cohort: Cohort, folder: Path, number: int, what: str
) -> None:
    cached = write_quietly(cohort, folder)
    path = cohort.records[number].path or folder
    status = path.stat()
    if what == "size":
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(DatasetError, match=rf"must stay as they were; .*{number}\.png changed"):
        cached.films(cohort, PREPARED)


def test_a_film_that_vanished_is_no_film(cohort: Cohort, folder: Path) -> None:
    cached = write_quietly(cohort, folder)
    (cohort.records[2].path or folder).unlink()
    films, notes = films_of(cohort, Split.TRAIN, PREPARED, cached, 1, quiet)
    read, same = films_of(cohort, Split.TRAIN, PREPARED, None, 1, quiet)
    assert films.names == read.names
    assert "2.png" not in films.names
    assert notes == same
    assert notes[0] == "train: 3 rows have no film on disk; left out"


def test_another_dataset_is_refused(cohort: Cohort, folder: Path) -> None:
    cached = write_quietly(cohort, folder)
    with pytest.raises(DatasetError, match=r"must have dataset nih; .* has drawn"):
        cached.films(replace(cohort, dataset="nih"), PREPARED)


# damage


def rasters_of(folder: Path) -> Path:
    return next(folder.glob("rasters-*.bin"))


def spoil(folder: Path, how: str) -> None:
    path = rasters_of(folder)
    data = bytearray(path.read_bytes())
    if how == "bit":
        data[5000] ^= 1
    path.write_bytes(data[:-1] if how == "truncated" else data)
    index = folder / "cache.json"
    tree = json.loads(index.read_text())
    if how == "edited":
        tree["films"][0], tree["films"][1] = tree["films"][1], tree["films"][0]
    if how == "foreign":
        tree = {"labels": ["Mass"]}
        tree["seal"] = seal(tree)
    index.write_text(json.dumps(tree) if how != "text" else "rasters")
    if how == "lost":
        path.unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("bit", "must be as it was written; .* is damaged"),
        ("truncated", "must be as it was written; .* is damaged"),
        ("lost", "must have its rasters; .*No such file"),
        ("edited", "was edited since"),
        ("foreign", "Extra inputs|Field required"),
        ("text", "must be JSON"),
    ],
)
def test_a_spoilt_cache_does_not_open_and_is_made_again(
    cohort: Cohort, folder: Path, how: str, said: str
) -> None:
    before = write_quietly(cohort, folder).sha256
    spoil(folder, how)
    with pytest.raises(BundleError, match=said) as stopped:
        FilmCache.open(folder)
    assert "\n" not in str(stopped.value)
    assert ready(cohort, PREPARED, folder, 1, quiet).sha256 == before


def test_where_there_is_none_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cache\.json must be there"):
        FilmCache.open(tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
import test_cache
from hilum.training.data import films
films.BLOCK = 4
def stop(what, done, total):
    if done == 6:
        os.kill(os.getpid(), signal.SIGKILL)
films = Path(sys.argv[2])
rows = [test_cache.row(n, films / f"{n}.png") for n in range(11)]
cohort = test_cache.Cohort("drawn", test_cache.LABELS, tuple(rows))
test_cache.write(cohort, test_cache.Preprocessing(size=48), Path(sys.argv[3]), 1, stop)
"""


@pytest.mark.slow
def test_a_killed_write_leaves_what_was_there(cohort: Cohort, folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, __file__, tmp_path / "films", folder]
    assert subprocess.run(command, check=False).returncode == -9
    with pytest.raises(BundleError, match=r"cache\.json must be there"):
        FilmCache.open(folder)
    before = write_quietly(cohort, folder).sha256
    assert subprocess.run(command, check=False).returncode == -9
    assert FilmCache.open(folder).sha256 == before
    ready(cohort, Preprocessing(size=48), folder, 1, quiet)
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".bin", ".json"]


@pytest.mark.parametrize("place", ["rasters", "index"])
def test_a_write_that_fails_leaves_what_was_there(
    cohort: Cohort, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before = write_quietly(cohort, folder).sha256

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    broken = (os, "fsync") if place == "rasters" else (cache, "write_sealed")
    monkeypatch.setattr(*broken, full)
    with pytest.raises(OSError, match="No space left") as stopped:
        write(cohort, Preprocessing(size=48), folder, 1, quiet)
    assert place == "index" or stopped.value.filename.endswith("rasters.bin")
    monkeypatch.undo()
    assert FilmCache.open(folder).sha256 == before
    write(cohort, Preprocessing(size=48), folder, 1, quiet)
    assert len(list(folder.glob("rasters*"))) == 1  # nothing of either is left


# first use


def test_first_use_writes_and_the_next_one_reads(cohort: Cohort, folder: Path) -> None:
    told: list[int] = []

    def advance(what: str, done: int, total: int) -> None:
        told.append(done)

    first = ready(cohort, PREPARED, folder, 1, advance)
    assert len(told) == 9
    part = replace(cohort, records=cohort.records[2:6])
    assert ready(part, PREPARED, folder, 1, advance).sha256 == first.sha256
    assert len(told) == 9
    (cohort.records[1].path or folder).touch()
    ready(cohort, PREPARED, folder, 1, advance)
    assert len(told) == 18
    assert ready(cohort, Preprocessing(size=48), folder, 1, advance).index.rules.size == 48
    assert len(list(folder.glob("rasters-*"))) == 1


def test_of_two_that_come_at_once_one_writes(cohort: Cohort, folder: Path) -> None:
    told: list[int] = []
    made: list[str] = []

    def go() -> None:
        done = ready(cohort, PREPARED, folder, 1, lambda _, done, __: told.append(done))
        made.append(done.sha256)

    threads = [threading.Thread(target=go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 9
    assert len(made) == 3
    assert len(set(made)) == 1
