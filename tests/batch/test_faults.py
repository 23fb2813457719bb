"""A disk that fails, or a kill, at every single write of a batch; and films that change meanwhile.

The n-th write fails, for n = 1, 2, 3 ... until the batch gets to its end. After each the same
command is given again, and nobody can see in its files that anything happened.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from hilum import Bundle
from hilum.batch.inputs import list_films
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.domain.errors import ReasonCode
from hilum.explain.request import HeatmapRequest, Pictures
from hilum.reading.process import ReaderProcess
from hilum.reading.requests import Request

FILMS = 3
TOP = BatchRequest(pictures=Pictures(HeatmapRequest.parse("top")), lanes=1)
REPORTS = ("final_clinical_report.csv", "results.jsonl", "report.html", "dashboard.html")

Said = Callable[..., tuple[int, str, str]]


class Killed(BaseException):
    """What a kill looks like from inside."""


class Faults:
    """Raises at the n-th write and at each after it: a full disk stays full, the dead stay dead.

    A write is what reaches the system: of a file's bytes, its name, its folder, or to the disk.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = sys.maxsize
        self.seen: list[str] = []
        self.error: Callable[[Path | None], BaseException] = lambda _: Killed()
        self._patch = patch
        self._around(Path, "write_bytes", named=False)
        for name in ("replace", "mkdir"):
            self._around(Path, name, named=True)
        patch.setattr(os, "fsync", lambda _: self.event("fsync", None))  # nobody cuts the power
        opened = Path.open

        def watched(path: Path, mode: str = "r", *given: Any, **more: Any) -> IO[Any]:
            if path.name == "journal.jsonl" and mode == "r+b":
                return Watched(path, mode, self, "journal")  # type: ignore[return-value]
            if mode == "w":  # a report
                raw = Watched(path, "wb", self, f"report {path.name}")
                return io.TextIOWrapper(io.BufferedWriter(raw, 1024**2), **more)
            return opened(path, mode, *given, **more)

        patch.setattr(Path, "open", watched)
        unlink = Path.unlink

        def unlinked(path: Path, missing_ok: bool = False) -> None:
            if self.left > 0 or self.error(None).__class__ is not Killed:
                unlink(path, missing_ok=missing_ok)  # a kill cleans nothing up

        patch.setattr(Path, "unlink", unlinked)

    def event(self, what: str, path: Path | None) -> None:
        self.seen.append(what)
        self.left -= 1
        if self.left <= 0:
            raise self.error(path)

    def _around(self, owner: type, name: str, named: bool) -> None:
        call = getattr(owner, name)

        def watched(path: Path, *given: Any, **more: Any) -> Any:
            if name == "mkdir" and path.is_dir():
                return call(path, *given, **more)
            self.event(f"{name} {path.name}", path if named else None)
            return call(path, *given, **more)

        self._patch.setattr(owner, name, watched)


