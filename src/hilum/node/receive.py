"""Films by C-STORE: on the disk as they came, in the books, and only then answered."""

from __future__ import annotations

import hashlib
import logging
import mmap
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.uid import UID, ExplicitVRBigEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from hilum.files.address import address_taken
from hilum.imaging.dicom.identifiers import Identifiers, identifiers_of
from hilum.interchange.parts.modules import IMPLEMENTATION, IMPLEMENTATION_NAME, MANUFACTURER
from hilum.node.arrival import Arrival
from hilum.node.books import NodeBooks
from hilum.node.commit import COMMITMENT, Commitments
from hilum.node.contexts import FILM_CLASSES, IGNORED_CLASSES, SYNTAXES
from hilum.node.guards import GuardedServer
from hilum.node.peers import Destination
from hilum.node.records import Receipt, ReceivedFilm, Refused
from hilum.node.settings import NodeSettings
from hilum.node.spool import Spool
from hilum.node.tally import Tally

__all__ = ["ANOTHER", "Receiver"]

ANOTHER = "Give another with listen.dicom"
"""What to do where the address is taken."""

_LOG = logging.getLogger(__package__)

VERIFICATION = UID("1.2.840.10008.1.1")
SUCCESS = 0x0000
DUPLICATE = 0x0111
CLASS_NOT_SUPPORTED = 0x0122
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

_UID = re.compile(r"[0-9.]{1,64}")


