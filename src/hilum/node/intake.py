"""An object that came whole: kept and entered, or refused, whichever way it came."""

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

from pydicom.uid import ExplicitVRBigEndian

from hilum.imaging.dicom.identifiers import Identifiers, identifiers_of
from hilum.interchange.parts.modules import MANUFACTURER
from hilum.node.arrival import Arrival
from hilum.node.books import NodeBooks
from hilum.node.contexts import IGNORED_CLASSES
from hilum.node.records import Receipt, ReceivedFilm, Refused
from hilum.node.spool import Spool
from hilum.node.tally import Tally

__all__ = [
    "CANNOT_UNDERSTAND",
    "CLASS_NOT_SUPPORTED",
    "OUT_OF_RESOURCES",
    "SUCCESS",
    "SYNTAX_NOT_SUPPORTED",
    "Intake",
    "RefusedObjectError",
]

_LOG = logging.getLogger(__package__)

SUCCESS = 0x0000
DUPLICATE = 0x0111
CLASS_NOT_SUPPORTED = 0x0122
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
SYNTAX_NOT_SUPPORTED = 0xC122

_UID = re.compile(r"[0-9.]{1,64}")


class RefusedObjectError(Exception):
    """An object that is not accepted, with its status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Intake:
    """Takes objects whose bytes have come; the disk and the books have one before it is answered.

    Args:
        spool: where films go.
        books: where they are entered.
        arrived: called when a film came.
        tally: of what came, and how long it took.

    Attributes:
        counts: word for what became of an object, or of a connection, to their number.
    """

    def __init__(
        self, spool: Spool, books: NodeBooks, arrived: Callable[[], None], tally: Tally
    ) -> None:
        self.spool = spool
        self.counts: Counter[str] = Counter()
        self._books = books
        self._arrived = arrived
        self._tally = tally
        self._counting = threading.Lock()

    def count(self, what: str) -> None:
        """Count what became of an object or a connection."""
        with self._counting:
            self.counts[what] += 1
        event, _, result = what.partition(": ")
        if event == "received":
            self._tally.count(event, result)
        else:
            self._tally.count("connection", what)
            _LOG.warning("connection %s", what)

    def take(self, arrival: Arrival, stated: Identifiers, syntax: str) -> int:
        """Keep an object, and return the DIMSE status that it is answered with.

        Args:
            arrival: its bytes.
            stated: UIDs that came beside it.
            syntax: UID of its transfer syntax.
        """
        try:
            what = self._take(arrival, stated, syntax)
        except RefusedObjectError as refusal:
            return self.refuse(arrival, stated, syntax, refusal)
        except (OSError, sqlite3.Error) as error:
            _LOG.error("a film was not taken: %s", type(error).__name__)
            self.count("received: no room")
            return OUT_OF_RESOURCES
        finally:
            arrival.discard()
        self.count(f"received: {what}")
        self._tally.time("receive", time.monotonic() - arrival.begun)
        if what == Receipt.NEW:
            self._arrived()
        return SUCCESS

    def refuse(
        self, arrival: Arrival, stated: Identifiers, syntax: str, refusal: RefusedObjectError
    ) -> int:
        """Keep an object apart if there is room, enter why, and return its status.

        Args:
            arrival: its bytes.
            stated: UIDs that came beside it.
            syntax: UID of its transfer syntax.
            refusal: status and code.
        """
        self.count(f"received: {refusal.code}")
        valid = bool(_UID.fullmatch(stated.sop_instance))
        sop = stated.sop_instance if valid else ""
        try:
            path, sha256 = arrival.finish(), ""
            if path is not None and path.exists():
                sha256 = arrival.digest(syntax)
                self.spool.keep(path, self.spool.refused(sha256))
            self._books.refuse(Refused(sop, sha256, arrival.size, refusal.status, refusal.code))
        except (OSError, sqlite3.Error) as error:
            _LOG.error("a refusal was not entered: %s", type(error).__name__)
        finally:
            arrival.discard()
        return refusal.status

    def _take(self, arrival: Arrival, stated: Identifiers, syntax: str) -> str:
        """Keep an object, and return the word for what it was; the disk has it then.

        Raises:
            RefusedObjectError: for one that is not accepted.
            OSError: of the disk.
        """
        if not all(map(_UID.fullmatch, (stated.sop_class, stated.sop_instance))):
            raise RefusedObjectError(CANNOT_UNDERSTAND, "UID_INVALID")
        path = arrival.finish()
        if arrival.failure is not None:
            raise arrival.failure
        if path is None and arrival.size:
            raise OSError("the spool has no room")
        found = _identifiers(path, arrival.start, syntax) if path is not None else None
        if path is None or found is None or not _UID.fullmatch(found.study):
            raise RefusedObjectError(CANNOT_UNDERSTAND, "NOT_READABLE")
        if (found.sop_class, found.sop_instance) != (stated.sop_class, stated.sop_instance):
            raise RefusedObjectError(DOES_NOT_MATCH, "UID_MISMATCH")
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
            self.spool.keep(path, self.spool.film(film.sha256))
            receipt = self._books.receive(film)
        if receipt is Receipt.CONFLICT:
            raise RefusedObjectError(DUPLICATE, "DUPLICATE_SOP_CONFLICT")
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


def _identifiers(path: Path, start: int, syntax: str) -> Identifiers | None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return identifiers_of(data, start, syntax != ExplicitVRBigEndian)
