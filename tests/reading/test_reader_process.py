"""Readers that crash, hang and lie: the film gets its row, and the next film a new process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from hilum import Bundle
from hilum.batch.inputs import list_films
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.explain.caption import Caption
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.reading import process as reader_process
from hilum.reading.film import Reading, Refusal
from hilum.reading.picture import Picture
from hilum.reading.process import Limits, ReaderProcess

HOSTILE = (sys.executable, "-P", str(Path(__file__).with_name("hostile_reader.py")))
CRASHES = ("segfault", "exit", "babble")
LIES = ("no_raster", "short_raster", "no_shape", "nan", "no_hash", "more", "scored", "list")
QUICK = Limits(timeout_s=1, memory_bytes=1024**3)
PREPROCESSING = Preprocessing(size=64, channels=1, mean=(0.5,), std=(0.25,))

Named = Callable[[str], Path]


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReaderProcess]:
    monkeypatch.setattr("hilum.reading.COMMAND", HOSTILE)
    monkeypatch.setattr(reader_process, "_TO_ANSWER_S", 0.5)
    with ReaderProcess(PREPROCESSING, GateRules(), QUICK) as reader:
        yield reader


@pytest.fixture
def named(toy: Path, tmp_path: Path) -> Named:
    """A good film under a name."""
    films = sorted((toy / "films" / "images").iterdir())

    def make(name: str) -> Path:
        return Path(shutil.copyfile(films[len(name) % len(films)], tmp_path / f"{name}.png"))

    return make


def good(reader: ReaderProcess, path: Path) -> None:
    read = reader.read(path, with_preview=True)
    assert isinstance(read, Reading)
    assert read.raster.shape == (64, 64)
    assert read.preview is not None
    assert read.preview.startswith(b"\xff\xd8")


def refused(reader: ReaderProcess, path: Path) -> FilmError:
    with pytest.raises(FilmError) as caught:
        reader.read(path, with_preview=True)
    return caught.value


@pytest.mark.parametrize("name", CRASHES)
def test_a_film_that_ends_its_reader_is_named_and_the_next_is_read(
    hostile: ReaderProcess, named: Named, name: str
) -> None:
    error = refused(hostile, named(name))
    assert (error.status, error.code) == (Status.ERROR, ReasonCode.DECODER_CRASHED)
    said = {"segfault": "(SIGSEGV)", "exit": "(exit 7)", "babble": "makes no sense"}
    assert said[name] in error.message
    good(hostile, named("good"))


@pytest.mark.parametrize("name", ["hang", "fifo"])
def test_a_film_that_takes_for_ever_is_given_up(
    hostile: ReaderProcess, named: Named, name: str
) -> None:
    path = named(name)
    os.mkfifo(path.with_suffix(".pipe"))
    begun = time.monotonic()
    error = refused(hostile, path)
    assert (error.status, error.code) == (Status.ERROR, ReasonCode.TIMEOUT)
    assert "within 1 s" in error.message
    assert time.monotonic() - begun < 30


@pytest.mark.slow
def test_a_decoder_that_spins_is_ended_by_the_kernel(
    hostile: ReaderProcess, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "_TO_ANSWER_S", 60.0)
    assert refused(hostile, named("spin")).code is ReasonCode.TIMEOUT


def test_a_film_that_wants_too_much_memory_is_refused_and_its_reader_goes_on(
    hostile: ReaderProcess, named: Named
) -> None:
    said = hostile.read(named("greedy"), with_preview=False)
    assert isinstance(said, Refusal)
    assert (said.status, said.code) == (Status.REJECT, ReasonCode.DECODE_LIMIT)
    assert said.settled
    good(hostile, named("good"))


def test_a_reader_that_lies_is_not_believed_and_replaced(
    hostile: ReaderProcess, named: Named
) -> None:
    for name in LIES:
        error = refused(hostile, named(name))
        assert (error.code, "makes no sense" in error.message) == (
            ReasonCode.DECODER_CRASHED,
            True,
        ), name
    good(hostile, named("good"))


def test_what_is_said_unasked_is_not_the_next_film_s_fault(
    hostile: ReaderProcess, named: Named
) -> None:
    good(hostile, named("chatty"))
    child = hostile._child
    assert child is not None
    assert child._process.poll() is None
    while not child.has_output():
        pass
    good(hostile, named("good"))


def test_a_reader_that_died_between_two_films_is_replaced(
    hostile: ReaderProcess, named: Named
) -> None:
    good(hostile, named("good"))
    assert hostile._child is not None
    hostile._child._process.kill()
    hostile._child._process.wait()
    good(hostile, named("good"))


@pytest.mark.skipif(sys.platform != "linux", reason="what a process may do is limited on Linux")
def test_a_decoder_may_write_no_file(hostile: ReaderProcess, named: Named) -> None:
    path = named("writes")
    assert refused(hostile, path).code is ReasonCode.DECODER_CRASHED
    made = path.with_suffix(".made")
    assert not made.exists() or made.read_bytes() == b""


def test_nothing_in_the_working_folder_is_run(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "cv2", "hilum"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run from the folder of films')")
    monkeypatch.chdir(tmp_path)
    with ReaderProcess(PREPROCESSING, GateRules()) as reader:
        good(reader, next((toy / "films" / "images").iterdir()))


def test_pictures_are_drawn_on_the_film_read_last(toy: Path) -> None:
    film = next((toy / "films" / "images").iterdir())
    cells = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    caption = Caption("Mass", 0.5, 0.4, calibrated=True)
    picture = Picture(cells, caption, Style.HOT, panel=False, stored=PictureFormat.PNG)
    with ReaderProcess(PREPROCESSING, GateRules()) as reader:
        good(reader, film)
        first = reader.draw(picture)
        assert first.startswith(b"\x89PNG")
        assert reader.draw(picture) == first
        missing = reader.read(film.with_name("missing.png"), with_preview=True)
        assert isinstance(missing, Refusal)
        assert (missing.code, missing.sha256) == (ReasonCode.FILE_NOT_FOUND, None)
        with pytest.raises(FilmError, match="ended the process"):
            reader.draw(picture)  # of a film that was not read


# beginning and ending


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("import nothing_of_this_name", RuntimeError, r"\(exit 1\): ModuleNotFoundError: No mod"),
        ("import os; os._exit(3)", RuntimeError, r"\(exit 3\): no message"),
        ("import os; os.kill(os.getpid(), 9)", ChildProcessError, r"\(SIGKILL\): no message"),
        ("print('hello, this is no frame')", RuntimeError, "did not start"),
    ],
)
def test_a_reader_that_does_not_begin_says_why(
    monkeypatch: pytest.MonkeyPatch, script: str, error: type[Exception], said: str
) -> None:
    monkeypatch.setattr("hilum.reading.COMMAND", (sys.executable, "-P", "-c", script))
    reader = ReaderProcess(PREPROCESSING, GateRules())
    with pytest.raises(error, match=said):
        reader.sha256(Path("a.png"))


def test_a_reader_of_other_code_reads_no_film(monkeypatch: pytest.MonkeyPatch) -> None:
    """hilum was upgraded while a batch ran, and a reader has to be replaced."""
    monkeypatch.setattr("hilum.reading.process.code_sha256", lambda *_: "as it was")
    with (
        ReaderProcess(PREPROCESSING, GateRules()) as reader,
        pytest.raises(UsageError, match="files must not change during a run"),
    ):
        reader.sha256(Path("a.png"))


def test_a_machine_without_room_for_a_process_is_tried_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hilum.reading.COMMAND", ("/no/such/program",))
    with pytest.raises(ChildProcessError, match="did not start: No such file"):
        ReaderProcess(PREPROCESSING, GateRules()).sha256(Path("a.png"))


def test_a_reader_is_stopped_by_another_thread_within_a_film(
    hostile: ReaderProcess, named: Named
) -> None:
    good(hostile, named("good"))
    caught: list[Exception] = []
    film = named("held")
    pipe = film.with_suffix(".pipe")
    os.mkfifo(pipe)

    def ask() -> None:
        try:
            hostile.read(film, with_preview=False)
        except FilmError as error:
            caught.append(error)

    asking = Thread(target=ask)
    asking.start()
    inside = os.open(pipe, os.O_WRONLY)  # waits until the reader is within the film
    hostile.stop()
    asking.join(20)
    os.close(inside)
    assert not asking.is_alive()
    assert [str(error) for error in caught] == [
        "reading the film ended the process that read it (SIGKILL)"
    ]
    with pytest.raises(RuntimeError, match="closed takes no more"):
        hostile.sha256(Path("a.png"))


def test_a_reader_that_cannot_even_be_killed_is_left_behind(
    hostile: ReaderProcess, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits within the kernel for a share."""
    good(hostile, named("good"))
    assert hostile._child is not None
    stuck = hostile._child._process

    def wait(timeout: float | None = None) -> int:
        assert timeout is not None, "nobody waits for ever"
        raise subprocess.TimeoutExpired("reader", timeout)

    with monkeypatch.context() as patch:
        patch.setattr(stuck, "wait", wait)
        assert refused(hostile, named("hang")).code is ReasonCode.TIMEOUT
    good(hostile, named("good"))
    assert hostile._child._process is not stuck
    stuck.wait()


