"""Slow and half-open senders: each is closed within its limit, and honest ones are answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import statistics
import threading
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Running


_LOG = logging.getLogger(__name__)
HALF = b"GET / HTTP/1.1\r\nHost: 127"
LIMIT_S = 20.0
HEADS, BODIES = 1000, 200
SLOWER = 3.0
"""How much longer an honest upload may take beside them, at the 95th percentile."""
UPLOADS = 40
SPARE_FILES = 5


def closed_after(port: int, data: bytes, drip: bytes) -> float:
    """Seconds until the service closes a connection on which next to nothing comes."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 10) as sender:
        sender.settimeout(0.5)
        sender.sendall(data)
        while time.monotonic() - begun < 60:
            try:
                if not sender.recv(4096):
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break
            if drip:
                try:
                    sender.sendall(drip)
                except OSError:
                    break
    return time.monotonic() - begun


@pytest.mark.slow
def test_slow_senders_are_closed_and_others_are_answered(review: Running) -> None:
    token = review.token("review")
    body = (
        f"PUT /v1/films/a/verdict HTTP/1.1\r\nHost: 127.0.0.1:{review.port}\r\nX-Hilum: 1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 9999\r\n\r\n{{"
    )
    kinds = [(HALF, b"")] * 40 + [(HALF, b"a")] * 10 + [(body.encode(), b" ")] * 10
    times: list[float] = []

    def one(data: bytes, drip: bytes) -> None:
        times.append(closed_after(review.port, data, drip))

    threads = [threading.Thread(target=one, args=kind) for kind in kinds]
    for thread in threads:
        thread.start()
    client = review.with_token(token)
    for _ in range(20):
        assert client.get("/v1/films", params={"limit": 1}).status_code == 200
    for thread in threads:
        thread.join()
    client.close()
    assert len(times) == len(kinds)
    assert max(times) < LIMIT_S
    open_files = Path(f"/proc/{review.process.pid}/fd")
    if open_files.exists():
        deadline = time.monotonic() + 10
        while len(sockets(open_files)) > 12 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(sockets(open_files)) <= 12


def sockets(folder: Path) -> list[str]:
    found: list[str] = []
    for one in folder.iterdir():
        try:
            target = str(one.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.append(target)
    return found


def slow_body(running: Running, token: str) -> bytes:
    """A film whose head is whole, and whose bytes are to come one a second."""
    return (
        f"POST /v1/films HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nX-Hilum: 1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 9999\r\n\r\n"
    ).encode()


async def held(port: int, address: str, data: bytes, drip: bytes) -> float:
    """Seconds until the service closes a connection from this address; -1 where it never does."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        writer.write(data)
        while time.monotonic() - begun < 3 * LIMIT_S:
            try:
                if not await asyncio.wait_for(reader.read(4096), 1.0):
                    return time.monotonic() - begun
            except TimeoutError:
                writer.write(drip)
    except ConnectionError:
        return time.monotonic() - begun
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return -1.0


async def storm(running: Running, addresses: list[str]) -> list[float]:
    body = slow_body(running, running.token("submit"))
    kinds = [(HALF, b"")] * HEADS + [(body, b"a")] * BODIES
    senders = [
        held(running.port, addresses[number % len(addresses)], *kind)
        for number, kind in enumerate(kinds)
    ]
    return await asyncio.gather(*senders)


def files_but_books(folder: Path) -> int:
    """Open files, without those of the books, of which a pool stays open; 0 without `/proc`."""
    if not folder.exists():
        return 0
    found: list[str] = []
    for one in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(one.readlink().name)
    return sum(not name.startswith("hilum.sqlite") for name in found)


FRESH = count()


def upload_s(running: Running, token: str, film: bytes) -> float:
    """Seconds of an honest upload with its result, by a connection of its own."""
    import httpx

    headers = {"Authorization": f"Bearer {token}", "X-Hilum": "1", "Prefer": "wait=60"}
    data = film + f"honest {next(FRESH)}".encode()
    begun = time.monotonic()
    while True:
        answer = httpx.post(f"{running.url}/v1/films", content=data, headers=headers, timeout=60)
        if answer.status_code != 503:
            break
        time.sleep(0.05)
    assert answer.status_code == 201, answer.text
    return time.monotonic() - begun


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("addresses", [64, 1])
def test_a_storm_of_slow_senders_keeps_nobody_out(
    scoring: Running, films: list[Path], addresses: int
) -> None:
    token, film = scoring.token("submit"), films[0].read_bytes()
    for _ in range(8):  # each lane starts its reader
        upload_s(scoring, token, film)
    quiet = [upload_s(scoring, token, film) for _ in range(UPLOADS)]
    opened = Path(f"/proc/{scoring.process.pid}/fd")
    before = files_but_books(opened)
    times: list[float] = []
    names = [f"127.0.2.{1 + number}" for number in range(addresses)]
    sender = threading.Thread(
        target=lambda: times.extend(asyncio.run(storm(scoring, names))), name="storm"
    )
    sender.start()
    beside: list[float] = []
    while sender.is_alive():
        beside.append(upload_s(scoring, token, film))
    sender.join()
    _LOG.info(
        "%d addresses: closed within %.1f s; honest p95 %.0f ms alone, %.0f ms beside them",
        *(addresses, max(times), p95(quiet) * 1000, p95(beside) * 1000),
    )
    assert len(times) == HEADS + BODIES
    assert min(times) >= 0.0
    assert max(times) < LIMIT_S
    assert p95(beside) <= SLOWER * p95(quiet)
    deadline = time.monotonic() + 10
    while files_but_books(opened) > before + SPARE_FILES and time.monotonic() < deadline:
        time.sleep(0.1)
    assert files_but_books(opened) <= before + SPARE_FILES
