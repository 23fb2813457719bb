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

from hilum.node.calls import HopelessError, PeerError, associate, entity_for
from hilum.node.commit import COMMITMENT, COMMITMENT_INSTANCE, Commitments, Transaction, request_for
from hilum.node.outbox import Delivery
from hilum.node.outgoing import Form, UnsendableError
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
        outgoing = self.parts.outgoing
        pairs = dict.fromkeys(pair for one in batch for pair in outgoing.offers(one))
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
                try:
                    with outgoing.form(one, accepted) as form:
                        self._one(association, one, form)
                except UnsendableError as error:
                    self.fail(one, None, str(error))
        finally:
            if association.is_established:
                association.release()
            self.parts.outbox.put_back(self.name)

    def prove(self, batch: Sequence[Delivery]) -> None:
        """Request storage commitment; the report comes later, by this association or another.

        Raises:
            PeerError: where there is no association, or no answer.
        """
        forms = {one.object: form for one in batch if (form := self._form(one)) is not None}
        handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._commitments.on_report)]
        contexts = [build_context(COMMITMENT)]
        try:
            peer = associate(self._entity, self._destination, contexts, (), handlers)
        except HopelessError:
            for one in batch:
                self.fail(one, None, "the peer does not do storage commitment")
            return
        objects = {forms[one.object].sop_instance: one for one in batch if one.object in forms}
        for one in batch:
            self.rest(one, self._destination.commit_s)
        uid = self._commitments.begin(Transaction(self.name, objects, self._reported))
        request = request_for(uid, list(forms.values()))
        try:
            status, _ = peer.send_n_action(request, 1, COMMITMENT, COMMITMENT_INSTANCE)
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

    def _form(self, one: Delivery) -> Form | None:
        """Return the UIDs by which an object was sent; None, and failed, where it has none."""
        outgoing = self.parts.outgoing
        try:
            with outgoing.form(one, outgoing.offers(one)) as form:
                return form
        except UnsendableError as error:
            self.fail(one, None, str(error))
            return None

    def _reported(self, one: Delivery, reason: int | None) -> None:
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
            self.rest(one, self.jittered(one.tries))
        else:
            self.fail(one, reason, "the destination does not commit to keep it")

    def _one(self, association: Association, one: Delivery, form: Form) -> None:
        begun = time.monotonic()
        answer: Dataset = association.send_c_store(form.path)
        status: Any = answer.get("Status")
        if status is None:
            raise PeerError("no answer to C-STORE")
        self.parts.tally.time("send", time.monotonic() - begun)
        self.answered(one, int(status), verdict_on(int(status)))


_NOT_THERE = 0x0112
_TRY_AGAIN = (0x0110, 0x0213)
"""Failure reasons of a commitment: processing failure, and resource limitation."""
