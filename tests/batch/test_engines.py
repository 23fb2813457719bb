"""Every engine: the same bytes, each film once, and a kill is not to be seen afterwards.

A new file in `hilum.batch.engines` is tested by being there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
from PIL import Image

import hilum.batch.engines
from hilum import Bundle
from hilum.batch.engines import BatchEngine
from hilum.batch.inputs import list_films
from hilum.batch.resume import Done, Scoring
from hilum.batch.run import run_batch
from hilum.batch.score import Input
from hilum.phantom.film import draw_example
from hilum.reading.process import ReaderProcess

ENGINES = {
    name: engine
    for module in iter_modules(hilum.batch.engines.__path__)
    if not module.ispkg and (name := module.name) != "base"
    if hasattr(engine := import_module(f"hilum.batch.engines.{name}").ENGINE, "entries")
}
"""Those of films into a journal; an engine of archives is tested in `test_archive.py`."""
Run = Callable[[Path, BatchEngine], dict[str, bytes]]


class OneByOne:
    """The simplest engine there can be: what all others are compared with."""

    def entries(self, inputs: Sequence[Input], scoring: Scoring) -> Generator[Done]:
        manifest = scoring.bundle.manifest
        with ReaderProcess(manifest.preprocessing, manifest.gate) as reader:
            for item in inputs:
                yield scoring.entry(item, reader)


class StoppedError(Exception):
    """A kill, as far as a test in one process can have one."""


class StoppedAfter:
    """An engine that is killed when some films are finished."""

    def __init__(self, engine: BatchEngine, films: int) -> None:
        self.engine, self.films = engine, films

    def entries(self, inputs: Sequence[Input], scoring: Scoring) -> Generator[Done]:
        entries = self.engine.entries(inputs, scoring)
        try:
            for number, done in enumerate(entries):
                if number == self.films:
                    raise StoppedError
                yield done
        finally:
            entries.close()


@pytest.fixture(scope="module")
def bundle(toy: Path) -> Bundle:
    return Bundle.load(toy / "bundle")


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve films, two files that are none, and two films that are called the same."""
    folder = tmp_path_factory.mktemp("inbox")
    for number in range(12):
        gray = np.rint(draw_example(None, seed=number).pixels * 255).astype(np.uint8)
        Image.fromarray(gray).save(folder / f"film{number:02}.png")
    (folder / "more").mkdir()
    (folder / "more" / "film00.png").write_bytes((folder / "film01.png").read_bytes())
    (folder / "cut.png").write_bytes((folder / "film02.png").read_bytes()[:900])
    (folder / "empty.png").write_bytes(b"")
    return folder


@pytest.fixture
def run(bundle: Bundle, inbox: Path) -> Run:
    films = list_films([str(inbox)])

    def call(out: Path, engine: BatchEngine) -> dict[str, bytes]:
        run_batch(bundle, films, out, engine=engine)
        return {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and path.name not in ("journal.jsonl", ".lock")
        }

    return call


@pytest.fixture(scope="module")
def expected(bundle: Bundle, inbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("expected")
    run_batch(bundle, list_films([str(inbox)]), out, engine=OneByOne())
    return out


def files_of(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name not in ("journal.jsonl", ".lock")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_gives_the_same_bytes(
    name: str, run: Run, expected: Path, tmp_path: Path
) -> None:
    assert run(tmp_path / "out", ENGINES[name]) == files_of(expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_gives_each_input_once(
    name: str, bundle: Bundle, inbox: Path, tmp_path: Path
) -> None:
    seen: list[str] = []

    class Watched:
        def entries(self, inputs: Sequence[Input], scoring: Scoring) -> Generator[Done]:
            for done in ENGINES[name].entries(inputs, scoring):
                seen.append(done.entry.result.input)
                yield done

    films = list_films([str(inbox)])
    run_batch(bundle, films, tmp_path / "out", engine=Watched())
    assert sorted(seen) == sorted(str(film.path) for film in films)


@pytest.mark.slow
@pytest.mark.parametrize("finished", [0, 4, 11])
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_a_batch_that_was_stopped_ends_with_the_same_bytes(
    name: str, finished: int, run: Run, expected: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        run(tmp_path / "out", StoppedAfter(ENGINES[name], finished))
    assert run(tmp_path / "out", ENGINES[name]) == files_of(expected)


@pytest.mark.slow
def test_what_one_engine_began_another_can_end(run: Run, expected: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(tmp_path / "out", StoppedAfter(OneByOne(), 5))
    assert run(tmp_path / "out", ENGINES["lanes"]) == files_of(expected)


def test_the_engines_are_these() -> None:
    assert "lanes" in ENGINES
