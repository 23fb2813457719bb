"""Many clients at once for minutes: what is answered, how fast, and what memory and files do.

    python -m bench load [--clients 50] [--seconds 300] [--films FOLDER]

Every client sends films of new bytes; each tenth request is one for the grays of a film. What a
service starts once (a reader for each lane, one for pictures, the pool of connections to the books)
is started before the clock, by the same traffic. The bars: no answer but 200, 201, 202, 429 and 503
with `Retry-After`; `/healthz` p95 under 100 ms; memory of all processes in the last fifth of the
time at most 1.05 times that of the first; open files back to within 5; and one result for each film
that was taken.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import httpx

from bench.clock import busy
from bench.material import films_in
from bench.serve import Service, percentile, served

ALLOWED = (200, 201, 202, 429, 503)
HEALTH_MS = 100.0
MEMORY = 1.05
FILES = 5
ALL = "all"
NO_ANSWER = 0
"""Counted where none came within the client's 120 s."""
WARM_S = 20.0
"""Seconds of the same traffic before anything is counted."""
_SETTLED_S = 5.0
"""Seconds after the last answer, in which the server closes what clients left."""
_NUMBERS = count()


class Load:
    """What the clients saw.

    Args:
        service: under load.
        films: bytes that are sent, each time with a new end.
        until: time at which clients stop.
    """

    def __init__(self, service: Service, films: Sequence[bytes], until: float) -> None:
        self.service, self.films, self.until = service, films, until
        self.answers: Counter[int] = Counter()
        self.taken: set[str] = set()
        self.hasty = 0
        self.health: list[float] = []
        self.memory: list[dict[str, int]] = []

    def client(self, number: int) -> None:
        """Send films, and look at them, from an address of its own."""
        transport = httpx.HTTPTransport(local_address=f"127.0.1.{1 + number % 64}")
        headers = dict(self.service.client.headers)
        url = self.service.client.base_url
        last = ""
        with httpx.Client(transport=transport, base_url=url, headers=headers, timeout=120) as own:
            for turn in count():
                if time.monotonic() >= self.until:
                    return
                try:
                    answer = self._request(own, turn, last)
                except httpx.TimeoutException:
                    self.answers[NO_ANSWER] += 1
                    continue
                if answer.request.method == "POST" and answer.status_code in (200, 201, 202):
                    last = json.loads(answer.content)["id"]
                    self.taken.add(last)
                self.answers[answer.status_code] += 1
                if answer.status_code in (429, 503):
                    self.hasty += "retry-after" not in answer.headers
                    time.sleep(0.5)

    def _request(self, own: httpx.Client, turn: int, last: str) -> httpx.Response:
        if last and turn % 10 == 9:
            return own.get(f"/v1/films/{last}/pixels")
        data = self.films[turn % len(self.films)] + str(next(_NUMBERS)).encode()
        return own.post("/v1/films", content=data, headers={"Prefer": "wait=5"})

    def watch(self) -> None:
        """Ask for health and memory, once a second."""
        with httpx.Client(base_url=self.service.client.base_url, timeout=120) as own:
            while time.monotonic() < self.until:
                begun = time.perf_counter()
                own.get("/healthz").raise_for_status()
                self.health.append(time.perf_counter() - begun)
                self.memory.append(memory_of(self.service.pid))
                time.sleep(1)

    def run(self, clients: int) -> None:
        """Let all clients work until the time is over."""
        threads = [threading.Thread(target=self.watch, daemon=True)]
        threads += [
            threading.Thread(target=self.client, args=(one,), daemon=True) for one in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main(words: Sequence[str] = ()) -> None:
    """Put a service under load, and print what it did."""
    parser = argparse.ArgumentParser(prog="python -m bench load")
    parser.add_argument("--films", type=Path)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args(list(words))
    print(busy())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = films_in(root) if given.films is None else sorted(given.films.glob("*.png"))
        films = [path.read_bytes() for path in paths[:60]]
        with served(root / "store") as service:
            warm = Load(service, films, time.monotonic() + WARM_S)
            warm.run(given.clients)
            wait_for_results(warm)
            time.sleep(_SETTLED_S)
            files = files_of(service.pid)
            load = Load(service, films, time.monotonic() + given.seconds)
            load.run(given.clients)
            report(load)
            missing = wait_for_results(load)
            time.sleep(_SETTLED_S)
            print(f"films taken {len(load.taken)}; without a result {missing} (0)")
            more = files_of(service.pid) - files
            print(f"open files {files} before, {more:+d} after (within {FILES})")
        several = results_of(root / "store")
        print(f"films of the books with other than one result: {several} (0)")
    print(f"at the end: {busy()}")


def report(load: Load) -> None:
    """Print each figure beside its bar."""
    wrong = {code: n for code, n in load.answers.items() if code not in ALLOWED}
    print(f"answers {dict(sorted(load.answers.items()))}; others {wrong} (none)")
    print(f"429 and 503 without Retry-After: {load.hasty} (0)")
    print(f"/healthz p95 {percentile(load.health, 95) * 1000:.0f} ms (under {HEALTH_MS:.0f})")
    fifth = max(1, len(load.memory) // 5)
    for number in range(0, len(load.memory), fifth):
        part = load.memory[number : number + fifth]
        words = ", ".join(f"{name} {median_mb(part, name):.0f}" for name in part[0])
        print(f"memory, MB, part {1 + number // fifth} of 5: {words}")
    grown = median_mb(load.memory[-fifth:], ALL) / max(1.0, median_mb(load.memory[:fifth], ALL))
    print(f"memory of the last part: {grown:.3f} of the first (<= {MEMORY})")


def wait_for_results(load: Load) -> int:
    """Wait until each film that was taken has its result; return how many have none."""
    own, missing, state = load.service.client, 0, ""
    for film in load.taken:
        for _ in range(600):
            state = own.get(f"/v1/films/{film}").json()["state"]
            if state == "done":
                break
            time.sleep(0.1)
        missing += state != "done"
    return missing


def results_of(store: Path) -> int:
    """Return how many films of a store have no result, or several."""
    with closing(sqlite3.connect(store / "hilum.sqlite")) as books:
        query = (
            "SELECT COUNT(*) FROM (SELECT f.id FROM film f LEFT JOIN result r ON r.film=f.id "
            "GROUP BY f.id HAVING COUNT(r.film)<>1)"
        )
        return int(books.execute(query).fetchone()[0])


def median_mb(samples: Sequence[Mapping[str, int]], name: str) -> float:
    """Return the median of one figure, in MB."""
    return statistics.median(one[name] for one in samples) / 1024


def memory_of(pid: int) -> dict[str, int]:
    """Return the resident memory of a process, its children and all together, in kB."""
    found = {ALL: 0, "server": 0, "readers": 0}
    for one in (pid, *children(pid)):
        try:
            lines = Path(f"/proc/{one}/status").read_text("ascii").splitlines()
        except OSError:
            continue
        held = sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        found[ALL] += held
        found["server" if one == pid else "readers"] += held
    return found


def children(pid: int) -> list[int]:
    """Return the processes below one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text("ascii").split()):
            found += [child, *children(child)]
    return found


def files_of(pid: int) -> int:
    """Return the number of files that a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


if __name__ == "__main__":
    main()
