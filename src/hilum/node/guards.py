"""What stands between the network and pynetdicom: limits that pynetdicom does not have.

pynetdicom reads a PDU of any length into memory, from anyone who connects, and keeps the bytes of
an object in memory until the last has come. Here a length is checked before it is read, every
wait has an end, and an object goes to the disk, counted, as it arrives. That needs classes of
pynetdicom to be replaced from outside, so that only versions it was tested with are taken.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pynetdicom
from pynetdicom import _config, evt
from pynetdicom.acse import ACSE
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from hilum.domain.errors import UsageError
from hilum.node.arrival import Arrival, ArrivalPlace, film_head
from hilum.node.settings import DicomListener

__all__ = ["TESTED", "GuardedServer", "check_version", "quiet_library"]

TESTED = ("3.0.4",)
"""Versions of pynetdicom that these guards were tested with."""
_SMALLEST_LIMIT = 65536
"""Bytes that a request for an association may have, however small the limit of a PDU."""
_LONGEST_COMMAND = 16384
"""Bytes of a command set; that of a C-STORE has some two hundred."""
_WATCH_S = 0.2
"""Seconds between two looks at all connections."""
_MESSAGES = 4
"""Messages that may wait: a peer that does not wait for answers is closed."""


def check_version() -> None:
    """Refuse a pynetdicom that the guards were not tested with.

    Raises:
        UsageError: naming the versions.
    """
    if pynetdicom.__version__ not in TESTED:
        raise UsageError(
            f"the node needs pynetdicom {' or '.join(TESTED)}, which its guards were tested with; "
            f"got {pynetdicom.__version__}. Install that version"
        )


def quiet_library() -> None:
    """Keep pynetdicom from logging, whose words name peers, and have it send files as they are."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    _config.LOG_HANDLER_LEVEL = "none"
    _config.STORE_SEND_CHUNKED_DATASET = True


class _Messages(DIMSEServiceProvider):
    """Messages whose data sets go to the disk."""

    def __init__(self, association: Association, server: GuardedServer) -> None:
        super().__init__(association)
        self._server = server

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take a fragment of a message."""
        if self.message is None:
            if self.msg_queue.qsize() >= _MESSAGES:
                self._server.count("closed: too many messages")
                _shut(self.assoc)
                return
            self.message = DIMSEMessage()
            self.message.data_set = self._server.arrival(self.assoc, self.message)
        if self.message.encoded_command_set.tell() > _LONGEST_COMMAND:
            self._server.count("closed: command too long")
            _shut(self.assoc)
            return
        try:
            super().receive_primitive(primitive)
        except Exception:  # not a message; pynetdicom would let its thread end and keep the socket
            self._server.count("closed: not a message")
            _shut(self.assoc)

    def give_up(self) -> None:
        """Remove what has come of a message that will not be whole."""
        message = self.message
        waiting = [one for _, one in list(self.msg_queue.queue)]
        for one in (
            getattr(message, "data_set", None),
            *(getattr(one, "DataSet", None) for one in waiting),
        ):
            if isinstance(one, Arrival):
                one.discard()


class _Negotiation(ACSE):
    """Negotiation that looks at title and address together."""

    def __init__(self, association: Association, server: GuardedServer) -> None:
        super().__init__(association)
        self._server = server

    def negotiate_association(self) -> None:
        """Reject who may not call; leave the rest to pynetdicom."""
        requestor, listener = self.assoc.requestor, self._server.listener
        request = requestor.primitive
        title = "" if request is None else str(request.calling_ae_title).strip()
        called = "" if request is None else str(request.called_ae_title).strip()
        if called != listener.ae_title:
            self._refuse("rejected: called title", 0x01, 0x01, 0x07)
        elif not listener.admits(title, requestor.address):
            self._refuse("rejected: calling title or address", 0x01, 0x01, 0x03)
        elif self._server.established() > listener.max_associations:
            self._refuse("rejected: too many associations", 0x02, 0x03, 0x02)
        else:
            super().negotiate_association()

    def _refuse(self, why: str, result: int, source: int, reason: int) -> None:
        self._server.count(why)
        self.send_reject(result, source, reason)
        evt.trigger(self.assoc, evt.EVT_REJECTED, {})
        self.assoc.kill()


class _Socket(AssociationSocket):
    """A socket whose every read has a limit and an end."""

    def __init__(self, association: Association, server: GuardedServer, client: Any) -> None:
        super().__init__(association, client_socket=client)
        self._limit = max(server.listener.max_pdu, _SMALLEST_LIMIT)
        self._idle_s = server.listener.idle_s
        self._server = server
        client.settimeout(self._idle_s)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read a part of a PDU, whole, within the idle time.

        Raises:
            OSError: for a longer PDU than the limit, or one that does not come in time.
        """
        if nr_bytes > self._limit:
            self._server.count("closed: PDU too long")
            raise OSError("a PDU is longer than the limit")
        read = bytearray(nr_bytes)
        view, place = memoryview(read), 0
        end = time.monotonic() + self._idle_s
        while place < nr_bytes:
            left = end - time.monotonic()
            if self.socket is None or left <= 0.0:
                self._server.count("closed: too slow")
                raise TimeoutError("a PDU must come within the idle time")
            self.socket.settimeout(left)
            count = self.socket.recv_into(view[place:])
            if not count:
                return read[:place]
            place += count
        if self.socket is not None:
            self.socket.settimeout(self._idle_s)  # for what is sent
        return read

    def _shutdown_socket(self) -> None:
        """Close the socket also where the peer has done so first."""
        if self.socket is not None:
            _close(self.socket)


