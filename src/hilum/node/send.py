"""Objects to their destinations by C-STORE: as they are stored, and again until answered."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.status import code_to_category

from hilum.interchange.parts.modules import IMPLEMENTATION, IMPLEMENTATION_NAME
from hilum.node.outbox import Delivery, Outbox
from hilum.node.outgoing import Form, Outgoing, UnsendableError
from hilum.node.settings import Destination, Retries
from hilum.node.tally import Tally

__all__ = ["Sender", "echo", "verdict_on"]

_LOG = logging.getLogger(__package__)

_VERIFICATION = UID("1.2.840.10008.1.1")
_LOOK_S = 1.0
_TOGETHER = 64
"""Objects of one association, at most."""
_NOT_TAKEN = "the peer does not take this kind of object"
_LATER = range(0xA700, 0xA800)
"""Out of resources: the peer may have some later."""
_WARNED = (0xB000, 0xB006, 0xB007)
_WORDS = {
    0x0110: "processing failure",
    0x0111: "duplicate SOP instance",
    0x0117: "invalid SOP instance",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0xA700: "out of resources",
    0xA900: "data set does not match SOP class",
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class",
    0xC000: "cannot understand",
}


class PeerError(Exception):
    """A peer that cannot be sent to now; the words say nothing of a patient."""


class _HopelessError(PeerError):
    """A peer that no later try will reach: it takes no such object, or TLS does not let it."""


@dataclass(frozen=True)
class Verdict:
    """What an answer means for an object.

    Attributes:
        outcome: "sent", "failed" or "later".
        words: for a human; empty for plain success.
    """

    outcome: str
    words: str = ""


def verdict_on(status: int) -> Verdict:
    """Return what the status of a C-STORE means.

    >>> [verdict_on(status).outcome for status in (0x0000, 0xB000, 0xA700, 0xC000, 0x0122)]
    ['sent', 'sent', 'later', 'failed', 'failed']
    """
    if status == 0x0000:
        return Verdict("sent")
    words = _WORDS.get(status, _WORDS.get(status & 0xFF00) or code_to_category(status).lower())
    if status in _WARNED:
        return Verdict("sent", words)
    return Verdict("later" if status in _LATER else "failed", words)


def echo(destination: Destination, calling: str) -> str:
    """Ask a destination for C-ECHO; return what is wrong, or nothing."""
    entity = _entity(destination, calling)
    try:
        association = _associate(entity, destination, [build_context(_VERIFICATION)])
    except PeerError as error:
        return str(error)
    status = association.send_c_echo()
    association.release()
    found = status.get("Status")
    return "" if found == 0x0000 else "no answer to C-ECHO" if found is None else f"{found:#06x}"


class Sender:
    """The worker of one destination, whose waits hold up no other.

    Args:
        destination: the peer.
        calling: title of the node.
        retry: times of trying again.
        outbox: of the node.
        outgoing: objects as this destination gets them.
        tally: of what was sent, and how long it took.
    """

    def __init__(
        self,
        destination: Destination,
        calling: str,
        retry: Retries,
        outbox: Outbox,
        outgoing: Outgoing,
        tally: Tally | None = None,
    ) -> None:
        self._destination = destination
        self._entity = _entity(destination, calling)
        self._retry = retry
        self._outbox = outbox
        self._outgoing = outgoing
        self._tally = tally or Tally()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._due: dict[int, float] = {}
        self._down = 0  # tries in a row that did not reach the peer
        self._again = 0.0  # monotonic seconds before which the peer is left alone
        self._thread = threading.Thread(target=self._work, name=f"send-{destination.name}")

    def start(self) -> None:
        """Send until `stop`."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the books now: there is something to send."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the object that is being sent."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._outgoing.close()

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                more = self._round()
            except (OSError, sqlite3.Error) as error:
                _LOG.error("destination %s: %s", self._destination.name, type(error).__name__)
                more = False
            except Exception as error:  # a worker must go on
                _LOG.error("destination %s: %s", self._destination.name, type(error).__name__)
                more = False
                self._outbox.put_back(self._destination.name)
            if not more:
                self._wake.wait(_LOOK_S)
                self._wake.clear()

    def _round(self) -> bool:
        """Send what is due by one association; return whether there was anything."""
        now = time.monotonic()
        if now < self._again:
            self._ended.wait(min(_LOOK_S, self._again - now))
            return True
        resting = {number for number, due in self._due.items() if due > now}
        name = self._destination.name
        batch = self._outbox.take(name, resting, _TOGETHER, self._retry.give_up_h * 3600.0)
        if not batch:
            return False
        try:
            self._send(batch)
        except PeerError as error:
            self._tally.count("sent", name, "unreachable")
            self._down += 1
            wait = self._jittered(self._down)
            self._again = time.monotonic() + wait
            self._outbox.put_back(name, str(error))
            _LOG.warning("destination %s: %s; again in %.1f s", name, error, wait)
        return True

    def _send(self, batch: Sequence[Delivery]) -> None:
        pairs = dict.fromkeys(pair for one in batch for pair in self._outgoing.offers(one))
        contexts = [build_context(UID(sop_class), [UID(syntax)]) for sop_class, syntax in pairs]
        try:
            association = _associate(self._entity, self._destination, contexts)
        except _HopelessError as error:
            for one in batch:
                self._fail(one, None, str(error))
            return
        self._down = 0
        accepted = {
            (str(one.abstract_syntax), str(one.transfer_syntax[0]))
            for one in association.accepted_contexts
        }
        try:
            for one in batch:
                if self._ended.is_set():
                    break
                try:
                    with self._outgoing.form(one, accepted) as form:
                        self._one(association, one, form)
                except UnsendableError as error:
                    self._fail(one, None, str(error))
        finally:
            if association.is_established:
                association.release()
            self._outbox.put_back(self._destination.name)

    def _one(self, association: Association, one: Delivery, form: Form) -> None:
        begun = time.monotonic()
        answer: Dataset = association.send_c_store(form.path)
        status: Any = answer.get("Status")
        if status is None:
            raise PeerError("no answer to C-STORE")
        self._tally.time("send", time.monotonic() - begun)
        verdict = verdict_on(int(status))
        if verdict.outcome == "sent":
            self._tally.count("sent", one.destination, "sent")
            self._outbox.confirm(one, int(status), verdict.words)
        elif verdict.outcome == "failed":
            self._fail(one, int(status), verdict.words)
            _LOG.error("object %d to %s failed: %#06x", one.object, one.destination, status)
        else:
            self._tally.count("sent", one.destination, "later")
            self._due[one.object] = time.monotonic() + self._jittered(one.tries)
            self._outbox.put_off(one, int(status), verdict.words)

    def _fail(self, one: Delivery, status: int | None, words: str) -> None:
        self._tally.count("sent", one.destination, "failed")
        self._outbox.fail(one, status, words)

    def _jittered(self, tries: int) -> float:
        """Return the seconds to wait, between half and all of the plan, so that nodes part."""
        return self._retry.wait_s(tries) * (0.5 + secrets.randbelow(1001) / 2000.0)


def _entity(destination: Destination, calling: str) -> ApplicationEntity:
    entity = ApplicationEntity(calling)
    entity.implementation_class_uid = IMPLEMENTATION
    entity.implementation_version_name = IMPLEMENTATION_NAME
    seconds = destination.timeout_s
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = seconds
    entity.connection_timeout = seconds
    return entity


def _associate(
    entity: ApplicationEntity, destination: Destination, contexts: list[Any]
) -> Association:
    """Return an association.

    Raises:
        PeerError: where there is none.
    """
    tls = destination.tls
    secured = None if tls is None else (tls.context(), tls.name or destination.host)
    association = entity.associate(
        destination.host,
        destination.port,
        contexts,
        ae_title=destination.ae_title,
        tls_args=secured,
    )
    if association.is_established:
        return association
    if association.rejected_contexts and not association.accepted_contexts:
        raise _HopelessError(_NOT_TAKEN)
    if secured is not None and secured[0].failure:
        raise _HopelessError(f"TLS failed: {secured[0].failure}")
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        raise PeerError(f"the association was rejected ({answer.reason_str.lower()})")
    if answer is not None and association.is_aborted:
        raise PeerError("the association was aborted")
    raise PeerError("the peer cannot be reached")
