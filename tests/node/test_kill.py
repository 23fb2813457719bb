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
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

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


def test_every_answered_film_is_scored_and_sent_once(
    kit: Any, toy: Path, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    rules = kit.settings(tmp_path / "spool", peer)
    config = tmp_path / "node.yaml"
    config.write_text(yaml.safe_dump(rules.model_dump(mode="json")))
    films = [kit.film(pixels, 100 + number, study=100 + number) for number in range(FILMS)]
    answered: Counter[str] = Counter()
    feeding = threading.Thread(
        target=feed, args=(kit, rules.listen.dicom.port, films, answered), daemon=True
    )
    node = Killed(toy / "bundle", config, tmp_path / "log")
    rng = np.random.default_rng(12)
    node.start()
    feeding.start()
    for wait in rng.uniform(0.1, 1.5, size=3):
        time.sleep(wait)
        node.kill()
        node.start()
    try:
        kit.until(lambda: len(answered) == FILMS, "all films answered")
        kit.until(lambda: len(peer.objects) >= FILMS, "all reports sent")
        books = NodeBooks(rules.spool)
        try:
            kit.until(
                lambda: overview(books.database).destinations == {"pacs0": {"sent": FILMS}},
                "all sent, and nothing else to send",
            )
            assert overview(books.database).studies == {"complete": FILMS}
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
