"""A service that is killed at any moment loses nothing that it answered, and does nothing twice."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Client, Start


SENDERS = 3
KILLS = 20


def books(store: Path) -> sqlite3.Connection:
    return sqlite3.connect(store / "hilum.sqlite")


def check(store: Path, films: set[str], readings: set[tuple[str, int]]) -> None:
    """The books are sound, and have everything that was answered once."""
    from hilum.service.parts import open_store
    from hilum.service.store.events import verify_chain

    opened = open_store(store, new=False)
    assert verify_chain(opened.database).fault == ""
    opened.close()
    with books(store) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {row[0] for row in found.execute("SELECT id FROM film")}
        rows = found.execute("SELECT film, version FROM verdict").fetchall()
        hashes = [row[0] for row in found.execute("SELECT sha256 FROM film")]
    found.close()
    assert films <= kept
    assert readings <= set(rows)
    assert len(rows) == len(set(rows))
    for sha256 in hashes:
        assert (store / "objects" / sha256[:2] / sha256).is_file()


class Traffic(threading.Thread):
    """Sends films and readings until the service is gone; remembers what was answered."""

    def __init__(
        self, client: Client, films: list[bytes], after: int, reached: threading.Event
    ) -> None:
        super().__init__()
        self.client, self.films, self.after, self.reached = client, films, after, reached
        self.wrong: list[int] = []
        self.kept: set[str] = set()
        self.read: set[tuple[str, int]] = set()

    def run(self) -> None:
        import httpx

        try:
            for data in self.films:
                self.one(data)
                if len(self.kept) >= self.after:
                    self.reached.set()
        except (httpx.TransportError, json.JSONDecodeError):
            pass
        self.reached.set()

    def one(self, data: bytes) -> None:
        answer = self.client.post("/v1/films", content=data)
        if answer.status_code not in (200, 201, 202):
            if answer.status_code not in (429, 503):
                self.wrong.append(answer.status_code)
            return
        film = answer.json()["id"]
        self.kept.add(film)
        place = f"/v1/films/{film}/verdict"
        reading = {"findings": {"Mass": "present"}}
        given = self.client.put(place, json=reading, headers={"If-Match": '"0"'})
        if given.status_code == 201:
            self.read.add((film, given.json()["version"]))
        else:
            self.wrong.append(given.status_code)


def variants(film: Path, count: int, start: int) -> list[bytes]:
    """Many films of different bytes and one picture: what follows a PNG's end is passed over."""
    data = film.read_bytes()
    return [data + f"{start + number}".encode() for number in range(count)]


def rounds(start: Start, films: list[Path], store: Path, moments: list[tuple[int, float]]) -> None:
    """Kill the service once for each moment: so many films of one sender, and seconds more."""
    kept: set[str] = set()
    read: set[tuple[str, int]] = set()
    for number, (after, more_s) in enumerate(moments):
        running = start("starter", store=store)
        check(store, kept, read)
        reached = threading.Event()
        traffics = [
            Traffic(
                running.client("admin", name=f"anna{sender}"),
                variants(films[sender], 40, number * 1000),
                after,
                reached,
            )
            for sender in range(SENDERS)
        ]
        for traffic in traffics:
            traffic.start()
        assert reached.wait(120)
        time.sleep(more_s)
        running.kill()
        for traffic in traffics:
            traffic.join()
            assert not traffic.wrong
            kept |= traffic.kept
            read |= traffic.read
        check(store, kept, read)
    running = start("starter", store=store)
    client = running.client("read")
    for film in kept:
        wait_for(lambda film=film: client.get(f"/v1/films/{film}").json()["state"] == "done")
    assert running.stop() == 0
    with books(store) as found:
        counts = found.execute("SELECT COUNT(*), COUNT(DISTINCT film) FROM result").fetchone()
        waiting = found.execute("SELECT COUNT(*) FROM film WHERE state='queued'").fetchone()
    found.close()
    assert counts[0] == counts[1] >= len(kept)
    assert waiting == (0,)


def wait_for(done: Callable[[], bool], tries: int = 600) -> None:
    for _ in range(tries):
        if done():
            return
        time.sleep(0.1)
    pytest.fail("the film has no result yet")


def test_killed_in_the_middle(start: Start, films: list[Path], tmp_path: Path) -> None:
    rounds(start, films, tmp_path / "store", [(1, 0.0), (5, 0.01)])


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(200 // KILLS))
def test_killed_at_many_moments(start: Start, films: list[Path], tmp_path: Path, part: int) -> None:
    """200 kills in all, each part in a store of its own."""
    draw = np.random.default_rng((8, part))
    moments = zip(draw.integers(0, 20, KILLS), draw.uniform(0.0, 0.3, KILLS), strict=True)
    store = tmp_path / "store"
    rounds(start, films, store, [(int(after), float(more_s)) for after, more_s in moments])
