"""Granian around the application, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from hilum.files.address import need_address
from hilum.service.app import application
from hilum.service.guard import Guard
from hilum.service.parts import ServiceParts
from hilum.service.settings import ServiceSettings

__all__ = ["Certificate", "serve_forever"]

_BACKLOG = 4096
_OWN_FILES = 256
"""Files that the service itself may open: books, films that arrive, pipes of readers."""


@dataclass(frozen=True)
class Certificate:
    """The files for TLS.

    Attributes:
        chain: certificates, PEM.
        key: private key, PKCS #8.
    """

    chain: Path
    key: Path


def serve_forever(
    parts: ServiceParts, certificate: Certificate | None, ready: Callable[[], None]
) -> None:
    """Answer requests until the process gets a signal to end.

    Args:
        parts: what answers.
        certificate: for TLS; None without.
        ready: called when the service listens.

    Raises:
        UsageError: when the address cannot be listened on.
    """
    settings = parts.settings
    need_address(settings.host, settings.port, "Give another --port")
    if parts.queue is not None:
        parts.queue.start()
    asyncio.run(_serve(parts, certificate, ready))


async def _serve(
    parts: ServiceParts, certificate: Certificate | None, ready: Callable[[], None]
) -> None:
    settings, limits = parts.settings, parts.settings.limits
    guarded = Guard(application(parts, settings.dev), settings)
    server = Server(
        guarded,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        # of connections: who sends slowly must not keep others from being accepted
        backpressure=_connections(limits.connections),
        http1_settings=HTTP1Settings(header_read_timeout=round(limits.header_s * 1000)),
        log_enabled=False,
        ssl_cert=None if certificate is None else certificate.chain,
        ssl_key=None if certificate is None else certificate.key,
    )
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(one, stopped.set)
    serving = asyncio.create_task(server.serve())
    await _listening(settings, serving)
    ready()
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not serving.done():
        server.stop()
    await serving


def _connections(most: int) -> int:
    """Return how many connections to accept, with as many open files allowed as the system lets."""
    try:
        import resource
    except ImportError:  # Windows
        return most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(_OWN_FILES, min(most, soft - _OWN_FILES))
    return most


async def _listening(settings: ServiceSettings, serving: asyncio.Task[None]) -> None:
    """Wait until a connection is taken."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(settings.host, settings.port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
