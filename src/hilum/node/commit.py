"""Storage commitment: peers report, later and by themselves, which objects they keep."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRBigEndian

from hilum.imaging.dicom.elements import check_nesting
from hilum.node.arrival import Arrival
from hilum.node.outbox import Delivery
from hilum.node.outgoing import Form

__all__ = ["COMMITMENT", "COMMITMENT_INSTANCE", "Commitments", "Transaction", "request_for"]

_LOG = logging.getLogger(__package__)

COMMITMENT = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model."""
COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
_LONGEST_REPORT = 10**6
"""Bytes of a report; one on 64 objects has some ten thousand."""
_MOST = 1000
"""Transactions that are remembered; of more, the oldest is requested again."""
_SUCCESS, _FAILURE = 0x0000, 0x0110


@dataclass(frozen=True, repr=False)
class Transaction:
    """Objects that a peer was requested to keep.

    Attributes:
        destination: name of the peer.
        objects: that it has, by its own word, by the UID by which they were sent.
        report: called for each object with the reason why it is not kept; None where it is.
    """

    destination: str
    objects: Mapping[str, Delivery]
    report: Callable[[Delivery, int | None], None]


def request_for(uid: str, objects: Sequence[Form]) -> Dataset:
    """Return the request of a transaction."""
    request = Dataset()
    request.TransactionUID = uid
    request.ReferencedSOPSequence = Items([_reference(one) for one in objects])
    return request


def _reference(one: Form) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = one.sop_class
    item.ReferencedSOPInstanceUID = one.sop_instance
    return item


class Commitments:
    """Transactions that were not reported on yet.

    They are in memory alone: what a node that ended had requested is requested again by the next.
    """

    def __init__(self) -> None:
        self._open: dict[str, Transaction] = {}
        self._lock = threading.Lock()

    def begin(self, transaction: Transaction) -> str:
        """Remember a transaction; return its UID, which nobody can guess."""
        uid = f"2.25.{secrets.randbits(128)}"
        with self._lock:
            while len(self._open) >= _MOST:
                del self._open[next(iter(self._open))]
            self._open[uid] = transaction
        return uid

    def end(self, uid: str) -> None:
        """Forget a transaction."""
        with self._lock:
            self._open.pop(uid, None)

    def on_report(self, event: Any) -> tuple[int, None]:
        """Take a report (N-EVENT-REPORT)."""
        information = event.request.EventInformation
        try:
            found = _report(information, str(event.context.transfer_syntax))
            status = self.take(found)
        except Exception as error:  # the disk, the books, or bytes that are not a report
            _LOG.error("a report of storage commitment was not taken: %s", type(error).__name__)
            status = _FAILURE
        finally:
            if isinstance(information, Arrival):
                information.discard()
        return status, None

    def take(self, found: Dataset) -> int:
        """Enter a report; return the status that it is answered with."""
        with self._lock:
            transaction = self._open.pop(str(found.get("TransactionUID", "")), None)
        if transaction is None:
            return _FAILURE
        kept = {_instance(item) for item in found.get("ReferencedSOPSequence") or ()}
        failed = {
            _instance(item): int(item.get("FailureReason", _FAILURE) or _FAILURE)
            for item in found.get("FailedSOPSequence") or ()
        }
        for sop, one in transaction.objects.items():
            if sop in failed:
                transaction.report(one, failed[sop])
            elif sop in kept:
                transaction.report(one, None)
        _LOG.info(
            "destination %s keeps %d objects, and not %d",
            *(transaction.destination, len(kept), len(failed)),
        )
        return _SUCCESS


def _instance(item: Dataset) -> str:
    return str(item.get("ReferencedSOPInstanceUID", ""))


def _report(information: Any, syntax: str) -> Dataset:
    """Return the data set of a report, which the receiver has on the disk, or else in memory.

    Raises:
        FilmError: for one that nests too deep.
        OSError: of the disk, and for one that is too long.
    """
    start = 0
    if isinstance(information, Arrival):
        path: Path | None = information.finish()
        if path is None or information.size > _LONGEST_REPORT:
            raise OSError("there is no room for a report")
        data, start = path.read_bytes(), information.start
    else:
        data = information.getvalue()
    little = syntax != ExplicitVRBigEndian
    check_nesting(data, start, little)
    return read_dataset(BytesIO(data[start:]), UID(syntax).is_implicit_VR, little)