class _RefusedError(Exception):
    """An object that is not accepted, with its status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Receiver:
    """The C-ECHO and C-STORE provider.

    Args:
        settings: of the node.
        spool: where films go.
        books: where they are entered.
        arrived: called when a film came.
        tally: of what came, and how long it took.
        commitments: those that peers may report on.

    Attributes:
        counts: word for what became of a connection, association or object, to their number.

    Raises:
        UsageError: when the address cannot be listened on.
    """

    def __init__(
        self,
        settings: NodeSettings,
        spool: Spool,
        books: NodeBooks,
        arrived: Callable[[], None] = lambda: None,
        tally: Tally | None = None,
        commitments: Commitments | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._spool = spool
        self._books = books
        self._arrived = arrived
        self._tally = tally or Tally()
        self._counting = threading.Lock()
        listener = settings.listen.dicom
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_ECHO, _on_echo),
            (evt.EVT_N_EVENT_REPORT, (commitments or Commitments()).on_report),
        ]
        try:
            self._server = GuardedServer(_entity(settings), listener, spool, handlers, self._count)
        except OSError as error:
            raise address_taken(listener.host, listener.port, ANOTHER, error) from None

    def start(self) -> None:
        """Take films until `stop`."""
        self._server.start()

    def stop(self) -> None:
        """Take no more films; who is sending one gets no answer and sends it again."""
        self._server.stop()

    def _count(self, what: str) -> None:
        with self._counting:
            self.counts[what] += 1
        event, _, result = what.partition(": ")
        if event == "received":
            self._tally.count(event, result)
        else:
            self._tally.count("connection", what)
            _LOG.warning("connection %s", what)

    def _on_store(self, event: Any) -> int:
        request, context = event.request, event.context
        arrival = request.DataSet
        if not isinstance(arrival, Arrival):
            return CANNOT_UNDERSTAND
        stated = Identifiers(
            sop_class=str(request.AffectedSOPClassUID or ""),
            sop_instance=str(request.AffectedSOPInstanceUID or ""),
        )
        try:
            if stated.sop_class != context.abstract_syntax:
                raise _RefusedError(CLASS_NOT_SUPPORTED, "CLASS_NOT_NEGOTIATED")
            what = self._take(arrival, stated, str(context.transfer_syntax))
        except _RefusedError as refusal:
            return self._refuse(arrival, stated, str(context.transfer_syntax), refusal)
        except (OSError, sqlite3.Error) as error:
            _LOG.error("a film was not taken: %s", type(error).__name__)
            self._count("received: no room")
            return OUT_OF_RESOURCES
        finally:
            arrival.discard()
        self._count(f"received: {what}")
        self._tally.time("receive", time.monotonic() - arrival.begun)
        if what == Receipt.NEW:
            self._arrived()
        return SUCCESS

    def _take(self, arrival: Arrival, stated: Identifiers, syntax: str) -> str:
        """Keep an object, and return the word for what it was; the disk has it then.

        Raises:
            _RefusedError: for one that is not accepted.
            OSError: of the disk.
        """
        if not all(map(_UID.fullmatch, (stated.sop_class, stated.sop_instance))):
            raise _RefusedError(CANNOT_UNDERSTAND, "UID_INVALID")
        path = arrival.finish()
        if arrival.failure is not None:
            raise arrival.failure
        if path is None and arrival.size:
            raise OSError("the spool has no room")
        found = _identifiers(path, arrival.start, syntax) if path is not None else None
        if path is None or found is None or not _UID.fullmatch(found.study):
            raise _RefusedError(CANNOT_UNDERSTAND, "NOT_READABLE")
        if (found.sop_class, found.sop_instance) != (stated.sop_class, stated.sop_instance):
            raise _RefusedError(DOES_NOT_MATCH, "UID_MISMATCH")
        film = ReceivedFilm(
            sop=found.sop_instance,
            study=found.study,
            sha256=arrival.digest(syntax),
            size=path.stat().st_size,
            patient=hashlib.sha256(b"hilum patient\0" + found.patient).hexdigest(),
            ignored=self._why_ignored(found),
        )
        if film.ignored:
            self._books.receive(film)
            return "ignored"
        receipt = self._known(film)
        if receipt is Receipt.NEW:
            self._spool.keep(path, self._spool.film(film.sha256))
            receipt = self._books.receive(film)
        if receipt is Receipt.CONFLICT:
            raise _RefusedError(DUPLICATE, "DUPLICATE_SOP_CONFLICT")
        return receipt

    def _known(self, film: ReceivedFilm) -> Receipt:
        known = self._books.known(film.sop)
        if known is None:
            return Receipt.NEW
        return Receipt.SAME if known == film.sha256 else Receipt.CONFLICT

    def _why_ignored(self, found: Identifiers) -> str:
        """Return why an object is not to be scored: a result of hilum would be, for ever."""
        if MANUFACTURER in found.makers or self._books.is_result(found.sop_instance):
            return "OWN_RESULT"
        return "NOT_A_FILM" if found.sop_class in IGNORED_CLASSES else ""

    def _refuse(
        self, arrival: Arrival, stated: Identifiers, syntax: str, refusal: _RefusedError
    ) -> int:
        """Keep an object apart if there is room, enter why, and return its status."""
        self._count(f"received: {refusal.code}")
        valid = bool(_UID.fullmatch(stated.sop_instance))
        sop = stated.sop_instance if valid else ""
        try:
            path, sha256 = arrival.finish(), ""
            if path is not None and path.exists():
                sha256 = arrival.digest(syntax)
                self._spool.keep(path, self._spool.refused(sha256))
            self._books.refuse(Refused(sop, sha256, arrival.size, refusal.status, refusal.code))
        except (OSError, sqlite3.Error) as error:
            _LOG.error("a refusal was not entered: %s", type(error).__name__)
        return refusal.status


def _on_echo(_event: Any) -> int:
    return SUCCESS


def _entity(settings: NodeSettings) -> ApplicationEntity:
    """Return the application entity, with a context for what is taken and for nothing else."""
    listener = settings.listen.dicom
    entity = ApplicationEntity(listener.ae_title)
    entity.implementation_class_uid = IMPLEMENTATION
    entity.implementation_version_name = IMPLEMENTATION_NAME
    entity.maximum_pdu_size = listener.max_pdu
    entity.maximum_associations = listener.max_associations
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = listener.idle_s
    entity.add_supported_context(VERIFICATION)
    if any(isinstance(one, Destination) and one.commit for one in settings.destinations):
        entity.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    films = [FILM_CLASSES[word] for word in settings.accept.sop_classes]
    for sop_class in (*films, *IGNORED_CLASSES):
        entity.add_supported_context(sop_class, list(SYNTAXES))
    return entity


def _identifiers(path: Path, start: int, syntax: str) -> Identifiers | None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return identifiers_of(data, start, syntax != ExplicitVRBigEndian)
