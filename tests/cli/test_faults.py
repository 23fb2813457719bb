"""`hilum predict` and its readers as processes: stopped together, killed apart, in a call."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

HILUM = str(Path(sys.executable).with_name("hilum"))
HOSTILE = Path(__file__).parents[1] / "reading" / "hostile_reader.py"
WITH_HOSTILE = """
import sys
from hilum import reading
reading.COMMAND = (sys.executable, "-P", sys.argv.pop(1))
from hilum.cli import main
main()
"""
STOP_WITHIN_S = 10

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc"),
]


def files_of(out: Path) -> dict[str, object]:
    """Every file's bytes; the journal's lines without their order, which is that of finishing."""
    found = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }
    journal = found.pop("journal.jsonl", b"")
    return {**found, "journal.jsonl": sorted(journal.splitlines())}


def copies(toy: Path, inbox: Path, count: int) -> Path:
    inbox.mkdir()
    films = sorted((toy / "films" / "images").iterdir())
    for number in range(count):
        shutil.copyfile(films[number % len(films)], inbox / f"{number:05d}.png")
    return inbox


def children(process: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended
            found += map(int, (thread / "children").read_text().split())
    return found


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.001)


@pytest.fixture
def began() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin a command in a process group of its own, as a shell does."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*command: object) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            list(map(str, command)), stdout=pipe, stderr=pipe, text=True, process_group=0
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        with suppress(OSError):
            process.kill()
        process.communicate()


def predict(toy: Path, inbox: Path, out: Path) -> list[object]:
    return [HILUM, "predict", toy / "bundle", inbox, "-o", out, "--phi", "none"]


def lines(out: Path) -> int:
    journal = out / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_for_all_of_a_terminal_s_processes_is_one_line_and_no_film_s_fault(
    toy: Path, tmp_path: Path, began: Callable[..., subprocess.Popen[str]], by: signal.Signals
) -> None:
    inbox, out = copies(toy, tmp_path / "inbox", 400), tmp_path / "out"
    for films in (0, 30):  # while readers begin, and while they read
        process = began(*predict(toy, inbox, out))
        wait_until(lambda: bool(children(process.pid)) and lines(out) > films)  # noqa: B023
        readers = children(process.pid)
        sent = time.monotonic()
        os.killpg(process.pid, by)
        printed, said = process.communicate(timeout=60)
        assert time.monotonic() - sent < STOP_WITHIN_S
        assert (process.returncode, printed) == (75, "")
        assert said == "hilum: stopped; the same command goes on where it stopped\n"
        assert not any(runs(reader) for reader in readers)
        journal = (out / "journal.jsonl").read_text()
        assert "DECODER_CRASHED" not in journal
        assert "TIMEOUT" not in journal


def test_readers_end_when_their_batch_is_killed_in_the_midst_of_a_film(
    toy: Path, tmp_path: Path, began: Callable[..., subprocess.Popen[str]]
) -> None:
    inbox, out = copies(toy, tmp_path / "inbox", 40), tmp_path / "out"  # enough for two readers
    shutil.copyfile(inbox / "00000.png", inbox / "hang.png")
    shutil.copyfile(inbox / "00000.png", inbox / "spin.png")
    command = predict(toy, inbox, out)[1:]
    process = began(sys.executable, "-c", WITH_HOSTILE, HOSTILE, *command)
    wait_until(lambda: lines(out) == 1 + 40)  # all but the two that hang and spin
    readers = children(process.pid)
    assert len(readers) >= 2
    assert all(runs(reader) for reader in readers)
    process.kill()
    process.wait()
    wait_until(lambda: not any(runs(reader) for reader in readers), 5)
    # and the folder is free
    for name in ("hang", "spin"):
        (inbox / f"{name}.png").unlink()
    done = subprocess.run(command_of(predict(toy, inbox, out)), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def command_of(command: list[object]) -> list[str]:
    return list(map(str, command))


def test_a_stop_ends_readers_that_hang(
    toy: Path, tmp_path: Path, began: Callable[..., subprocess.Popen[str]]
) -> None:
    inbox, out = copies(toy, tmp_path / "inbox", 1), tmp_path / "out"
    for name in ("hang", "spin"):
        shutil.copyfile(inbox / "00000.png", inbox / f"{name}.png")
    command = predict(toy, inbox, out)[1:]
    process = began(sys.executable, "-c", WITH_HOSTILE, HOSTILE, *command)
    wait_until(lambda: lines(out) == 1 + 1)
    readers = children(process.pid)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - sent < STOP_WITHIN_S
    assert process.returncode == 75
    assert said == "hilum: stopped; the same command goes on where it stopped\n"
    assert not any(runs(reader) for reader in readers)
    assert lines(out) == 1 + 1


@pytest.fixture(scope="module")
def three(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films, and what a run makes of them."""
    root = tmp_path_factory.mktemp("three")
    plain = predict(toy, copies(toy, root / "inbox", 3), root / "whole")
    subprocess.run(command_of([*plain, "--threads", 1]), check=True, capture_output=True)
    return root


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(("call", "at"), [("fsync", 6), ("rename", 4)])
def test_a_kill_by_the_kernel_within_a_call_is_not_to_be_seen(
    toy: Path, three: Path, tmp_path: Path, call: str, at: int
) -> None:
    inbox, out = three / "inbox", tmp_path / "out"
    command = [*predict(toy, inbox, out), "--threads", 1]
    inject = f"inject={call}:signal=KILL:when={at}"
    trace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject]
    killed = subprocess.run([*trace, *command_of(command)], capture_output=True, check=False)
    if b"ptrace" in killed.stderr:
        pytest.skip("processes may not be traced here")
    assert killed.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), killed.stderr
    assert files_of(out) != files_of(three / "whole")
    done = subprocess.run(command_of(command), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert files_of(out) == files_of(three / "whole")
