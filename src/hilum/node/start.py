"""A node put together: receiver, groups and senders around one spool."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hilum.batch.dicom_objects import DicomRequest
from hilum.batch.score import BatchRequest, FilmScoring
from hilum.bundle import Bundle
from hilum.domain.errors import UsageError
from hilum.files.address import need_address
from hilum.files.lock import locked
from hilum.node.books import NodeBooks
from hilum.node.calls import echo
from hilum.node.commit import Commitments
from hilum.node.dicomweb.tokens import SenderTokens
from hilum.node.group import StudyGroups, StudyScoring
from hilum.node.guards import check_version, quiet_library
from hilum.node.keep import Keeper
from hilum.node.outbox import Outbox
from hilum.node.outgoing import Outgoing
from hilum.node.peers import StowDestination
from hilum.node.receive import ANOTHER, Receiver
from hilum.node.send import Sender
from hilum.node.settings import NodeSettings
from hilum.node.spool import Spool
from hilum.node.stow import StowSender, web_echo
from hilum.node.tally import Tally
from hilum.node.view import NodeView
from hilum.node.worker import DeliveryWorker, WorkerParts

if TYPE_CHECKING:
    from hilum.web.server import BackgroundServer

__all__ = ["Node", "NodeWork", "check_node", "open_spool", "running"]

_LOG = logging.getLogger(__package__)


@dataclass(frozen=True)
class NodeWork:
    """What a node scores with.

    Attributes:
        bundle: loaded.
        request: options of scoring, without pictures.
        objects: kinds of objects, and the key of their UIDs.
        lanes: studies that are scored at a time.
    """

    bundle: Bundle
    request: BatchRequest
    objects: DicomRequest
    lanes: int


class Node:
    """A node; `running` starts and stops one.

    Args:
        settings: its configuration.
        work: what it scores with.

    Attributes:
        books: of the node.
        receiver: takes films.
    """

    def __init__(self, settings: NodeSettings, work: NodeWork) -> None:
        check_version()
        need_pages(settings)
        _check_certificates(settings)
        quiet_library()
        self.spool = open_spool(settings)
        forms = [Outgoing(one, self.spool) for one in settings.destinations]
        self.books = NodeBooks(settings.spool)
        self.books.recover()
        self.spool.tidy(*self.books.files())
        self.tally = Tally()
        title = settings.listen.dicom.ae_title
        outbox, commitments = Outbox(self.books.database), Commitments()
        self._senders: list[DeliveryWorker] = []
        for one, form in zip(settings.destinations, forms, strict=True):
            parts = WorkerParts(settings.retry, outbox, form, self.tally)
            self._senders.append(
                StowSender(one, parts)
                if isinstance(one, StowDestination)
                else Sender(one, title, parts, commitments)
            )
        study = StudyScoring(
            FilmScoring(work.bundle, settings.spool, work.request, timed=self.tally.time),
            work.objects,
            self.spool,
            self.books,
            [one.name for one in settings.destinations],
            self._built,
            reports_rejects=settings.results.on_reject == "sr",
        )
        self._keeper = Keeper(settings.keep, self.books.database, self.spool)
        self._groups = StudyGroups(settings.group, study, work.lanes)
        try:
            self.receiver = Receiver(
                settings, self.spool, self.books, self._groups.wake, self.tally, commitments
            )
            self._pages = self._server(settings, work.bundle.id)
            self._films = self._film_server(settings)
        except UsageError:
            self.books.close()
            raise

    def start(self) -> None:
        """Take films, score them, and send results."""
        self._groups.start()
        for sender in self._senders:
            sender.start()
        self._keeper.start()
        self.receiver.start()
        for server in (self._pages, self._films):
            if server is not None:
                server.start()

    def stop(self) -> None:
        """Stop taking films first; what is unfinished waits for the next start."""
        for server in (self._films, self._pages):
            if server is not None:
                server.stop()
        self.receiver.stop()
        self._groups.stop()
        for sender in self._senders:
            sender.stop()
        self._keeper.stop()
        self.books.close()

    def _server(self, settings: NodeSettings, bundle: str) -> BackgroundServer | None:
        """Return the server of the pages; None where the configuration has none."""
        listener = settings.listen.status
        if listener is None:
            return None
        from hilum.node.pages import page_server

        largest = settings.listen.dicom.max_object_mb * 10**6
        view = NodeView(self.books, self.spool, self.tally, bundle, largest, self._wake)
        return page_server(view, listener)

    def _film_server(self, settings: NodeSettings) -> BackgroundServer | None:
        """Return the server that takes films by STOW-RS; None where the configuration has none."""
        listener = settings.listen.dicomweb
        if listener is None:
            return None
        from hilum.node.dicomweb.receive import film_server

        return film_server(settings, listener, self.receiver.intake)

    def _wake(self) -> None:
        self._groups.wake()
        self._built()

    def _built(self) -> None:
        for sender in self._senders:
            sender.wake()


@contextmanager
def running(settings: NodeSettings, work: NodeWork) -> Generator[Node]:
    """Run a node; it alone has its spool."""
    settings.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(settings.spool):
        node = Node(settings, work)
        node.start()
        try:
            yield node
        finally:
            node.stop()


def open_spool(settings: NodeSettings) -> Spool:
    """Open the folder of a node.

    Raises:
        UsageError: for a folder that films cannot be kept in.
    """
    accept = settings.accept
    return Spool(settings.spool, round(accept.quota_gb * 1e9), round(accept.free_gb * 1e9))


def need_pages(settings: NodeSettings) -> None:
    """Refuse pages without the packages that serve them.

    Raises:
        UsageError: naming what is missing.
    """
    packages = ("starlette", "granian", "prometheus_client")
    missing = [name for name in packages if not find_spec(name)]
    for name in ("status", "dicomweb"):
        if getattr(settings.listen, name) is not None and missing:
            raise UsageError(f"listen.{name} needs {', '.join(missing)}; install hilum[serve]")


def _check_certificates(settings: NodeSettings) -> None:
    for part in (settings.listen.dicom, *settings.destinations):
        if not isinstance(part, StowDestination) and part.tls is not None:
            part.tls.context()


def check_node(settings: NodeSettings, warn: Callable[[str], None]) -> None:
    """Check what a node needs: library, spool, address, and that every destination answers C-ECHO.

    Args:
        settings: of the node.
        warn: called with a line for a destination that does not answer, which is no error: it may
            later.

    Raises:
        UsageError: for what a node cannot start without.
    """
    check_version()
    quiet_library()
    need_pages(settings)
    spool = open_spool(settings)
    if not spool.has_room():
        raise UsageError(
            f"the disk of the spool must have more than {settings.accept.free_gb:g} GB free; "
            f"{settings.spool} has less. Free some, or lower accept.free_gb"
        )
    listener = settings.listen.dicom
    need_address(listener.host, listener.port, ANOTHER)
    pages, films = settings.listen.status, settings.listen.dicomweb
    if pages is not None:
        need_address(pages.host, pages.port, "Give another with listen.status")
    if films is not None:
        need_address(films.host, films.port, "Give another with listen.dicomweb")
        SenderTokens(films.tokens)
    _check_certificates(settings)
    for one in settings.destinations:
        Outgoing(one, spool).close()
    for one in settings.destinations:
        if isinstance(one, StowDestination):
            wrong, what = web_echo(one), "a search"
        else:
            wrong, what = echo(one, settings.listen.dicom.ae_title), "C-ECHO"
        if wrong:
            warn(f"destination {one.name} does not answer {what}: {wrong}")
