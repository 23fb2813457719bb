"""Peers in the configuration of a node: where results go, and where films are fetched from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from hilum.node.fields import AeTitle, BaseUrl, PeerName, Port, Seconds
from hilum.node.tls import BesideConfig, PeerTls
from hilum.runs.recipe_parts import Part

__all__ = [
    "TAG",
    "AnyDestination",
    "AnySource",
    "Destination",
    "DicomSource",
    "MoveListener",
    "StowDestination",
    "WebPeer",
    "WebSource",
]

TAG = "kind="
"""Start of the steps in the place of a fault that are not in the file: a kind, by its word."""


class WebPeer(Part):
    """A server that speaks DICOMweb."""

    name: PeerName
    url: BaseUrl
    """Its address, such as https://vna.example/dicom-web: STOW-RS, QIDO-RS and WADO-RS below it."""
    token_file: BesideConfig | None = None
    """File with the bearer token, readable by its owner alone."""
    ca_file: BesideConfig | None = None
    """Certificates (PEM) that the server's must be signed by, instead of those of the system."""
    timeout_s: Seconds = 30.0
    """Seconds to connect, and for each piece of an answer."""


class Destination(Part):
    """Where results are sent by C-STORE."""

    name: PeerName
    kind: Literal["dicom"] = "dicom"
    host: str = Field(min_length=1)
    port: Port
    ae_title: AeTitle
    """Title of the peer."""
    sr: Literal["comprehensive3d", "comprehensive", "enhanced"] = "comprehensive3d"
    """SOP class of reports; one of an older class has a UID of its own."""
    deidentify: BesideConfig | None = None
    """File that says how results are de-identified on their way; without it, they are not."""
    commit: bool = False
    """Ask for storage commitment, since an answer of success is no proof."""
    commit_s: Seconds = 600.0
    """Seconds to wait for the report of a commitment before it is requested again."""
    timeout_s: Seconds = 30.0
    """Seconds to connect, and for each answer."""
    tls: PeerTls | None = None
    """How it is reached by TLS; without it, as plain text."""


class StowDestination(WebPeer):
    """Where results are sent by STOW-RS."""

    kind: Literal["stow"]
    sr: Literal["comprehensive3d", "comprehensive", "enhanced"] = "comprehensive3d"
    """SOP class of reports; one of an older class has a UID of its own."""
    deidentify: BesideConfig | None = None
    """File that says how results are de-identified on their way; without it, they are not."""
    commit: bool = False
    """Read each object back by WADO-RS and compare it, since an answer of success is no proof."""


class MoveListener(Part):
    """Where the films of a C-MOVE arrive, as the archive has it in its list of peers."""

    host: str = "127.0.0.1"
    port: Port
    ae_title: AeTitle


class DicomSource(Part):
    """Where films are fetched from by C-FIND and C-GET or C-MOVE."""

    name: PeerName
    kind: Literal["dicom"] = "dicom"
    host: str = Field(min_length=1)
    port: Port
    ae_title: AeTitle
    """Title of the peer."""
    method: Literal["cget", "cmove"] = "cget"
    move_to: MoveListener | None = None
    """Where films of a C-MOVE arrive, if not at the node's own address (`listen.dicom`)."""
    timeout_s: Seconds = 30.0
    """Seconds to connect, and for each answer."""
    tls: PeerTls | None = None
    """How it is reached by TLS; without it, as plain text."""


class WebSource(WebPeer):
    """Where films are fetched from by QIDO-RS and WADO-RS."""

    kind: Literal["dicomweb"]


def _kind(default: str) -> Callable[[Any], str]:
    """Return what finds the kind of an entry, which is the default where none is there."""

    def found(value: Any) -> str:
        word = value.get("kind", default) if isinstance(value, dict) else value.kind
        return f"{TAG}{word}"

    return found


AnyDestination = Annotated[
    Annotated[Destination, Tag(f"{TAG}dicom")] | Annotated[StowDestination, Tag(f"{TAG}stow")],
    Discriminator(_kind("dicom")),
]
AnySource = Annotated[
    Annotated[DicomSource, Tag(f"{TAG}dicom")] | Annotated[WebSource, Tag(f"{TAG}dicomweb")],
    Discriminator(_kind("dicom")),
]