# a batch with all of them


@pytest.mark.slow
def test_bad_films_have_their_rows_and_good_ones_are_as_without_them(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.load(toy / "bundle")
    films = sorted((toy / "films" / "images").iterdir())[:6]
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for film in films:
        shutil.copyfile(film, inbox / film.name)
    request = BatchRequest(lanes=2, limits=QUICK)
    without = run_batch(bundle, list_films([str(inbox)]), tmp_path / "out", request).batch
    for name in (*CRASHES, "hang", "greedy", "no_shape"):
        shutil.copyfile(films[0], inbox / f"{name}.png")
    monkeypatch.setattr("hilum.reading.COMMAND", HOSTILE)
    monkeypatch.setattr(reader_process, "_TO_ANSWER_S", 0.5)
    again = [list_films([str(inbox)]) for _ in range(2)]
    for taken, listed in zip((0, len(films) + 1), again, strict=True):
        done = run_batch(bundle, listed, tmp_path / "mixed", request)
        assert done.resumed == taken  # no crash is kept
        codes = {result.image_id: result.codes for result in done.batch.results}
        for name in (*CRASHES, "no_shape"):
            assert codes[f"{name}.png"] == (ReasonCode.DECODER_CRASHED,)
        assert codes["hang.png"] == (ReasonCode.TIMEOUT,)
        assert codes["greedy.png"] == (ReasonCode.DECODE_LIMIT,)
        mixed = {result.input: result for result in done.batch.results}
        for result in without.results:
            assert mixed[result.input] == result
    for folder in ("films", "maps"):
        for picture in (tmp_path / "out" / folder).iterdir():
            assert (tmp_path / "mixed" / folder / picture.name).read_bytes() == picture.read_bytes()


def test_a_signal_for_the_batch_is_not_for_its_readers(toy: Path) -> None:
    with ReaderProcess(PREPROCESSING, GateRules()) as reader:
        good(reader, next((toy / "films" / "images").iterdir()))
        assert reader._child is not None
        process = reader._child._process
        assert os.getpgid(process.pid) == process.pid  # what a terminal sends does not reach it
        for by in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(by)
        good(reader, next((toy / "films" / "images").iterdir()))
        assert reader._child._process is process


def test_the_parent_loads_no_decoder() -> None:
    script = (
        "import sys; import hilum.reading.process, hilum.batch.run\n"
        "print(sorted({'PIL', 'kornia_rs', 'pydicom'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
