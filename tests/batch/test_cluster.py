"""The address of a cluster: what is none, and where nobody answers, is one line within seconds."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from hilum.batch.engines.parts.cluster import connected
from hilum.domain.errors import UsageError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'hilum[ray]'")
pytestmark = pytest.mark.skipif(ray.is_initialized(), reason="this process is in a cluster")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("address", ["nowhere", "host:99999", ":6379", "ray://a:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="--address must"), connected(address):
        pass


def test_an_address_where_nobody_answers_is_one_line_at_once() -> None:
    since = time.monotonic()
    with pytest.raises(UsageError, match="Connection refused") as caught:  # noqa: SIM117
        with connected(f"127.0.0.1:{free_port()}"):
            pass
    assert "\n" not in str(caught.value)
    assert time.monotonic() - since < 5


@pytest.mark.slow
def test_what_answers_and_is_no_cluster_is_one_line_within_20_s() -> None:
    """Ray itself tries for two minutes, with a warning every few seconds."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        held: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        since = time.monotonic()
        with pytest.raises(UsageError, match="is not a Ray cluster, or is busy"):  # noqa: SIM117
            with connected(f"127.0.0.1:{server.getsockname()[1]}"):
                pass
        assert time.monotonic() - since < 20
        server.shutdown(socket.SHUT_RDWR)
    for one in held:
        one.close()
