"""A Ray cluster: the user's own, or one on this machine for the length of a run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from hilum.domain.errors import UsageError

__all__ = ["connected"]

_ANSWER_S = 5.0
"""Seconds for a port to answer."""
_JOIN_S = 14.0
"""Seconds for a cluster to take us in; Ray itself tries for two minutes, with a warning each."""
_STORE_BYTES = 100 << 20
"""Memory for what goes between processes; it is a few numbers."""
_TRY = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"


@contextmanager
def connected(address: str) -> Generator[Any]:
    """Connect to a cluster, and give the library of Ray.

    A cluster of our own has no dashboard, and sends no statistics on its use. To the user's
    cluster whatever its tokens and settings are is passed through.

    Args:
        address: `host:port`, or `auto` for the one that this machine is a node of; empty to start
            one here.

    Raises:
        UsageError: where Ray is not installed, or no such cluster answers.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise UsageError(
            "--engine ray needs Ray, which is not installed. Run: pip install 'hilum[ray]'"
        ) from None
    if ray.is_initialized():
        yield ray  # of a program that uses hilum
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        _check(address)
        ray.init(address=address, **quiet)
    else:
        os.environ.update({"RAY_USAGE_STATS_ENABLED": "0"})
        # "local": else an address in the environment would count
        ray.init("local", include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
    try:
        yield ray
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Find out within 20 s that a cluster answers and takes us in.

    Raises:
        UsageError: when it does not.
    """
    if address != "auto":
        host, colon, port = address.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise UsageError(f"--address must read host:port, or auto; got {address!r}")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
        except OSError as error:
            raise _nobody(address, error.strerror or str(error)) from None
    try:
        # in a process that can be ended
        tried = subprocess.run(  # noqa: S603 (our interpreter, and an argument that is no shell's)
            [sys.executable, "-c", _TRY, address],
            capture_output=True,
            text=True,
            timeout=_JOIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _nobody(address, "what answers there is not a Ray cluster, or is busy") from None
    if tried.returncode:
        lines = [line for line in tried.stderr.splitlines() if line.strip()]
        mismatch = next((line for line in lines if "ersion mismatch" in line), "")
        why = mismatch or (lines[-1] if lines else "it ended")
        raise _nobody(address, " ".join(why.split())[:200])


def _nobody(address: str, why: str) -> UsageError:
    return UsageError(
        f"--address must be that of a Ray cluster with this machine as a node, and with the same "
        f"Ray and Python; {address}: {why}. Run `ray start` here, or leave --address out"
    )
