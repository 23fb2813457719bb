"""The application of the service behind the guarded server."""

from __future__ import annotations

from collections.abc import Callable

from hilum.files.address import need_address
from hilum.service.app import application
from hilum.service.parts import ServiceParts
from hilum.web.server import serve_until_signal
from hilum.web.settings import ListenAddress, ServerCertificate

__all__ = ["serve_forever"]


def serve_forever(
    parts: ServiceParts, certificate: ServerCertificate | None, ready: Callable[[], None]
) -> None:
    """Answer requests until the process gets a signal to end.

    Args:
        parts: what answers.
        certificate: for TLS; None without.
        ready: called when the service listens.

    Raises:
        UsageError: when the address cannot be listened on.
    """
    settings = parts.settings
    need_address(settings.host, settings.port, "Give another --port")
    if parts.queue is not None:
        parts.queue.start()
    address = ListenAddress(settings.host, settings.port, certificate)
    serve_until_signal(application(parts, settings.dev), settings.rules(), address, ready)
