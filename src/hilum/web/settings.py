"""What a request must keep: names, sizes, times and numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hilum.files.address import is_loopback

__all__ = ["GuardRules", "ListenAddress", "RequestLimits", "ServerCertificate", "names_of"]


@dataclass(frozen=True)
class RequestLimits:
    """What is taken of a request, at most.

    Attributes:
        json_bytes: of the body of a request that is no upload.
        slow_s, bytes_per_s: after this time, a body must have come at this rate.
        body_s: seconds for a whole body.
        header_s: seconds for the head of a request.
        requests: that are worked on at a time; and from one address.
        connections: open at a time; most may be idle, or slow.
    """

    json_bytes: int = 10**6
    slow_s: float = 10.0
    bytes_per_s: float = 20_000.0
    body_s: float = 120.0
    header_s: float = 10.0
    requests: int = 256
    requests_per_address: int = 16
    connections: int = 4096


@dataclass(frozen=True)
class GuardRules:
    """What a request must keep to be answered.

    Attributes:
        hosts: names in `Host` that are answered, without their port.
        limits: sizes, times and numbers.
        names_option: what adds a name, for whoever used a different one.
        marked: a change must carry the header `X-Hilum: 1`; without it, `Origin` alone keeps the
            pages of others out, which is enough for forms.
        secure: browsers reach it by TLS.
        behind_proxy: a proxy in front of it sees the addresses.
        larger: method and path to the bytes of an upload.
    """

    hosts: frozenset[str]
    limits: RequestLimits = field(default_factory=RequestLimits)
    names_option: str = ""
    marked: bool = True
    secure: bool = False
    behind_proxy: bool = False
    larger: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def most_bytes(self, method: str, path: str) -> int:
        """Return the bytes that a body may have.

        An upload to `/studies` is one to what lies below it, too.

        >>> rules = GuardRules(frozenset(), larger={("POST", "/studies"): 10**9})
        >>> [rules.most_bytes("POST", path) for path in ("/studies", "/studies/1.2", "/studiesx")]
        [1000000000, 1000000000, 1000000]
        """
        for (verb, place), most in self.larger.items():
            if method == verb and (path == place or path.startswith(f"{place}/")):
                return most
        return self.limits.json_bytes


def names_of(host: str, more: Collection[str] = ()) -> frozenset[str]:
    """Return the names by which a listener on an address may be called.

    >>> sorted(names_of("127.0.0.1"))
    ['127.0.0.1', '[::1]', 'localhost']
    """
    own = {host, *more}
    if is_loopback(host):
        own |= {"127.0.0.1", "localhost", "::1"}
    return frozenset(f"[{one}]" if ":" in one else one.lower() for one in own)


@dataclass(frozen=True)
class ServerCertificate:
    """The files for TLS.

    Attributes:
        chain: certificates, PEM.
        key: private key, PKCS #8.
    """

    chain: Path
    key: Path


@dataclass(frozen=True)
class ListenAddress:
    """Where a server listens.

    Attributes:
        host: IPv4, IPv6 or a name.
        port: of it.
        certificate: for TLS; None without.
        remedy: what to do where the address is not free.
    """

    host: str
    port: int
    certificate: ServerCertificate | None = None
    remedy: str = ""
