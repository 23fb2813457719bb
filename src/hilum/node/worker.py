"""The worker of a destination: what is due, again until answered, and then proof of it."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from pynetdicom.status import code_to_category

from hilum.node.calls import PeerError
from hilum.node.outbox import Delivery, Outbox
from hilum.node.outgoing import Outgoing
from hilum.node.peers import Destination, StowDestination
from hilum.node.settings import Retries
from hilum.node.tally import Tally

__all__ = ["DeliveryWorker", "Verdict", "WorkerParts", "verdict_on"]

_LOG = logging.getLogger(__package__)

_LOOK_S = 1.0
_TOGETHER = 64
"""Objects of one association, at most."""
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


@dataclass(frozen=True)
class WorkerParts:
    """What a worker works with.

    Attributes:
        retry: times of trying again.
        outbox: of the node.
        outgoing: objects as this destination gets them.
        tally: of what was sent, and how long it took.
    """

    retry: Retries
    outbox: Outbox
    outgoing: Outgoing
    tally: Tally


class DeliveryWorker(ABC):
    """The worker of one destination, whose waits hold up no other.

    Args:
        destination: name, and whether it must show what it has.
        parts: what it works with.
    """

    def __init__(self, destination: Destination | StowDestination, parts: WorkerParts) -> None:
        self.name = destination.name
        self.parts = parts
        self._commit = destination.commit
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._due: dict[int, float] = {}
        self._proof_due: dict[int, float] = {}
        self._down = 0  # tries in a row that did not reach the peer
        self._again = 0.0  # monotonic seconds before which the peer is left alone
        self._thread = threading.Thread(target=self._work, name=f"send-{destination.name}")

    @abstractmethod
    def send(self, batch: Sequence[Delivery]) -> None:
        """Send objects; those without an answer wait again.

        Raises:
            PeerError: where the peer cannot be sent to now.
        """

    @abstractmethod
    def prove(self, batch: Sequence[Delivery]) -> None:
        """Have the peer show that it has some objects.

        Raises:
            PeerError: where the peer cannot be spoken to now.
        """

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
        self.parts.outgoing.close()

    @property
    def ended(self) -> bool:
        """Whether the worker is to stop."""
        return self._ended.is_set()

    def answered(self, one: Delivery, status: int, verdict: Verdict) -> None:
        """Enter the answer to an object."""
        self._down = 0
        if verdict.outcome == "sent":
            self.parts.tally.count("sent", one.destination, "sent")
            self.parts.outbox.confirm(one, status, verdict.words, self._commit)
        elif verdict.outcome == "failed":
            self.fail(one, status, verdict.words)
            _LOG.error("object %d to %s failed: %#06x", one.object, one.destination, status)
        else:
            self.parts.tally.count("sent", one.destination, "later")
            self._due[one.object] = time.monotonic() + self.jittered(one.tries)
            self.parts.outbox.put_off(one, status, verdict.words)

    def fail(self, one: Delivery, status: int | None, words: str) -> None:
        """Enter that an object is not sent again by itself."""
        self.parts.tally.count("sent", one.destination, "failed")
        self.parts.outbox.fail(one, status, words)

    def proven(self, one: Delivery) -> None:
        """Enter that the peer has an object."""
        self.parts.tally.count("sent", self.name, "confirmed")
        self._proof_due.pop(one.object, None)
        self.parts.outbox.prove(one)

    def lost(self, one: Delivery, words: str) -> None:
        """Enter that the peer does not have an object, which is sent again."""
        self.parts.tally.count("sent", self.name, "lost")
        self._due[one.object] = time.monotonic() + self.jittered(one.tries)
        self._proof_due.pop(one.object, None)
        self.parts.outbox.put_off(one, None, words)

    def rest(self, one: Delivery, seconds: float) -> None:
        """Leave an object for some seconds before the peer is to show it."""
        self._proof_due[one.object] = time.monotonic() + seconds

    def jittered(self, tries: int) -> float:
        """Return the seconds to wait, between half and all of the plan, so that nodes part."""
        return self.parts.retry.wait_s(tries) * (0.5 + secrets.randbelow(1001) / 2000.0)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                more = self._round()
            except (OSError, sqlite3.Error) as error:
                _LOG.error("destination %s: %s", self.name, type(error).__name__)
                more = False
            except Exception as error:  # a worker must go on
                _LOG.error("destination %s: %s", self.name, type(error).__name__)
                more = False
                self.parts.outbox.put_back(self.name)
            if not more:
                self._wake.wait(_LOOK_S)
                self._wake.clear()

    def _round(self) -> bool:
        """Send what is due, or have it shown; return whether there was anything."""
        now = time.monotonic()
        if now < self._again:
            self._ended.wait(min(_LOOK_S, self._again - now))
            return True
        outbox, longest_s = self.parts.outbox, self.parts.retry.give_up_h * 3600.0
        batch = outbox.take(self.name, _resting(self._due, now), _TOGETHER, longest_s)
        try:
            if batch:
                self.send(batch)
                return True
            if not self._commit:
                return False
            resting = _resting(self._proof_due, now)
            sent = outbox.unproven(self.name, resting, _TOGETHER, longest_s)
            if sent:
                self.prove(sent)
            return bool(sent)
        except PeerError as error:
            self.parts.tally.count("sent", self.name, "unreachable")
            self._down += 1
            wait = self.jittered(self._down)
            self._again = time.monotonic() + wait
            outbox.put_back(self.name, str(error))
            _LOG.warning("destination %s: %s; again in %.1f s", self.name, error, wait)
        return True


def _resting(due: dict[int, float], now: float) -> set[int]:
    """Return the objects that are to be left alone, and forget the others."""
    for number in [number for number, at in due.items() if at <= now]:
        del due[number]
    return set(due)
