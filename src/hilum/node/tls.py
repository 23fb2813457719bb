"""TLS for DICOM: both sides show a certificate, and neither speaks anything older than TLS 1.2."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ValidationInfo, model_validator

from hilum.domain.errors import UsageError
from hilum.runs.recipe_parts import Part

__all__ = ["BesideConfig", "ListenerTls", "PeerContext", "PeerTls"]

_NO_PASSWORD = b""
"""For a key with a passphrase, which OpenSSL would otherwise ask the terminal for."""


def _beside(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path if folder is None else folder / path.expanduser()


BesideConfig = Annotated[Path, AfterValidator(_beside)]
"""A file; a relative one lies beside the configuration."""


class ListenerTls(Part):
    """Certificates of the node, and of those that may call it."""

    certificate: BesideConfig
    """Certificate of the node and those above it, PEM."""
    key: BesideConfig
    """Its private key, PEM, without a passphrase."""
    clients: BesideConfig
    """Authorities whose clients may call, PEM. A client without a certificate is refused."""

    def context(self) -> ssl.SSLContext:
        """Return what connections are wrapped with.

        Raises:
            UsageError: for files that cannot be used.
        """
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.verify_mode = ssl.CERT_REQUIRED
        return _filled(made, "listen.dicom.tls", self.clients, (self.certificate, self.key))


class PeerTls(Part):
    """How a destination is reached by TLS."""

    ca: BesideConfig
    """Authorities that the peer's certificate may be from, PEM."""
    certificate: BesideConfig | None = None
    """Certificate that the node shows, PEM; none without it."""
    key: BesideConfig | None = None
    """Its private key, PEM, without a passphrase."""
    name: str = ""
    """Name in the peer's certificate; without it, `host`."""

    @model_validator(mode="after")
    def _pair(self) -> PeerTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key must be given together; one of them is missing")
        return self

    def context(self) -> PeerContext:
        """Return what a connection is wrapped with.

        Raises:
            UsageError: for files that cannot be used.
        """
        made = PeerContext(ssl.PROTOCOL_TLS_CLIENT)
        own = None
        if self.certificate is not None and self.key is not None:
            own = (self.certificate, self.key)
        return _filled(made, "destinations.tls", self.ca, own)


class _PeerSocket(ssl.SSLSocket):
    """A socket that leaves what TLS did not like in its context: pynetdicom does not pass it on."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands."""
        try:
            super().do_handshake(block)
        except ssl.SSLError as error:
            self._note(error)
            raise

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 (ssl's own name)
        """Read; by TLS 1.3, a refused certificate shows here first."""
        try:
            return super().read(len, buffer)  # pyright: ignore[reportDeprecated] (what recv calls)
        except ssl.SSLError as error:
            self._note(error)
            raise

    def _note(self, error: ssl.SSLError) -> None:
        ended = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLWantReadError)
        if isinstance(self.context, PeerContext) and not isinstance(error, ended):
            self.context.failure = (error.reason or "failed").lower().replace("_", " ")


class PeerContext(ssl.SSLContext):
    """The context of one peer.

    Attributes:
        failure: what TLS did not like, in OpenSSL's words; empty where it was something else.
    """

    sslsocket_class = _PeerSocket
    failure: str = ""


Context = TypeVar("Context", bound=ssl.SSLContext)


def _filled(made: Context, where: str, authorities: Path, own: tuple[Path, Path] | None) -> Context:
    """Return a context with its certificates."""
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    path = authorities
    try:
        made.load_verify_locations(path)
        if own is not None:
            path = own[0]
            made.load_cert_chain(*own, password=_NO_PASSWORD)
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not PEM"
        raise UsageError(
            f"{where} needs certificates and a key that can be read and belong together; {path}: "
            f"{str(reason).lower().replace('_', ' ')}"
        ) from None
    return made
