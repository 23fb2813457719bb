"""Granian around an application, in this process: in its main thread, or beside other work."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from hilum.domain.errors import UsageError
from hilum.files.address import need_address
from hilum.web.guard import Application, Guard
from hilum.web.settings import GuardRules, ListenAddress, RequestLimits

__all__ = ["BackgroundServer", "serve_until_signal"]

_BACKLOG = 4096
_OWN_FILES = 256
"""Files that the program itself may open: books, films that arrive, pipes of readers."""
_START_S = 30.0


def serve_until_signal(
    app: Application, rules: GuardRules, address: ListenAddress, ready: Callable[[], None]
) -> None:
    """Answer requests until the process gets a signal to end.

    Args:
        app: what answers.
        rules: what a request must keep.
        address: to listen on, which is free.
        ready: called when it listens.
    """

    async def serving() -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for one in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(one, stopped.set)
        await _serve(_server(Guard(app, rules), rules.limits, address), address, ready, stopped)

    asyncio.run(serving())


class BackgroundServer:
    """A server in a thread of its own.

    Args:
        app: what answers.
        rules: what a request must keep.
        address: to listen on.

    Raises:
        UsageError: for an address that is not free.
    """

    def __init__(self, app: Application, rules: GuardRules, address: ListenAddress) -> None:
        need_address(address.host, address.port, address.remedy)
        self._app = Guard(app, rules)
        self._limits = rules.limits
        self._address = address
        self._listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Answer requests until `stop`; return when the first would be answered.

        Raises:
            UsageError: where it does not come to that.
        """
        self._thread.start()
        if not self._listening.wait(_START_S) or not self._thread.is_alive():
            place = f"{self._address.host}:{self._address.port}"
            raise UsageError(
                f"the address must be free to listen on; {place}. {self._address.remedy}"
            )

    def stop(self) -> None:
        """Answer no more requests."""
        if self._loop is not None and self._stopped is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopped.set)
        if self._thread.is_alive():
            self._thread.join(_START_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serving())
        finally:
            self._listening.set()

    async def _serving(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = _server(self._app, self._limits, self._address)
        await _serve(server, self._address, self._listening.set, self._stopped)


def _server(guarded: Guard, limits: RequestLimits, address: ListenAddress) -> Server:
    certificate = address.certificate
    return Server(
        guarded,
        address=address.host,
        port=address.port,
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


async def _serve(
    server: Server, address: ListenAddress, ready: Callable[[], None], stopped: asyncio.Event
) -> None:
    serving = asyncio.create_task(server.serve())
    await _listening(address, serving)
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


async def _listening(address: ListenAddress, serving: asyncio.Task[None]) -> None:
    """Wait until a connection is taken."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(address.host, address.port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
