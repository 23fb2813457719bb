"""A kill at any sync, and a full disk at any write: no film that was answered is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.node.books import NodeBooks
from hilum.node.spool import Spool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RECEIVER = """
import sys
from pathlib import Path
from hilum.node import guards
from hilum.node.books import NodeBooks
from hilum.node.receive import Receiver
from hilum.node.settings import NodeSettings
from hilum.node.spool import Spool

root, port = Path(sys.argv[1]), int(sys.argv[2])
guards.quiet_library()
rules = NodeSettings.model_validate(
    {"spool": root, "listen": {"dicom": {"port": port}}, "accept": {"free_gb": 0}}
)
receiver = Receiver(rules, Spool(root, 10**10, 0), NodeBooks(root))
receiver.start()
print("ready", flush=True)
sys.stdin.read()
"""
FILMS = 30
"""Films of one association; each is synced two or three times, in the thread of it."""


class Traced:
    """A receiver in a process whose system calls fail as `inject` has it."""

    def __init__(self, root: Path, port: int, inject: str) -> None:
        strace = shutil.which("strace")
        if strace is None:
            pytest.skip("strace is not installed")
        calls = inject.partition(":")[0]
        # what comes before the first film is not to fail: the counts begin when it is attached
        self.process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER, str(root), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        self.tracer = subprocess.Popen(
            [
                *(strace, "-f", "-p", str(self.process.pid), "-o", os.devnull),
                *("-e", f"trace={calls}", "-e", f"inject={inject}"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.tracer.stderr is not None
        first = self.tracer.stderr.readline()
        if "attached" not in first:
            self.end()
            pytest.skip(f"strace may not trace here: {first.strip()}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self.tracer.terminate()
        self.tracer.wait(30)
        for pipe in (self.process.stdin, self.process.stdout, self.tracer.stderr):
            if pipe is not None:
                pipe.close()


def encoded(one: Dataset) -> bytes:
    stream = DicomIO(BytesIO())
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, one)
    return stream.parent.getvalue()


def sent(kit: Any, port: int, films: list[Any]) -> list[int | None]:
    """The answer to each film of one association; None for those after its end."""
    found: list[int | None] = []
    with contextlib.suppress(RuntimeError, OSError):
        association = kit.Modality(port).associate()
        association.dimse_timeout = 3.0
        for film in films:
            found.append(association.send_c_store(film).get("Status"))
        association.release()
    return found + [None] * (len(films) - len(found))


def check(root: Path, films: list[Any], answers: list[int | None]) -> None:
    """What was answered is whole, before and after the next start tidies up."""
    books, spool = NodeBooks(root), Spool(root, 10**10, 0)
    try:
        for _ in range(2):
            for film, answer in zip(films, answers, strict=True):
                if answer != 0x0000:
                    continue
                sha256 = books.known(str(film.SOPInstanceUID))
                assert sha256 is not None, "an answered film has no row"
                assert spool.film(sha256).read_bytes().endswith(encoded(film))
            books.recover()
            spool.tidy(*books.files())
        assert list((root / "tmp").iterdir()) == []
        kept = {path.name for path in (root / "films").glob("??/*")}
        assert kept == books.files()[0]
    finally:
        books.close()


WHEN = [1, 3, 8]
ALL = [
    pytest.param(when, marks=pytest.mark.exhaustive) for when in range(1, 51) if when not in WHEN
]


@pytest.mark.parametrize("when", [*WHEN, *ALL])
def test_a_kill_at_a_sync_loses_no_answered_film(
    kit: Any, pixels: Any, tmp_path: Path, when: int
) -> None:
    root, port = tmp_path / "spool", kit.free_port()
    films = [kit.film(pixels, number, study=number) for number in range(1, FILMS + 1)]
    traced = Traced(root, port, f"fsync,fdatasync:signal=KILL:when={when}")
    try:
        answers = sent(kit, port, films)
        assert traced.process.wait(30) != 0, "it was not killed"
    finally:
        traced.end()
    assert answers[-1] is None
    check(root, films, answers)


@pytest.mark.parametrize("when", [*WHEN, *ALL])
def test_a_full_disk_at_a_write_loses_no_answered_film(
    kit: Any, pixels: Any, tmp_path: Path, when: int
) -> None:
    root, port = tmp_path / "spool", kit.free_port()
    films = [kit.film(pixels, number, study=number) for number in range(1, FILMS + 1)]
    calls = "write,pwrite64,fsync,fdatasync,rename,mkdir,link"
    traced = Traced(root, port, f"{calls}:error=ENOSPC:when={when}")
    try:
        answers = sent(kit, port, films)
        assert traced.process.poll() is None, "it goes on"
    finally:
        traced.end()
    assert set(answers) <= {0x0000, 0xA700}
    assert answers.count(0xA700) in range(1, 9)
    check(root, films, answers)
