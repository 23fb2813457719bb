"""Calls of the node to peers by DICOM: an association, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from hilum.interchange.parts.modules import IMPLEMENTATION, IMPLEMENTATION_NAME
from hilum.node.peers import Destination
from hilum.node.tls import PeerTls

__all__ = [
    "NOT_TAKEN",
    "CalledPeer",
    "HopelessError",
    "PeerError",
    "associate",
    "echo",
    "entity_for",
]

_VERIFICATION = UID("1.2.840.10008.1.1")
NOT_TAKEN = "the peer does not take this kind of object"


class PeerError(Exception):
    """A peer that cannot be sent to now; the words say nothing of a patient."""


class CalledPeer(Protocol):
    """Peer that is called."""

    @property
    def host(self) -> str:
        """Name or address."""
        ...

    @property
    def port(self) -> int:
        """Port of it."""
        ...

    @property
    def ae_title(self) -> str:
        """Its title."""
        ...

    @property
    def tls(self) -> PeerTls | None:
        """How it is reached by TLS; None for plain text."""
        ...


class HopelessError(PeerError):
    """A peer that no later try will reach: it takes no such object, or TLS does not let it."""


def echo(destination: Destination, calling: str) -> str:
    """Ask a destination for C-ECHO; return what is wrong, or nothing."""
    entity = entity_for(destination.timeout_s, calling)
    try:
        association = associate(entity, destination, [build_context(_VERIFICATION)])
    except PeerError as error:
        return str(error)
    status = association.send_c_echo()
    association.release()
    found = status.get("Status")
    return "" if found == 0x0000 else "no answer to C-ECHO" if found is None else f"{found:#06x}"


def entity_for(timeout_s: float, title: str) -> ApplicationEntity:
    """Return an application entity that calls peers, and waits for no answer longer than this."""
    entity = ApplicationEntity(title)
    entity.implementation_class_uid = IMPLEMENTATION
    entity.implementation_version_name = IMPLEMENTATION_NAME
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout_s
    entity.connection_timeout = timeout_s
    return entity


def associate(
    entity: ApplicationEntity,
    peer: CalledPeer,
    contexts: list[Any],
    roles: Sequence[Any] = (),
    handlers: Sequence[Any] = (),
) -> Association:
    """Return an association.

    Args:
        entity: the caller.
        peer: whom to call.
        contexts: presentation contexts.
        roles: role selections.
        handlers: of pynetdicom's events.

    Raises:
        PeerError: where there is none.
    """
    tls = peer.tls
    secured = None if tls is None else (tls.context(), tls.name or peer.host)
    association = entity.associate(
        peer.host,
        peer.port,
        contexts,
        ae_title=peer.ae_title,
        ext_neg=list(roles),
        evt_handlers=list(handlers),
        tls_args=secured,
    )
    if association.is_established:
        return association
    if association.rejected_contexts and not association.accepted_contexts:
        raise HopelessError(NOT_TAKEN)
    if secured is not None and secured[0].failure:
        raise HopelessError(f"TLS failed: {secured[0].failure}")
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        raise PeerError(f"the association was rejected ({answer.reason_str.lower()})")
    if answer is not None and association.is_aborted:
        raise PeerError("the association was aborted")
    raise PeerError("the peer cannot be reached")
