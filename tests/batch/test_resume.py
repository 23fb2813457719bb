"""A batch that was stopped anywhere goes on, and nobody can see in its files that it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from hilum import Bundle
from hilum.batch.inputs import list_films
from hilum.batch.run import Finished, run_batch
from hilum.batch.score import BatchRequest
from hilum.domain.errors import ReasonCode, Status, UsageError
from hilum.files.atomic import write_atomic
from hilum.files.lock import locked
from hilum.reading.process import ReaderProcess

FILMS = 8
INPUTS = FILMS + 1


@dataclass(frozen=True)
class World:
    bundle: Bundle
    inbox: Path
    out: Path

    def run(self, out: Path, inbox: Path | None = None) -> Finished:
        films = list_films([str(inbox or self.inbox)])
        return run_batch(self.bundle, films, out, BatchRequest(lanes=2))


def files_of(out: Path) -> dict[str, object]:
    """Every file's bytes; the journal's lines without their order, which is that of finishing."""
    found = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }
    journal = found.pop("journal.jsonl", None)
    return found if journal is None else {**found, "journal.jsonl": sorted(journal.splitlines())}


@pytest.fixture(scope="module", autouse=True)
def readers(inline: type[ReaderProcess]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hilum.batch.engines.lanes.ReaderProcess", inline)
        yield


@pytest.fixture(scope="module")
def world(toy: Path, tmp_path_factory: pytest.TempPathFactory, readers: None) -> World:
    """Eight films and a damaged one, and what an uninterrupted run makes of them."""
    root = tmp_path_factory.mktemp("resume")
    inbox = root / "inbox"
    inbox.mkdir()
    films = sorted((toy / "films" / "images").iterdir())[:FILMS]
    for film in films:
        shutil.copyfile(film, inbox / film.name)
    whole = films[0].read_bytes()
    (inbox / "damaged.png").write_bytes(whole[: len(whole) // 2])
    world = World(Bundle.load(toy / "bundle"), inbox, root / "out")
    assert world.run(world.out).resumed == 0
    return world


@pytest.fixture
def stopped(world: World, tmp_path: Path) -> Callable[[int], Path]:
    """Make the folder of a run that was killed when its journal had so many bytes."""

    def make(size: int) -> Path:
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(world.out, out)
        for path in out.iterdir():
            if path.is_file() and path.name not in ("journal.jsonl", ".lock"):
                path.unlink()
        os.truncate(out / "journal.jsonl", size)
        (out / "films" / ".x.jpg.hilum.tmp").write_bytes(b"half")
        (out / ".report.html.hilum.tmp").write_bytes(b"half")
        return out

    return make


def ends(world: World) -> list[int]:
    """Bytes of the journal after each of its lines."""
    data = (world.out / "journal.jsonl").read_bytes()
    return [at + 1 for at, byte in enumerate(data) if byte == ord("\n")]


def test_a_run_killed_after_any_line_ends_with_the_same_bytes(
    world: World, stopped: Callable[[int], Path]
) -> None:
    expected = files_of(world.out)
    for finished, end in enumerate(ends(world)):
        out = stopped(end)
        assert world.run(out).resumed == finished
        assert files_of(out) == expected, f"after {finished} films"


@pytest.mark.slow
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_a_run_killed_within_any_line_ends_with_the_same_bytes(
    world: World, stopped: Callable[[int], Path], every: bool
) -> None:
    expected = files_of(world.out)
    names = [item.path.stem for item in list_films([str(world.inbox)])]
    lines = [0, *ends(world)]
    for number, (begin, end) in enumerate(pairwise(lines)):
        finished = max(0, number - 1)
        sizes = (begin + 1, begin + 9, (begin + end) // 2, end - 1)
        for size in sizes if every else sizes[number % 4 : number % 4 + 1]:
            out = stopped(size)
            for picture in [*(out / "films").iterdir(), *(out / "maps").iterdir()]:
                if picture.stem.partition("__")[0] in names[finished + 1 :]:
                    picture.unlink()  # not drawn yet
            assert world.run(out).resumed == finished
            assert files_of(out) == expected, f"journal cut at byte {size}"


def test_a_whole_result_is_taken_whole(world: World, stopped: Callable[[int], Path]) -> None:
    out = stopped(ends(world)[-1])
    told: list[tuple[int, int]] = []
    paths = list_films([str(world.inbox)])
    done = run_batch(world.bundle, paths, out, advance=lambda *step: told.append(step))
    assert done.resumed == INPUTS
    assert told[-1] == (INPUTS, INPUTS)
    assert files_of(out) == files_of(world.out)


def test_films_whose_pictures_are_gone_are_scored_again(
    world: World, stopped: Callable[[int], Path]
) -> None:
    out = stopped(ends(world)[-1])
    previews = sorted((out / "films").glob("[!.]*.jpg"))
    maps = sorted((out / "maps").iterdir())
    previews[0].unlink()
    previews[1].write_bytes(b"")  # as a power cut leaves it
    maps[-1].unlink()
    films = {previews[0].stem, previews[1].stem, maps[-1].name.partition("__")[0]}
    assert world.run(out).resumed == INPUTS - len(films)
    assert files_of(out) == files_of(world.out)


def test_a_film_with_other_bytes_is_scored_again(world: World, tmp_path: Path) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    shutil.copytree(world.inbox, inbox)
    before = tuple(world.run(out, inbox).batch.results)
    changed = sorted(inbox.iterdir())[2]
    with Image.open(changed) as film:
        darker = film.point(lambda value: value * 0.9)
    darker.save(changed)
    (inbox / "damaged.png").unlink()
    shutil.copyfile(sorted(inbox.iterdir())[0], inbox / "damaged.png")  # it arrived whole
    done = world.run(out, inbox)
    assert done.resumed == INPUTS - 2
    assert {result.status for result in done.batch.results} <= {Status.OK, Status.WARN}
    fresh = tmp_path / "fresh"
    world.run(fresh, inbox)
    assert tuple(done.batch.results) != before
    without = {"journal.jsonl"}  # which has the history
    assert {n: b for n, b in files_of(out).items() if n not in without} == {
        n: b for n, b in files_of(fresh).items() if n not in without
    }


def test_a_list_that_grew_scores_only_what_is_new(world: World, tmp_path: Path) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    shutil.copytree(world.inbox, inbox)
    world.run(out, inbox)
    film = sorted(inbox.iterdir())[0]
    (inbox / "more").mkdir()
    shutil.copyfile(film, inbox / "more" / "new.png")
    assert world.run(out, inbox).resumed == INPUTS
    # a namesake changes the names of pictures, so its twin is drawn again
    shutil.copyfile(film, inbox / "more" / film.name)
    assert world.run(out, inbox).resumed == INPUTS
    fresh = tmp_path / "fresh"
    world.run(fresh, inbox)
    assert files_of(out).keys() == files_of(fresh).keys()
    assert (out / "results.jsonl").read_bytes() == (fresh / "results.jsonl").read_bytes()


def test_what_was_not_there_is_looked_for_again(world: World, tmp_path: Path) -> None:
    film = next(world.inbox.glob("0*.png"))
    late = tmp_path / "late.png"
    out = tmp_path / "out"
    (missing,) = run_batch(world.bundle, [late], out).batch.results
    assert missing.codes == (ReasonCode.FILE_NOT_FOUND,)
    journal = (out / "journal.jsonl").read_bytes()
    assert run_batch(world.bundle, [late], out).resumed == 0
    assert (out / "journal.jsonl").read_bytes() == journal  # nothing new to say
    shutil.copyfile(film, late)
    (found,) = run_batch(world.bundle, [late], out).batch.results
    assert found.status.scored


def test_a_film_still_being_copied_is_looked_at_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = next(world.inbox.glob("0*.png"))
    slow, out = tmp_path / "slow.png", tmp_path / "out"
    slow.write_bytes(film.read_bytes()[:2000])
    read = ReaderProcess.read

    def read_then_arrive(reader: ReaderProcess, path: Path, **wanted: bool) -> object:
        try:
            return read(reader, path, **wanted)
        finally:
            shutil.copyfile(film, path)

    monkeypatch.setattr(ReaderProcess, "read", read_then_arrive)
    (cut,) = run_batch(world.bundle, [slow], out).batch.results
    assert cut.status is Status.ERROR
    monkeypatch.undo()
    done = run_batch(world.bundle, [slow], out)
    assert done.resumed == 0
    assert next(iter(done.batch.results)).status.scored


def test_pictures_of_a_killed_run_that_no_report_shows_go(
    world: World, stopped: Callable[[int], Path]
) -> None:
    out = stopped(ends(world)[3])
    stem = sorted(world.inbox.glob("0*.png"))[-1].stem
    findings = list(world.bundle.labels)
    drawn = {path.name for path in (out / "maps").iterdir()}
    odd = next(
        f"{stem}__{finding}.png" for finding in findings if f"{stem}__{finding}.png" not in drawn
    )
    for name in (f"maps/{odd}", "films/damaged.jpg"):
        (out / name).write_bytes(b"of another state of the film")
    for name in ("films/mine.jpg", "maps/mine__too.png"):
        (out / name).write_bytes(b"mine")
    world.run(out)
    assert files_of(out) == {
        **files_of(world.out),
        "films/mine.jpg": b"mine",
        "maps/mine__too.png": b"mine",
    }


def test_another_bundle_is_refused_and_nothing_is_touched(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(world.out, out)
    other = Bundle(world.bundle.root, world.bundle.manifest, world.bundle.engine)
    other.id = "ba9876543210"
    with pytest.raises(UsageError, match=r"out was scored with another bundle\. Name another"):
        run_batch(other, list_films([str(world.inbox)]), out)
    assert files_of(out) == files_of(world.out)


def test_a_damaged_journal_is_refused_and_nothing_is_touched(
    world: World, stopped: Callable[[int], Path]
) -> None:
    out = stopped(ends(world)[-1])
    journal = bytearray((out / "journal.jsonl").read_bytes())
    journal[ends(world)[2] + 50] ^= 4
    (out / "journal.jsonl").write_bytes(journal)
    before = files_of(out)
    with pytest.raises(UsageError, match=r"journal\.jsonl, line 4 is damaged"):
        world.run(out)
    assert files_of(out) == before


def test_a_full_disk_keeps_what_was_finished(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hilum.batch import score

    last = sorted(world.inbox.glob("0*.png"))[-1].stem

    def full(path: Path, data: bytes) -> None:
        if path.name.startswith(last):
            raise OSError(28, "No space left on device", str(path))
        write_atomic(path, data)

    monkeypatch.setattr(score, "write_atomic", full)
    out = tmp_path / "out"
    films = list_films([str(world.inbox)])
    with pytest.raises(OSError, match="No space left"):
        run_batch(world.bundle, films, out, BatchRequest(lanes=1))
    monkeypatch.undo()
    assert world.run(out).resumed in (FILMS - 1, FILMS)  # the one after it may have been begun
    assert files_of(out) == files_of(world.out)


def test_pictures_of_other_bytes_are_never_taken(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scored, replaced, killed while the replacement was drawn, and put back."""
    from hilum.batch import score

    first, other = sorted(world.inbox.glob("0*.png"))[:2]
    film, out = tmp_path / "film.png", tmp_path / "out"
    shutil.copyfile(first, film)
    run_batch(world.bundle, [film], out)
    expected = files_of(out)

    def killed(path: Path, data: bytes) -> None:
        write_atomic(path, data)
        raise KeyboardInterrupt

    shutil.copyfile(other, film)
    monkeypatch.setattr(score, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        run_batch(world.bundle, [film], out)
    monkeypatch.undo()
    shutil.copyfile(first, film)
    assert run_batch(world.bundle, [film], out).resumed == 0
    assert files_of(out) == expected


# files and folder


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write_atomic(path, b"old", durable=True)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        with pytest.raises(OSError, match="No space"):
            write_atomic(path, b"new")
    assert files_of(tmp_path) == {"report.html": b"old"}
    write_atomic(path, b"new")
    assert files_of(tmp_path) == {"report.html": b"new"}


HOLD = """
import sys
from pathlib import Path
from hilum.files.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_in_use_is_refused_until_its_user_is_gone(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for end in ("kill", "leave"):
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(UsageError, match=rf"in use by process {other.pid} on .*\. Wait"):
                world.run(out)
            assert {path.name for path in out.iterdir()} == {".lock"}
            if end == "kill":
                other.kill()
        with locked(out):
            pass
    assert (out / ".lock").read_bytes() == b""
    world.run(out)
    assert files_of(out) == files_of(world.out)


def test_a_full_disk_says_for_which_file_it_was_too_full(tmp_path: Path) -> None:
    # a file that may not grow stands for a disk that is full: the same error, but for its number
    resource = pytest.importorskip("resource", reason="no limits on files here")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/report\.html'"):
            write_atomic(tmp_path / "report.html", b"new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