class Watched(io.FileIO):
    """The journal, or a report: half of what is written may be there when the disk is full."""

    def __init__(self, path: Path, mode: str, faults: Faults, what: str) -> None:
        super().__init__(path, mode)
        self._faults = faults
        self._what = what

    def write(self, data: Any) -> int:
        try:
            self._faults.event(self._what, None)
        except BaseException:
            if self._faults.left == 0:
                super().write(bytes(data)[: len(data) // 2])
            raise
        return super().write(data)


@dataclass(frozen=True)
class World:
    bundle: Bundle
    inbox: Path
    whole: dict[str, object]


def files_of(out: Path) -> dict[str, object]:
    """Every file's bytes; the journal's lines without their order, which is that of finishing."""
    found = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }
    journal = found.pop("journal.jsonl", b"")
    return {**found, "journal.jsonl": sorted(journal.splitlines())}


@pytest.fixture(scope="module", autouse=True)
def readers(inline: type[ReaderProcess]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hilum.batch.engines.lanes.ReaderProcess", inline)
        yield


@pytest.fixture(scope="module")
def world(toy: Path, tmp_path_factory: pytest.TempPathFactory, readers: None) -> World:
    root = tmp_path_factory.mktemp("faults")
    inbox = root / "inbox"
    inbox.mkdir()
    for film in sorted((toy / "films" / "images").iterdir())[:FILMS]:
        shutil.copyfile(film, inbox / film.name)
    bundle = Bundle.load(toy / "bundle")
    run_batch(bundle, list_films([str(inbox)]), root / "out", TOP)
    return World(bundle, inbox, files_of(root / "out"))


def run(world: World, out: Path) -> None:
    run_batch(world.bundle, list_films([str(world.inbox)]), out, TOP)


def nothing_is_half(world: World, out: Path) -> None:
    """What has its final name is whole; what is not finished has another."""
    for name, data in files_of(out).items():
        if name not in ("journal.jsonl", ".lock") and not name.endswith(".hilum.tmp"):
            assert data == world.whole[name], name


@pytest.mark.slow
def test_a_kill_at_any_write_is_not_to_be_seen(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    for at in range(1, 1000):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        with monkeypatch.context() as patch:
            faults = Faults(patch)
            faults.left = at
            try:
                run(world, out)
            except Killed:
                pass
            else:
                seen = faults.seen
                break
        nothing_is_half(world, out)
        run(world, out)
        assert files_of(out) == world.whole, f"killed at {faults.seen[at - 1]}, the {at}. write"
    kinds = {what.partition(" ")[0] for what in seen}
    assert kinds == {"mkdir", "journal", "write_bytes", "report", "replace", "fsync"}
    assert seen.count("journal") == 1 + FILMS
    # pictures and reports, each written and moved; reports to the disk, with their folder
    assert sum("write_bytes" in what for what in seen) == 2 * FILMS
    assert sum("report" in what for what in seen if "replace" not in what) >= len(REPORTS)
    assert sum("replace" in what for what in seen) == 2 * FILMS + len(REPORTS)
    assert seen.count("fsync") >= 2 * len(REPORTS) + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "step"),
    [
        *((errno.ENOSPC, 3), (errno.EIO, 5), (errno.EROFS, 7)),
        pytest.param(errno.ENOSPC, 1, marks=pytest.mark.exhaustive),
    ],
)
def test_a_disk_that_fails_at_any_write_is_one_line_and_may_be_gone_on_from(
    world: World,
    tmp_path: Path,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    step: int,
) -> None:
    monkeypatch.setattr("hilum.bundle.Bundle.load", lambda *_, **__: world.bundle)
    out = tmp_path / "out"
    arguments = ["predict", "any", world.inbox, "-o", out, "--heatmaps", "top", "--phi", "none"]
    why = os.strerror(number)

    def failed(path: Path | None) -> OSError:
        return OSError(number, why, *(() if path is None else (str(path),)))

    for at in range(1, 1000, step):
        shutil.rmtree(out, ignore_errors=True)
        with monkeypatch.context() as patch:
            faults = Faults(patch)
            faults.left, faults.error = at, failed
            code, printed, err = said(*arguments, "--quiet")
        if code == 0:
            break
        where = f"{faults.seen[at - 1]}, the {at}. write"
        # nothing was begun in a folder that is not to be written to
        begun = number != errno.EROFS or out.exists()
        assert (code, printed) == (75 if begun else 2, ""), (where, err)
        assert err.count("\n") == 1, (where, err)
        assert str(tmp_path) in err, (where, err)
        assert why in err, (where, err)
        nothing_is_half(world, out)
        assert not list(out.rglob("*.hilum.tmp")), where
        assert said(*arguments, "--quiet")[0] == 0
        assert files_of(out) == world.whole, where
    assert at > 4 * FILMS + 4 * len(REPORTS)


# films that change while the batch runs


def test_films_that_vanish_or_change_have_their_rows_and_the_others_are_as_before(
    toy: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    films = sorted((toy / "films" / "images").iterdir())[:8]
    for film in films:
        shutil.copyfile(film, inbox / film.name)
    listed = list_films([str(inbox)])
    before = run_batch(world.bundle, listed, tmp_path / "before", TOP).batch
    (inbox / films[5].name).unlink()
    fstat, growing = os.fstat, inbox / films[6].name

    def grown(file: int) -> os.stat_result:
        found = fstat(file)
        if found.st_ino == growing.stat().st_ino:
            with growing.open("ab") as more:
                more.write(b"more")
        return found

    monkeypatch.setattr(os, "fstat", grown)
    out = tmp_path / "out"
    done = run_batch(world.bundle, listed, out, TOP)
    monkeypatch.undo()
    expected = {
        films[5].name: (ReasonCode.FILE_NOT_FOUND,),
        films[6].name: (ReasonCode.CHANGED_WHILE_READING,),
    }
    for was, now in zip(before.results, done.batch.results, strict=True):
        if now.image_id in expected:
            assert now.codes == expected[now.image_id]
            assert now.findings is None
        else:
            assert now == was
    for film in films[5:7]:
        shutil.copyfile(film, inbox / film.name)
    again = run_batch(world.bundle, listed, out, TOP)
    assert again.resumed == len(films) - 2
    assert list(again.batch.results) == list(before.results)


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_files_do_not_depend_on_lanes_or_on_the_order_of_the_list(
    world: World, tmp_path: Path, lanes: int
) -> None:
    films = list_films([str(world.inbox)])
    for number, order in enumerate((films, films[::-1])):
        out = tmp_path / str(number)
        request = BatchRequest(pictures=TOP.pictures, lanes=lanes)
        run_batch(world.bundle, order, out, request)
        assert files_of(out) == world.whole


def test_an_unread_film_is_not_waited_for_twice(
    world: World, tmp_path: Path, inline: type[ReaderProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hilum.domain.errors import FilmError, Status

    asked: list[str] = []

    def stalls(_: ReaderProcess, request: Request[Any]) -> None:
        asked.append(request.head["do"])
        raise FilmError(Status.ERROR, ReasonCode.TIMEOUT, "a share does not answer")

    monkeypatch.setattr(inline, "_send", stalls)
    done = run_batch(world.bundle, list_films([str(world.inbox)]), tmp_path, TOP)
    assert {result.codes for result in done.batch.results} == {(ReasonCode.TIMEOUT,)}
    assert asked == ["read"] * FILMS
