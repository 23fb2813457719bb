"""Films by C-STORE: on the disk as they came, in the books, and only then answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from hilum.files.address import address_taken
from hilum.imaging.dicom.identifiers import Identifiers
from hilum.interchange.parts.modules import IMPLEMENTATION, IMPLEMENTATION_NAME
from hilum.node.arrival import Arrival
from hilum.node.books import NodeBooks
from hilum.node.commit import COMMITMENT, Commitments
from hilum.node.contexts import FILM_CLASSES, IGNORED_CLASSES, SYNTAXES
from hilum.node.guards import GuardedServer
from hilum.node.intake import (
    CANNOT_UNDERSTAND,
    CLASS_NOT_SUPPORTED,
    SUCCESS,
    Intake,
    RefusedObjectError,
)
from hilum.node.peers import Destination
from hilum.node.settings import NodeSettings
from hilum.node.spool import Spool
from hilum.node.tally import Tally

__all__ = ["ANOTHER", "Receiver"]

ANOTHER = "Give another with listen.dicom"
"""What to do where the address is taken."""

VERIFICATION = UID("1.2.840.10008.1.1")


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
        intake: what takes objects that came whole.
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
        self.intake = Intake(spool, books, arrived, tally or Tally())
        self.counts = self.intake.counts
        listener = settings.listen.dicom
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_ECHO, _on_echo),
            (evt.EVT_N_EVENT_REPORT, (commitments or Commitments()).on_report),
        ]
        try:
            self._server = GuardedServer(
                _entity(settings), listener, spool, handlers, self.intake.count
            )
        except OSError as error:
            raise address_taken(listener.host, listener.port, ANOTHER, error) from None

    def start(self) -> None:
        """Take films until `stop`."""
        self._server.start()

    def stop(self) -> None:
        """Take no more films; who is sending one gets no answer and sends it again."""
        self._server.stop()

    def _on_store(self, event: Any) -> int:
        request, context = event.request, event.context
        arrival = request.DataSet
        if not isinstance(arrival, Arrival):
            return CANNOT_UNDERSTAND
        stated = Identifiers(
            sop_class=str(request.AffectedSOPClassUID or ""),
            sop_instance=str(request.AffectedSOPInstanceUID or ""),
        )
        syntax = str(context.transfer_syntax)
        if stated.sop_class != context.abstract_syntax:
            refusal = RefusedObjectError(CLASS_NOT_SUPPORTED, "CLASS_NOT_NEGOTIATED")
            return self.intake.refuse(arrival, stated, syntax, refusal)
        return self.intake.take(arrival, stated, syntax)


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