@dataclass(eq=False)
class _Connection:
    """A TCP connection.

    Attributes:
        accepted: as it was accepted; its identity is the key of the connection.
        socket: of the peer, which TLS puts in the place of the one that was accepted.
        opened: monotonic seconds.
        association: None until its thread was made.
    """

    accepted: socket.socket
    socket: socket.socket
    opened: float
    association: Association | None = None


class _Handler(RequestHandler):
    """Makes an association of guarded parts."""

    server: GuardedServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def _create_association(self) -> Association:
        client = self.server.secured(self.request)
        made = super()._create_association()
        made.dul.event_queue.get_nowait()  # the socket that was made says that it is connected
        made.dul.socket = _Socket(made, self.server, client)
        made.acse = _Negotiation(made, self.server)
        made.dimse = _Messages(made, self.server)
        self.server.adopt(self.request, made)
        return made


class GuardedServer(ThreadedAssociationServer):
    """pynetdicom's server, with guards below it and a watch over every connection.

    Args:
        entity: the application entity, with its contexts.
        listener: address and limits.
        spool: where objects arrive.
        handlers: of pynetdicom's events.
        count: called with a word for what was closed or rejected.
    """

    daemon_threads = True

    def __init__(
        self,
        entity: ApplicationEntity,
        listener: DicomListener,
        spool: ArrivalPlace,
        handlers: list[Any],
        count: Callable[[str], None],
    ) -> None:
        self.listener = listener
        self.count = count
        self._spool = spool
        self._tls = None if listener.tls is None else listener.tls.context()
        self._open: dict[int, _Connection] = {}
        self._watching = threading.Lock()
        self._ended = threading.Event()
        self.request_queue_size = 128
        super().__init__(
            entity,
            (listener.host, listener.port),
            listener.ae_title,
            entity.supported_contexts,
            evt_handlers=handlers,
            request_handler=_Handler,
        )
        self._own = [
            threading.Thread(target=self.serve_forever, name="dicom", daemon=True),
            threading.Thread(target=self._watch, name="dicom-watch", daemon=True),
        ]

    def start(self) -> None:
        """Answer requests until `stop`."""
        self.ae._servers.append(self)  # pyright: ignore[reportPrivateUsage]
        for thread in self._own:
            thread.start()

    def stop(self) -> None:
        """Take no more connections, and close those that are open."""
        self._ended.set()
        self.shutdown()
        for one in self._connections():
            _close(one.socket)
        for thread in self._own:
            thread.join(5.0)

    def arrival(self, association: Association, message: DIMSEMessage) -> Arrival:
        """Return what takes the bytes of an object that comes by an association."""

        def close() -> None:
            self.count("closed: object too large")
            _shut(association)

        def head() -> bytes:
            contexts = {one.context_id: one for one in association.accepted_contexts}
            context = contexts.get(message.context_id)
            if context is None:
                return b""
            command = message.command_set
            return film_head(
                str(command.get("AffectedSOPClassUID", "")),
                str(command.get("AffectedSOPInstanceUID", "")),
                str(context.transfer_syntax[0]),
            )

        return Arrival(self.listener.max_object_mb * 10**6, self._spool, head, close)

    def secured(self, client: socket.socket) -> socket.socket:
        """Return what is read and written in place of a socket: itself, without TLS.

        Hands are shaken in the thread of the connection: a peer that says nothing would otherwise
        keep all others from being accepted.

        Raises:
            OSError: for a peer that does not speak TLS, or has no certificate that is known.
        """
        if self._tls is None:
            return client
        client.settimeout(self.listener.idle_s)
        made = self._tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        with self._watching:
            self._open[id(client)].socket = made
        try:
            made.do_handshake()
        except OSError:
            self.count("closed: no TLS with a known certificate")
            _close(made)
            raise
        return made

    def adopt(self, client: socket.socket, association: Association) -> None:
        """Remember the association of a connection."""
        with self._watching:
            known = self._open.get(id(client))
        if known is not None:
            known.association = association

    def established(self) -> int:
        """Return the number of associations that are made, or being made."""
        associations = [one.association for one in self._connections()]
        return sum(
            one is not None and one.is_alive() and one.requestor.primitive is not None
            for one in associations
        )

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take a connection, if there may be one more."""
        del client_address
        if len(self._open) >= self.listener.max_connections:
            self._sweep()
        with self._watching:
            if len(self._open) >= self.listener.max_connections:
                self.count("closed: too many connections")
                return False
            self._open[id(request)] = _Connection(request, request, time.monotonic())
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the words would name the peer."""
        del request, client_address

    def _connections(self) -> list[_Connection]:
        with self._watching:
            return list(self._open.values())

    def _watch(self) -> None:
        while not self._ended.wait(_WATCH_S):
            self._sweep()

    def _sweep(self) -> None:
        """Close connections that are over, or past their end."""
        now = time.monotonic()
        for one in self._connections():
            if one.socket.fileno() < 0 or self._is_over(one, now - one.opened):
                _close(one.socket)
                self._forget(one)

    def _is_over(self, one: _Connection, age_s: float) -> bool:
        if age_s > self.listener.association_s:
            self.count("closed: association too long")
            return True
        association = one.association
        if association is None:
            return age_s > self.listener.idle_s
        return association.ident is not None and not association.is_alive()

    def _forget(self, one: _Connection) -> None:
        with self._watching:
            self._open.pop(id(one.accepted), None)
        association = one.association
        if association is not None and isinstance(association.dimse, _Messages):
            association.dimse.give_up()


def _shut(association: Association) -> None:
    held = association.dul.socket
    if held is not None and held.socket is not None:
        with suppress(OSError):
            held.socket.shutdown(socket.SHUT_RDWR)


def _close(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        client.close()
