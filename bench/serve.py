"""A film through HTTP beside the same film in Python: latency and films a second, as ratios.

    python -m bench serve [--films FOLDER] [--count 60] [--work FOLDER] [--only peer]

A service is started in a process of its own. Its answers include the write to disk, the reading in
a confined process and the row in the books. All contenders take turns on the same films, each film
with bytes that are new. Last, a DenseNet-121 of 224 px (`bench predict` has the same) behind
hilum's service and behind the usual one of FastAPI and torch. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx

from bench.clock import busy
from bench.material import bundle_in, films_in
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.bundle import Bundle

CLIENTS = 4
LATENCY = (1.6, 2.0)
"""Bars of the service's p50 and p95 beside `Bundle.predict`."""
PEER = 5.0
"""Films a second beside the usual service."""
THROUGHPUT = 0.85
"""Bar of the service's films a second beside `hilum predict --tables-only`."""


def main(words: Sequence[str] = ()) -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m bench serve")
    parser.add_argument("--films", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--work", type=Path, help="keep the bundle here, for the next")
    parser.add_argument("--only", choices=("ratios", "peer"), help="one half of it")
    given = parser.parse_args(list(words))
    print(busy())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = films_in(root) if given.films is None else sorted(given.films.glob("*.png"))
        films = [path.read_bytes() for path in paths[: given.count]]
        if given.only != "peer":
            ratios(films, root)
        if given.only != "ratios":
            beside_peer(films, bundle_in(given.work or root), root)


def ratios(films: Sequence[bytes], root: Path) -> None:
    """Measure the service beside hilum without it."""
    bundle = Bundle.load("starter")
    with served(root / "store") as service:
        client = service.client
        warm(client, films)
        latency(films, bundle, client, root)
        throughput(films, bundle, client, root)


def warm(client: httpx.Client, films: Sequence[bytes]) -> None:
    """Let each lane start its reader."""
    rate(lambda data: send(client, data), list(fresh(films[: 2 * CLIENTS])))


def beside_peer(films: Sequence[bytes], bundle: Path, root: Path) -> None:
    """Measure films a second of a DenseNet-121 behind hilum, and behind FastAPI and torch."""
    from bench.peer_service import peer_served

    found: list[float] = []
    with served(root / "store-of-peer", str(bundle)) as service, peer_served() as peer:
        warm(service.client, films)
        for turn in range(4):
            hilum = rate(lambda data: send(service.client, data), list(fresh(films)))
            other = rate(lambda data: post(peer, data), list(fresh(films)))
            if turn:  # the first warms up
                found.append(hilum / other)
                print(f"{CLIENTS} clients: hilum {hilum:.1f} films/s, torch {other:.1f} films/s")
    print(f"ratio {statistics.median(found):.2f} (aim {PEER:.0f})")


def rate(one: Callable[[bytes], object], films: Sequence[bytes]) -> float:
    """Return films a second of several clients at once."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(one, films))
    return len(films) / (time.perf_counter() - begun)


def post(peer: httpx.Client, data: bytes) -> None:
    """Send a film to the peer."""
    headers = {"Content-Type": "application/octet-stream"}
    peer.post("/predict", content=data, headers=headers).raise_for_status()


def latency(films: Sequence[bytes], bundle: Bundle, client: httpx.Client, root: Path) -> None:
    """One client that waits for each result, in turn with `Bundle.predict` on the same file."""
    own, http = list[float](), list[float]()
    for data in fresh(films):
        path = root / "film.png"
        path.write_bytes(data)
        begun = time.perf_counter()
        bundle.predict(path)
        own.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        send(client, data)
        http.append(time.perf_counter() - begun)
    for name, part, bar in (("p50", 50, LATENCY[0]), ("p95", 95, LATENCY[1])):
        mine, theirs = percentile(http, part), percentile(own, part)
        print(
            f"{name}: HTTP {mine * 1000:.0f} ms, Bundle.predict {theirs * 1000:.0f} ms, "
            f"ratio {mine / theirs:.2f} (at most {bar})"
        )


def throughput(films: Sequence[bytes], bundle: Bundle, client: httpx.Client, root: Path) -> None:
    """Several clients at once, in turn with a batch of tables alone."""
    ratios: list[float] = []
    for turn in range(4):
        inbox = root / f"inbox-{turn}"
        inbox.mkdir()
        sent = list(fresh(films))
        for number, data in enumerate(sent):
            (inbox / f"{number}.png").write_bytes(data)
        begun = time.perf_counter()
        run_batch(
            bundle, sorted(inbox.iterdir()), root / f"out-{turn}", BatchRequest(pictures=None)
        )
        batch = len(sent) / (time.perf_counter() - begun)
        http = rate(lambda data: send(client, data), sent)
        if turn:  # the first warms up
            ratios.append(http / batch)
            print(f"{CLIENTS} clients {http:.0f} films/s, batch {batch:.0f} films/s")
    print(f"ratio {statistics.median(ratios):.2f} (at least {THROUGHPUT})")


_NUMBERS = count()


def fresh(films: Sequence[bytes]) -> Iterator[bytes]:
    """Yield films of new bytes: what follows the end of a PNG is passed over."""
    for data in films:
        yield data + str(next(_NUMBERS)).encode()


def send(client: httpx.Client, data: bytes) -> str:
    """Send a film until it is taken, wait for its result, and return its id."""
    while True:
        answer = client.post("/v1/films", content=data, headers={"Prefer": "wait=60"})
        if answer.status_code not in (429, 503):
            break
        time.sleep(0.05)
    if answer.status_code not in (200, 201):
        sys.exit(f"a film was answered {answer.status_code}: {answer.text[:200]}")
    return str(answer.json()["id"])


def percentile(values: Sequence[float], part: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[part - 1]


@dataclass(frozen=True)
class Service:
    """A service in a process of its own, and a client of it."""

    client: httpx.Client
    pid: int


@contextmanager
def served(store: Path, bundle: str = "starter") -> Generator[Service]:
    """Start a service of a bundle, and yield it with a client."""
    hilum = str(Path(sys.executable).with_name("hilum"))
    command = [hilum, "serve", "token", "add", "bench", "--scope", "admin", "--store", str(store)]
    token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = subprocess.Popen(
        [
            *(hilum, "serve", bundle, "--store", str(store), "--port", str(port)),
            *("--uploads-per-minute", "1000000"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None or not process.stdout.readline():
            sys.exit("the service did not start")
        headers = {"Authorization": f"Bearer {token}", "X-Hilum": "1"}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120
        ) as client:
            yield Service(client, process.pid)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
