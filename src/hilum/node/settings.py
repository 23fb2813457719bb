"""The configuration of a node: `node.yaml`, read strictly."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from hilum.domain.errors import UsageError
from hilum.files.address import is_loopback
from hilum.interchange import check_kinds
from hilum.node.fields import AeTitle, Port, Seconds
from hilum.node.peers import TAG, AnyDestination, AnySource, Destination
from hilum.node.tls import BesideConfig, ListenerTls
from hilum.runs.recipe import Source, describe
from hilum.runs.recipe_parts import Part

__all__ = [
    "Accepted",
    "DicomListener",
    "Grouping",
    "Keeping",
    "Listeners",
    "NodeSettings",
    "ObjectSettings",
    "PageListener",
    "Retries",
    "WebListener",
    "load_settings",
]

Network = IPv4Network | IPv6Network
_LONGEST = 256 * 1024
"""Bytes of a configuration file."""


class DicomListener(Part):
    """Where and from whom films are taken by C-STORE."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 11112
    ae_title: AeTitle = "HILUM"
    """Title by which the node must be called."""
    calling: dict[AeTitle, tuple[Network, ...]] = Field(default={})
    """AE titles that may call, each with the addresses it may call from. Without any, every title
    may call, from this machine alone, or by TLS from any. An AE title is not authentication."""
    max_connections: int = Field(default=32, ge=1, le=1024)
    """TCP connections open at a time; the next one is closed at once."""
    max_associations: int = Field(default=10, ge=1, le=256)
    """Associations at a time; the next one is rejected."""
    idle_s: Seconds = 30.0
    """Seconds for one PDU to come whole, and between two of them."""
    association_s: Seconds = 3600.0
    """Seconds for a whole association."""
    max_object_mb: int = Field(default=256, ge=1, le=4096)
    """Millions of bytes of one object."""
    max_pdu: int = Field(default=131072, ge=4096, le=1048576)
    """Bytes of a PDU; a longer one ends the connection before it is read."""
    tls: ListenerTls | None = None
    """Certificates of both sides; without them, what is sent can be read on its way."""

    @field_validator("calling", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        """Read `10.0.0.5` and `10.0.0.0/24` alike."""
        if not isinstance(value, Mapping):
            return value
        return {title: _listed(places) for title, places in value.items()}

    @model_validator(mode="after")
    def _open_to_some(self) -> DicomListener:
        if not self.calling and self.tls is None and not is_loopback(self.host):
            raise ValueError(
                "an address that others can reach needs `tls`, or `calling`, the AE titles and "
                f"addresses that may call; {self.host} has neither"
            )
        return self

    def admits(self, title: str, address: str) -> bool:
        """Return whether a title may call from an address.

        >>> DicomListener(calling={"PACS1": ["10.0.0.0/24"]}).admits("PACS1", "10.0.0.7")
        True
        >>> DicomListener().admits("ANY", "10.0.0.7")
        False
        """
        place = ipaddress.ip_address(address.partition("%")[0])
        if not self.calling:
            return place.is_loopback or self.tls is not None
        return any(place in network for network in self.calling.get(title, ()))


def _listed(places: Any) -> Any:
    if not isinstance(places, list):
        raise ValueError(f"calling must list addresses, such as [10.0.0.5]; got {places!r}")
    return tuple(ipaddress.ip_network(str(place), strict=False) for place in places)


class PageListener(Part):
    """Where the status page, `/healthz`, `/readyz` and `/metrics` are; they need no token."""

    host: str = "127.0.0.1"
    """Address of this machine alone; a proxy may stand before it."""
    port: Port = 8081
    names: tuple[str, ...] = ()
    """Names by which a proxy calls it, beside the address."""

    @field_validator("host")
    @classmethod
    def _own(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError(
                f"pages without a token must be for this machine alone; got {host}. Use 127.0.0.1, "
                "and a proxy that knows who may look"
            )
        return host


class WebTls(Part):
    """Certificate of a web server."""

    certificate: BesideConfig
    """Certificate of the node and those above it, PEM."""
    key: BesideConfig
    """Its private key, PEM (PKCS #8), without a passphrase."""


class WebListener(Part):
    """Where films are taken by STOW-RS, each request with a token."""

    host: str = "127.0.0.1"
    """Address to listen on; one that others can reach needs `tls`."""
    port: Port = 8080
    tokens: BesideConfig
    """File with the hashes of the tokens; `hilum node token` makes one."""
    names: tuple[str, ...] = ()
    """Names by which senders call it, beside the address."""
    tls: WebTls | None = None
    """Certificate; without it, what is sent can be read on its way."""
    max_request_mb: int = Field(default=1024, ge=1, le=16384)
    """Millions of bytes of one request."""

    @model_validator(mode="after")
    def _covered(self) -> WebListener:
        if self.tls is None and not is_loopback(self.host):
            raise ValueError(
                f"an address that others can reach needs `tls`; {self.host} has none. Use "
                "127.0.0.1, and a proxy that does TLS"
            )
        return self


class Listeners(Part):
    """What the node listens on."""

    dicom: DicomListener = DicomListener()
    status: PageListener | None = None
    """Pages of the node; none without it."""
    dicomweb: WebListener | None = None
    """Films by STOW-RS; none without it."""

    @model_validator(mode="after")
    def _apart(self) -> Listeners:
        listeners = {"dicom": self.dicom, "status": self.status, "dicomweb": self.dicomweb}
        seen: dict[int, str] = {}
        for name, one in listeners.items():
            if one is not None and seen.setdefault(one.port, name) != name:
                raise ValueError(
                    f"listeners must have a port each; {one.port} is listen.{seen[one.port]}'s and "
                    f"listen.{name}'s"
                )
        return self


class Accepted(Part):
    """What is taken."""

    sop_classes: tuple[Literal["CR", "DX", "SC"], ...] = Field(
        default=("CR", "DX", "SC"), min_length=1
    )
    """Kinds of films: Computed Radiography, Digital X-Ray (for presentation), Secondary Capture."""
    quota_gb: float = Field(default=50.0, gt=0.0)
    """Billions of bytes that the spool may hold."""
    free_gb: float = Field(default=1.0, ge=0.0)
    """Billions of bytes of the disk that stay free: before it is full, senders keep their films."""


class Grouping(Part):
    """When the films of a study are taken together."""

    by: Literal["study"] = "study"
    quiet_s: float = Field(default=20.0, ge=0.0)
    """Seconds without a film of the study after which it is scored."""
    at_most_s: float = Field(default=300.0, ge=0.0)
    """Seconds after which it is scored although films keep coming."""

    @model_validator(mode="after")
    def _in_order(self) -> Grouping:
        if self.at_most_s < self.quiet_s:
            raise ValueError(
                f"at_most_s must be at least quiet_s; got {self.at_most_s:g} and {self.quiet_s:g}"
            )
        return self


class ObjectSettings(Part):
    """What is sent back."""

    kinds: tuple[str, ...] = ("sr", "region", "sc", "pr")
    """Kinds of DICOM objects: sr, region, sc, pr, ko, seg."""
    on_reject: Literal["none", "sr"] = "none"
    """Objects of a film that the gate rejects: none, or a report of the reason without a number."""

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return check_kinds(",".join(kinds))
        except UsageError as error:
            raise ValueError(str(error)) from None


class Retries(Part):
    """How often sending is tried again."""

    first_s: Seconds = 5.0
    factor: float = Field(default=2.0, ge=1.0, le=10.0)
    max_s: Seconds = 900.0
    give_up_h: Seconds = 72.0

    def wait_s(self, tries: int) -> float:
        """Return the seconds after the given number of failed tries, without jitter.

        >>> [Retries().wait_s(tries) for tries in (1, 2, 3, 20)]
        [5.0, 10.0, 20.0, 900.0]
        """
        return min(self.max_s, self.first_s * self.factor ** min(tries - 1, 64))


class Keeping(Part):
    """How long bytes are kept. Nothing goes before it was sent, and states stay for ever."""

    received_days: float | None = Field(default=None, gt=0.0)
    """Days after which a film goes whose study is complete and whose results were sent, and what
    was refused; without a number, never."""
    results_days: float | None = Field(default=None, gt=0.0)
    """Days after which an object goes that every destination has; without a number, never."""


class NodeSettings(Part):
    """The configuration of a node."""

    spool: Path
    """Folder of films, results and books; on one file system, for its owner alone."""
    listen: Listeners = Listeners()
    accept: Accepted = Accepted()
    group: Grouping = Grouping()
    results: ObjectSettings = ObjectSettings()
    destinations: tuple[AnyDestination, ...] = ()
    retry: Retries = Retries()
    sources: tuple[AnySource, ...] = ()
    keep: Keeping = Keeping()

    @model_validator(mode="after")
    def _apart(self) -> NodeSettings:
        for what, peers in (("destinations", self.destinations), ("sources", self.sources)):
            names = [one.name for one in peers]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{what} must have a name each; two are called {name}")
        own = self.listen.dicom
        for one in self.destinations:
            if isinstance(one, Destination) and (one.host, one.port) == (own.host, own.port):
                raise ValueError(
                    f"destination {one.name} must not be the node itself; {one.host}:{one.port} is"
                )
        return self


_KINDS = {"destinations": "dicom, stow", "sources": "dicom, dicomweb"}
"""Kinds of peers."""


def load_settings(path: Path) -> NodeSettings:
    """Load a configuration.

    A relative spool lies beside the file.

    Raises:
        UsageError: for a file that is not one; the message names the line and the key.
    """
    try:
        if path.stat().st_size > _LONGEST:
            raise UsageError(
                f"a configuration must be smaller than {_LONGEST} bytes; {path} is not"
            )
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"a configuration must be readable; {path}: {reason}") from None
    try:
        tree = yaml.safe_load(text)
        source = Source.of(str(path), text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"a configuration must be YAML; {path}: {reason}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"a configuration must be a mapping of keys; {path} is not")
    try:
        settings = NodeSettings.model_validate(tree, context={"folder": path.parent})
    except ValidationError as error:
        raise UsageError(describe(_as_written(error), NodeSettings, source)) from None
    spool = path.parent / settings.spool.expanduser()
    return settings.model_copy(update={"spool": spool})


def _as_written(error: ValidationError) -> ValidationError:
    """Return the first fault with its place as the file has it, without kinds of peers."""
    first = error.errors()[0]
    place = tuple(step for step in first["loc"] if not str(step).startswith(TAG))
    message = first["msg"].replace("{", "(").replace("}", ")")
    if first["type"] == "union_tag_invalid":
        place, message = (*place, "kind"), f"the kind must be one of {_KINDS[str(place[0])]}"
    fault = PydanticCustomError(first["type"], message)  # pyright: ignore[reportArgumentType]
    details = InitErrorDetails(type=fault, loc=place, input=first["input"])
    return ValidationError.from_exception_data(error.title, [details])
