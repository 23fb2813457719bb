"""Slow and half-open senders: each is closed within its limit, and honest ones are answered."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Running


HALF = b"GET / HTTP/1.1\r\nHost: 127"
LIMIT_S = 20.0


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
