"""`hilum predict` stopped by signals, started twice, started again: the command as it is used."""

from __future__ import annotations

import csv
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Hilum = Callable[..., subprocess.CompletedProcess[str]]

HILUM = str(Path(sys.executable).with_name("hilum"))
MANY = 520
FEW = 60
ALLOWED_MB = 60


def files_of(out: Path) -> dict[str, object]:
    """Every file's bytes; the journal's lines without their order, which is that of finishing."""
    paths = [path for path in out.rglob("*") if path.is_file()]
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}
    return {**found, "journal.jsonl": sorted(found["journal.jsonl"].splitlines())}


def copies(toy: Path, inbox: Path, count: int) -> Path:
    """So many films, of which some have the same bytes."""
    inbox.mkdir()
    films = sorted((toy / "films" / "images").iterdir())
    for number in range(count):
        shutil.copyfile(films[number % len(films)], inbox / f"{number:05d}.png")
    return inbox


@dataclass(frozen=True)
class Running:
    """A `hilum predict` in a process of its own."""

    process: subprocess.Popen[str]
    out: Path

    def finished(self) -> int:
        """Films that it has finished."""
        journal = self.out / "journal.jsonl"
        return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0

    def wait_for(self, films: int) -> None:
        deadline = time.monotonic() + 60
        while self.finished() < films:
            assert self.process.poll() is None, "it ended too early"
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def stop(self, by: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(by)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture
def start(toy: Path) -> Callable[..., Running]:
    def start(inbox: Path, out: Path) -> Running:
        command = [HILUM, "predict", str(toy / "bundle"), str(inbox), "-o", str(out)]
        pipe = subprocess.PIPE
        return Running(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True), out)

    return start


def test_the_end_tells_throughput_and_what_was_taken(
    toy: Path, tmp_path: Path, said: Callable[..., tuple[int, str, str]]
) -> None:
    inbox = copies(toy, tmp_path / "inbox", 3)
    (inbox / "empty.png").touch()
    arguments = ("predict", toy / "bundle", inbox, "-o", tmp_path / "out")
    for fresh in (4, 0):
        code, out, err = said(*arguments)
        assert (code, out) == (3, f"{tmp_path / 'out' / 'report.html'}\n")
        counted, rate = err.splitlines()
        assert re.fullmatch(r"4 inputs: .*, 1 error", counted)
        assert re.fullmatch(
            rf"{fresh} films in \d+\.\d s, \d+\.\d films/s; {4 - fresh} taken from the journal",
            rate,
        )
    assert said(*arguments, "--quiet")[2] == ""


def test_another_bundle_is_one_line_and_code_2(
    toy: Path, tmp_path: Path, said: Callable[..., tuple[int, str, str]]
) -> None:
    from hilum.batch.journal import Header, Journal, Recorded

    inbox, out = copies(toy, tmp_path / "inbox", 1), tmp_path / "out"
    out.mkdir()
    other = Header(bundle="another", precision="f32", code_sha256="older")
    with Journal(out / "journal.jsonl", other, Recorded()):
        pass
    code, printed, err = said("predict", toy / "bundle", inbox, "-o", out)
    assert (code, printed) == (2, "")
    assert err == (
        f"hilum: a batch is continued as it was begun; {out} was scored with another bundle, "
        "code_sha256, heatmaps, patients. Name another folder with -o\n"
    )


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_it_runs_says_how_to_go_on(
    toy: Path,
    tmp_path: Path,
    said: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    by: signal.Signals,
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stopped(*_: object, **__: object) -> None:
        handler = signal.getsignal(by)
        assert callable(handler)
        handler(by, None)  # what Python does when it comes; a real one is sent to a process below

    monkeypatch.setattr("hilum.batch.run.run_batch", stopped)
    inbox = copies(toy, tmp_path / "inbox", 1)
    code, out, err = said("predict", toy / "bundle", inbox, "-o", tmp_path / "out")
    assert (code, out) == (75, "")
    assert err == "hilum: stopped; the same command goes on where it stopped\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_a_killed_run_goes_on_and_nobody_can_see_it(
    toy: Path, tmp_path: Path, start: Callable[..., Running], hilum: Hilum
) -> None:
    inbox = copies(toy, tmp_path / "inbox", 100)
    hilum("predict", toy / "bundle", inbox, "-o", tmp_path / "whole", "--quiet")
    out = tmp_path / "out"
    for films, by, code in (
        (10, signal.SIGKILL, -9),
        (30, signal.SIGTERM, 75),
        (50, signal.SIGINT, 75),
    ):
        run = start(inbox, out)
        run.wait_for(films)
        returned, told = run.stop(by)
        assert returned == code
        assert ("the same command goes on" in told) == (code == 75)
        assert not (out / "results.jsonl").exists()
    run = start(inbox, out)
    _, told = run.process.communicate(timeout=60)
    assert run.process.returncode == 0
    taken = re.search(r"(\d+) films in .*; (\d+) taken from the journal", told)
    assert taken is not None
    assert int(taken[1]) + int(taken[2]) == 100
    assert int(taken[2]) >= 50
    assert files_of(out) == files_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_second_run_is_refused_while_the_first_goes_on(
    toy: Path, tmp_path: Path, start: Callable[..., Running], hilum: Hilum
) -> None:
    inbox = copies(toy, tmp_path / "inbox", FEW)
    first = start(inbox, tmp_path / "out")
    first.wait_for(1)
    first.process.send_signal(signal.SIGSTOP)
    done = hilum("predict", toy / "bundle", inbox, "-o", tmp_path / "out", code=2)
    assert first.process.poll() is None
    first.process.send_signal(signal.SIGCONT)
    assert f"is in use by process {first.process.pid} on " in done.stderr
    assert done.stderr.count("\n") == 1
    first.process.communicate(timeout=60)
    assert first.process.returncode == 0


MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Of a small process, since a child begins with the memory of its parent."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kB on Linux only")
def test_many_films_take_hardly_more_memory_than_few(toy: Path, tmp_path: Path) -> None:
    inbox = copies(toy, tmp_path / "inbox", MANY)
    (tmp_path / "few.csv").write_text(
        "".join(f"{line}\n" for line in ["path", *sorted(map(str, inbox.iterdir()))[:FEW]])
    )
    peak_mb: list[float] = []
    for films, count in ((tmp_path / "few.csv", FEW), (inbox, MANY)):
        out = tmp_path / f"out{count}"
        predict = [HILUM, "predict", toy / "bundle", films, "-o", out, "--quiet"]
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *map(str, predict)],
            capture_output=True,
            text=True,
            check=True,
        )
        peak_mb.append(int(done.stdout.split()[-1]) / 1024)
        with (out / "final_clinical_report.csv").open(newline="") as file:
            rows = [row["Image_ID"] for row in csv.DictReader(file)]
        assert rows == [f"{number:05d}.png" for number in range(count)]
    assert peak_mb[1] - peak_mb[0] < ALLOWED_MB, peak_mb
