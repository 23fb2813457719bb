"""Objects to their destinations by C-STORE: as they are stored, and again until answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from hilum.node.calls import NOT_TAKEN, HopelessError, PeerError, associate, entity_for
from hilum.node.commit import COMMITMENT, COMMITMENT_INSTANCE, Commitments, Transaction, request_for
from hilum.node.outbox import Delivery, SentObject
from hilum.node.peers import Destination
from hilum.node.worker import DeliveryWorker, WorkerParts, verdict_on

__all__ = ["Sender"]


class Sender(DeliveryWorker):
    """The worker of a destination that takes objects by C-STORE.

    Args:
        destination: the peer.
        calling: title of the node.
        parts: what it works with.
        commitments: those that peers have not reported on yet.
    """

    def __init__(
        self,
        destination: Destination,
        calling: str,
        parts: WorkerParts,
        commitments: Commitments,
    ) -> None:
        super().__init__(destination, parts)
        self._destination = destination
        self._entity = entity_for(destination.timeout_s, calling)
        self._commitments = commitments

    def send(self, batch: Sequence[Delivery]) -> None:
        """Send objects by one association.

        Raises:
            PeerError: where there is none, or no answer.
        """
        pairs = dict.fromkeys((one.sop_class, one.syntax) for one in batch)
        contexts = [build_context(UID(sop_class), [UID(syntax)]) for sop_class, syntax in pairs]
        try:
            association = associate(self._entity, self._destination, contexts)
        except HopelessError as error:
            for one in batch:
                self.fail(one, None, str(error))
            return
        accepted = {
            (str(one.abstract_syntax), str(one.transfer_syntax[0]))
            for one in association.accepted_contexts
        }
        try:
            for one in batch:
                if self.ended:
                    break
                if (one.sop_class, one.syntax) not in accepted:
                    self.fail(one, None, NOT_TAKEN)
                    continue
                self._one(association, one)
        finally:
            if association.is_established:
                association.release()
            self.parts.outbox.put_back(self.name)

    def prove(self, batch: Sequence[SentObject]) -> None:
        """Request storage commitment; the report comes later, by this association or another.

        Raises:
            PeerError: where there is no association, or no answer.
        """
        handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._commitments.on_report)]
        contexts = [build_context(COMMITMENT)]
        try:
            peer = associate(self._entity, self._destination, contexts, (), handlers)
        except HopelessError:
            for one in batch:
                self.fail(one.delivery, None, "the peer does not do storage commitment")
            return
        for one in batch:
            self.rest(one, self._destination.commit_s)
        uid = self._commitments.begin(Transaction(self.name, tuple(batch), self._reported))
        try:
            status, _ = peer.send_n_action(
                request_for(uid, batch), 1, COMMITMENT, COMMITMENT_INSTANCE
            )
        finally:
            if peer.is_established:
                peer.release()
        code: Any = status.get("Status")
        if code != 0x0000:
            self._commitments.end(uid)
            for one in batch:
                self.rest(one, 0.0)
            why = "no answer" if code is None else f"0x{code:04X}"
            raise PeerError(f"storage commitment was not taken: {why}")

    def _reported(self, one: SentObject, reason: int | None) -> None:
        """Enter what a peer reported of an object.

        Args:
            one: the object.
            reason: why it is not kept; None where it is.
        """
        if reason is None:
            self.proven(one)
        elif reason == _NOT_THERE:
            self.lost(one, "the destination no longer has it")
        elif reason in _TRY_AGAIN:
            self.rest(one, self.jittered(one.delivery.tries))
        else:
            self.fail(one.delivery, reason, "the destination does not commit to keep it")

    def _one(self, association: Association, one: Delivery) -> None:
        begun = time.monotonic()
        answer: Dataset = association.send_c_store(self.parts.spool.object(one.sha256))
        status: Any = answer.get("Status")
        if status is None:
            raise PeerError("no answer to C-STORE")
        self.parts.tally.time("send", time.monotonic() - begun)
        self.answered(one, int(status), verdict_on(int(status)))


_NOT_THERE = 0x0112
_TRY_AGAIN = (0x0110, 0x0213)
"""Failure reasons of a commitment: processing failure, and resource limitation."""
