"""How a service is run: address, limits, and whether readers are blinded."""

from __future__ import annotations

from dataclasses import dataclass, field

from hilum.domain.errors import UsageError
from hilum.files.address import is_loopback
from hilum.web.settings import GuardRules, RequestLimits, names_of

__all__ = ["ServiceLimits", "ServiceSettings"]

_UPLOAD = "/v1/films"


@dataclass(frozen=True)
class ServiceLimits(RequestLimits):
    """What a service takes, at most.

    Attributes:
        film_bytes: of one film.
        uploads_per_minute: by one token.
        wrong_tokens_per_minute: from one address.
        store_bytes: of all films together.
        waiting: films that wait to be scored.
    """

    film_bytes: int = 100 * 10**6
    uploads_per_minute: int = 60
    wrong_tokens_per_minute: int = 10
    store_bytes: int = 10 * 10**9
    waiting: int = 64


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
        return names_of(self.host, self.names)

    def rules(self) -> GuardRules:
        """Return what a request must keep."""
        return GuardRules(
            hosts=self.hosts,
            limits=self.limits,
            names_option="--host-name",
            marked=True,
            secure=self.secure,
            behind_proxy=self.behind_proxy,
            larger={("POST", _UPLOAD): self.limits.film_bytes},
        )

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
