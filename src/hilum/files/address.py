"""An address that one process at a time listens on."""

from __future__ import annotations

import ipaddress
import socket

from hilum.domain.errors import UsageError

__all__ = ["address_taken", "is_loopback", "need_address"]


def need_address(host: str, port: int, remedy: str) -> None:
    """Find out early that an address is free.

    Args:
        host: IPv4 or IPv6.
        port: of it.
        remedy: what to do where it is not, such as "Give another --port".

    Raises:
        UsageError: when it is not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            raise address_taken(host, port, remedy, error) from None


def address_taken(host: str, port: int, remedy: str, error: OSError) -> UsageError:
    """Return the error for an address that cannot be listened on."""
    return UsageError(
        f"the address must be free to listen on; {host}:{port}: {error.strerror or error}. {remedy}"
    )


def is_loopback(host: str) -> bool:
    """Return whether an address is that of this machine alone.

    >>> is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
