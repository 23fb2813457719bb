"""How a service is run: address, limits, and whether readers are blinded."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from hilum.domain.errors import UsageError

__all__ = ["ServiceLimits", "ServiceSettings", "is_loopback"]


@dataclass(frozen=True)
class ServiceLimits:
    """What a service takes, at most.

    Attributes:
        film_bytes: of one film.
        json_bytes: of any other request.
        uploads_per_minute: by one token.
        wrong_tokens_per_minute: from one address.
        store_bytes: of all films together.
        waiting: films that wait to be scored.
        slow_s, bytes_per_s: after this time, a body must have come at this rate.
        body_s: seconds for a whole body.
        header_s: seconds for the head of a request.
        requests: that are worked on at a time; and from one address.
        connections: open at a time; most may be idle, or slow.
    """

    film_bytes: int = 100 * 10**6
    json_bytes: int = 10**6
    uploads_per_minute: int = 60
    wrong_tokens_per_minute: int = 10
    store_bytes: int = 10 * 10**9
    waiting: int = 64
    slow_s: float = 10.0
    bytes_per_s: float = 20_000.0
    body_s: float = 120.0
    header_s: float = 10.0
    requests: int = 256
    requests_per_address: int = 16
    connections: int = 4096


@dataclass(frozen=True)
class ServiceSettings:
    """How a service is run.

    Attributes:
        host, port: where it listens.
        names: names of the machine by which it may be called, beside the address.
        blind: readers see no result before their first reading is committed.
        secure: browsers reach it by TLS, its own or a proxy's.
        behind_proxy: a proxy in front of it does TLS and sees the addresses.
        dev: show `/docs`.
        watch_every: films of a day for the watch; None for days by date of arrival.
        limits: of requests.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    names: tuple[str, ...] = ()
    blind: bool = False
    secure: bool = False
    behind_proxy: bool = False
    dev: bool = False
    watch_every: int | None = None
    limits: ServiceLimits = field(default_factory=ServiceLimits)

    @property
    def hosts(self) -> frozenset[str]:
        """Names in `Host` that are answered, without their port.

        >>> sorted(ServiceSettings().hosts)
        ['127.0.0.1', '[::1]', 'localhost']
        """
        own = {self.host, *self.names}
        if is_loopback(self.host):
            own |= {"127.0.0.1", "localhost", "::1"}
        return frozenset(f"[{one}]" if ":" in one else one.lower() for one in own)

    def check(self, has_tokens: bool) -> None:
        """Refuse to listen where others can reach it without tokens and TLS.

        Raises:
            UsageError: for such an address.
        """
        if is_loopback(self.host) and not self.behind_proxy:
            return
        if not has_tokens:
            raise UsageError(
                f"an address that others can reach needs a token; {self.host} has none. Make one "
                "with `hilum serve token add NAME --scope review --store DIR`"
            )
        if not self.secure:
            raise UsageError(
                f"an address that others can reach needs TLS; got {self.host} without. Give "
                "--tls-cert and --tls-key, or --behind-proxy where a proxy does TLS"
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
