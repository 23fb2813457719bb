"""Objects to their destinations by STOW-RS, and read back by WADO-RS where proof is wanted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from pydicom import dcmread

from hilum.node.calls import PeerError
from hilum.node.dicomweb.client import (
    DicomwebPeer,
    WebAnswerError,
    WebUnreachableError,
    first_value,
)
from hilum.node.dicomweb.parts import PartSink
from hilum.node.outbox import Delivery
from hilum.node.outgoing import Form, UnsendableError
from hilum.node.part10 import LONGEST_HEAD, file_head
from hilum.node.peers import StowDestination
from hilum.node.worker import DeliveryWorker, Verdict, WorkerParts, verdict_on

__all__ = ["StowSender", "stow_status", "web_echo"]

_STORED, _FAILED = "00081199", "00081198"
_INSTANCE, _WARNING, _REASON = "00081155", "00081196", "00081197"
_ANSWERED = (200, 202, 409)
"""Statuses of HTTP with an answer for each object (PS3.18, 10.5.3)."""
_PEER = (401, 403, 429, 500, 502, 503, 504)
"""Statuses that say something of the server or the token, and not of the object."""
_GONE = (404, 410)
_CANNOT_UNDERSTAND = 0xC000
_PLACE = ["StudyInstanceUID", "SeriesInstanceUID"]


def stow_status(status: int, tree: Any, sop: str) -> tuple[int, Verdict]:
    """Return what an answer says of an object: a DIMSE status, and what that means.

    Args:
        status: of HTTP.
        tree: answer in DICOM JSON, if there is one.
        sop: UID of the object.

    Raises:
        PeerError: for an answer that says something of the server alone.

    >>> failed = {"00081198": {"vr": "SQ", "Value": [{
    ...     "00081155": {"vr": "UI", "Value": ["1.2"]}, "00081197": {"vr": "US", "Value": [42752]}
    ... }]}}
    >>> stow_status(409, failed, "1.2")[1]
    Verdict(outcome='later', words='out of resources')
    >>> stow_status(200, None, "1.2")[1].outcome
    'sent'
    """
    if status in _PEER:
        raise PeerError(f"HTTP {status}")
    if status not in _ANSWERED:
        return _CANNOT_UNDERSTAND, Verdict("failed", f"HTTP {status}")
    failure = _item(tree, _FAILED, sop)
    if failure is not None:
        reason = _number(first_value(failure, _REASON), _CANNOT_UNDERSTAND)
        verdict = verdict_on(reason)
        if verdict.outcome != "later":
            verdict = Verdict("failed", verdict.words or "refused")
        return reason, verdict
    stored = _item(tree, _STORED, sop)
    if stored is not None:
        reason = _number(first_value(stored, _WARNING), 0)
        return reason, Verdict("sent", verdict_on(reason).words if reason else "")
    if status == 200:
        return 0, Verdict("sent", "the answer does not name the object")
    return _CANNOT_UNDERSTAND, Verdict("failed", f"HTTP {status}, and no word on the object")


def web_echo(destination: StowDestination) -> str:
    """Ask a destination for one study; return what is wrong, or nothing."""
    peer = DicomwebPeer(destination)
    try:
        peer.search("/studies", {"limit": "1"})
    except (WebUnreachableError, WebAnswerError) as error:
        return str(error)
    finally:
        peer.close()
    return ""


class StowSender(DeliveryWorker):
    """The worker of a destination that takes objects by STOW-RS.

    Args:
        destination: the server.
        parts: what it works with.

    Raises:
        UsageError: for a token or certificates that cannot be read.
    """

    def __init__(self, destination: StowDestination, parts: WorkerParts) -> None:
        super().__init__(destination, parts)
        self._peer = DicomwebPeer(destination)

    def stop(self) -> None:
        """Stop after the object that is being sent."""
        super().stop()
        self._peer.close()

    def send(self, batch: Sequence[Delivery]) -> None:
        """Send objects, one request each.

        Raises:
            PeerError: where the server does not answer, or cannot take any now.
        """
        for one in batch:
            if self.ended:
                break
            try:
                with self._form(one) as form:
                    self._one(one, form)
            except UnsendableError as error:
                self.fail(one, None, str(error))
        self.parts.outbox.put_back(self.name)  # what is left where the node stops

    def prove(self, batch: Sequence[Delivery]) -> None:
        """Read objects back and compare them with what was sent.

        Raises:
            PeerError: where the server does not answer.
        """
        for one in batch:
            if self.ended:
                return
            try:
                with self._form(one) as form:
                    same = self._same(form)
            except UnsendableError as error:
                self.fail(one, None, str(error))
            except _GoneError:
                self.lost(one, "the destination does not have it")
            else:
                if same:
                    self.proven(one)
                else:
                    words = "the destination has a different object under this UID"
                    self.fail(one, None, words)

    def _form(self, one: Delivery) -> AbstractContextManager[Form]:
        return self.parts.outgoing.form(one, self.parts.outgoing.offers(one))

    def _one(self, one: Delivery, form: Form) -> None:
        data = form.path.read_bytes()
        begun = time.monotonic()
        with _spoken():
            answer = self._peer.store(data, secrets.token_hex(24))
        self.parts.tally.time("send", time.monotonic() - begun)
        self.answered(one, *stow_status(*answer, form.sop_instance))

    def _same(self, form: Form) -> bool:
        """Return whether the server gives back what it was sent."""
        sent = form.path.read_bytes()
        head = dcmread(form.path, stop_before_pixels=True, specific_tags=_PLACE)
        path = (
            f"/studies/{head.StudyInstanceUID}/series/{head.SeriesInstanceUID}"
            f"/instances/{form.sop_instance}"
        )
        back = _Back(2 * len(sent) + LONGEST_HEAD)
        with _spoken():
            self._peer.retrieve(path, back.begin)
        return _body(bytes(back.data)) == _body(sent)


class _Back:
    """An object that is read back, and no more bytes of it than it can have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.data = bytearray()

    def begin(self, kind: str) -> PartSink:
        """Return what takes a part."""
        del kind
        return self

    def write(self, data: bytes) -> None:
        """Take the next bytes; those above the limit are passed over, and it differs."""
        if len(self.data) <= self._most:
            self.data += data

    def end(self) -> None:
        """Take notice that the part is whole."""


class _GoneError(Exception):
    """An object that the server does not have."""


@contextmanager
def _spoken() -> Generator[None]:
    try:
        yield
    except WebUnreachableError as error:
        raise PeerError(str(error)) from None
    except WebAnswerError as error:
        if error.status in _GONE:
            raise _GoneError from None
        raise PeerError(str(error)) from None


def _body(data: bytes) -> bytes:
    """Return the data set of a file; the head may be another's."""
    head = file_head(data[:LONGEST_HEAD])
    return b"" if head is None else head.syntax.encode("ascii", "replace") + data[head.start :]


def _item(tree: Any, tag: str, sop: str) -> dict[str, Any] | None:
    """Return the item of a sequence that names an object."""
    element = tree.get(tag) if isinstance(tree, dict) else None
    items = element.get("Value") if isinstance(element, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and first_value(item, _INSTANCE) == sop:
            return item
    return None


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else otherwise
