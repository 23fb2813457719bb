"""A node killed at any moment has every film that it answered, and sends each result once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydicom import dcmread

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.node.books import NodeBooks
from hilum.node.outbox import overview

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HILUM = str(Path(sys.executable).with_name("hilum"))
FILMS = 12


class Killed:
    """`hilum node` in a process of its own, started again after each kill."""

    def __init__(self, bundle: Path, config: Path, log: Path) -> None:
        self._command = [HILUM, "node", str(bundle), "--config", str(config), "--threads", "1"]
        self._log = log
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                self._command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("HILUM@"), self._log.read_text()

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.end()

    def end(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(60)
        self.process.stdout.close()
        return code


def feed(kit: Any, port: int, films: list[Any], answered: Counter[str]) -> None:
    """Send films, one association each, again until each is answered with success."""
    left = list(films)
    while left:
        with contextlib.suppress(AssertionError, OSError, RuntimeError):
            if kit.Modality(port).send(left[0]) == [0x0000]:
                answered[str(left.pop(0).SOPInstanceUID)] += 1
                continue
        time.sleep(0.05)


@dataclass(frozen=True)
class Siege:
    """How many films, by how many senders, and seconds between two kills.

    Attributes:
        most: kills; more come only while films are unanswered.
    """

    films: int
    senders: int
    between: tuple[float, float]
    most: int


QUICK = Siege(films=12, senders=1, between=(0.1, 1.5), most=3)
T18 = Siege(films=500, senders=4, between=(5.0, 15.0), most=1000)


@pytest.mark.parametrize(
    "siege", [QUICK, pytest.param(T18, marks=pytest.mark.exhaustive)], ids=["quick", "T18"]
)
def test_every_answered_film_is_scored_and_sent_once(
    kit: Any, toy: Path, peer: Any, pixels: Any, tmp_path: Path, siege: Siege
) -> None:
    rules = kit.settings(tmp_path / "spool", peer)
    config = tmp_path / "node.yaml"
    config.write_text(yaml.safe_dump(rules.model_dump(mode="json")))
    count = siege.films
    films = [kit.film(pixels, 100 + number, study=100 + number) for number in range(count)]
    answered: Counter[str] = Counter()
    port = rules.listen.dicom.port
    feeding = [
        threading.Thread(
            target=feed, args=(kit, port, films[first :: siege.senders], answered), daemon=True
        )
        for first in range(siege.senders)
    ]
    node = Killed(toy / "bundle", config, tmp_path / "log")
    rng = np.random.default_rng(12)
    node.start()
    for thread in feeding:
        thread.start()
    for kill in range(siege.most):
        if kill >= QUICK.most and len(peer.objects) >= count:
            break
        time.sleep(rng.uniform(*siege.between))
        node.kill()
        node.start()
    try:
        kit.until(lambda: len(answered) == count, "all films answered")
        kit.until(lambda: len(peer.objects) >= count, "all reports sent")
        books = NodeBooks(rules.spool)
        try:
            kit.until(
                lambda: overview(books.database).destinations == {"pacs0": {"sent": count}},
                "all sent, and nothing else to send",
            )
            assert overview(books.database).studies == {"complete": count}
            for film in films:  # whole on the disk
                sha256 = books.known(str(film.SOPInstanceUID))
                assert sha256 is not None
                kept = dcmread(rules.spool / "films" / sha256[:2] / sha256)
                assert kept.PixelData == film.PixelData
        finally:
            books.close()
    finally:
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        code = node.end()
    assert code == 0, (tmp_path / "log").read_text()
    # one report of each film; what is sent again after a kill is the same bytes (see the peer)
    reported = Counter(str(report.StudyInstanceUID) for report in peer.datasets())
    assert reported == Counter(str(film.StudyInstanceUID) for film in films)
    assert list((rules.spool / "tmp").iterdir()) == []
    assert "CANARY" not in (tmp_path / "log").read_text()
    assert "Canary" not in (tmp_path / "log").read_text()
    assert kit.ROOT not in (tmp_path / "log").read_text()


QUEUED = 10_000
START_S = 10.0


def test_ten_thousand_that_wait_do_not_delay_a_start(kit: Any, toy: Path, tmp_path: Path) -> None:
    """T23: a start with 10,000 queued films takes at most 10 s more than one with none."""
    rules = kit.settings(tmp_path / "spool", group={"quiet_s": 900, "at_most_s": 900})
    config = tmp_path / "node.yaml"
    config.write_text(yaml.safe_dump(rules.model_dump(mode="json")))
    node = Killed(toy / "bundle", config, tmp_path / "log")
    begun = time.monotonic()
    node.start()
    empty = time.monotonic() - begun
    node.kill()
    books = NodeBooks(rules.spool)

    def queue(connection: Any) -> None:
        for number in range(1, QUEUED + 1):
            sha256 = f"{number:064x}"[::-1]
            place = rules.spool / "films" / sha256[:2] / sha256
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(b"film")
            connection.execute(
                "INSERT INTO study (uid, state, newest, received, changed) "
                "VALUES (?, 'waiting', ?, ?, ?)",
                (f"1.2.{number}", number, begun, begun),
            )
            connection.execute(
                "INSERT INTO film (sop, study, sha256, size, patient, state, received, changed) "
                "VALUES (?, ?, ?, 4, '', 'received', ?, ?)",
                (f"1.3.{number}", number, sha256, begun, begun),
            )

    books.database.write(queue)
    books.close()
    for _ in range(2):  # and once more after a kill
        begun = time.monotonic()
        node.start()
        assert time.monotonic() - begun < empty + START_S
        node.kill()
    books = NodeBooks(rules.spool)
    try:
        found = overview(books.database)
        assert (found.studies, found.films) == ({"waiting": QUEUED}, {"received": QUEUED})
        assert len(list((rules.spool / "films").glob("??/*"))) == QUEUED
    finally:
        books.close()
