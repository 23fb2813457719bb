"""`hilum serve`: the HTTP API and review pages, its tokens, its audit trail and its labels."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hilum.cli import books
from hilum.cli.books import STORE
from hilum.cli.options import INPUT, MACHINE, MODEL, OTHER, OUTPUT
from hilum.cli.predict import PhiKey, Threads, Timeout
from hilum.cli.start_group import StartGroup
from hilum.cli.terminal import kept, say
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.service.parts import ServiceParts, Store
    from hilum.service.settings import ServiceSettings
    from hilum.web.settings import ServerCertificate

__all__ = ["app", "serve"]

ACCESS = "Access"


app = typer.Typer(
    name="serve",
    cls=StartGroup,
    no_args_is_help=True,
    help="Serve films over HTTP and review them. `start` may be left out: hilum serve starter.",
)

StorePlace = Annotated[
    Path | None,
    typer.Option(
        "--store",
        help="Folder of the service (default: hilum-store; with --results, OUT/review).",
        rich_help_panel=OUTPUT,
    ),
]
BundlePlace = Annotated[
    Path | None,
    typer.Argument(help="The bundle's folder, or starter (default: none, with --results)."),
]
Results = Annotated[
    Path | None,
    typer.Option(
        help="Folder that `hilum predict` wrote, to review (default: none).",
        rich_help_panel=INPUT,
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen on.", rich_help_panel=ACCESS)]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port.", rich_help_panel=ACCESS)]
HostName = Annotated[
    list[str] | None,
    typer.Option(
        help="Name by which the service may be called too (default: none).",
        rich_help_panel=ACCESS,
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(help="Certificates for TLS, PEM (default: no TLS).", rich_help_panel=ACCESS),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(help="Private key for TLS, PKCS #8 (default: no TLS).", rich_help_panel=ACCESS),
]
BehindProxy = Annotated[
    bool,
    typer.Option(
        "--behind-proxy",
        help="A proxy in front does TLS and limits addresses.",
        rich_help_panel=ACCESS,
    ),
]
Blind = Annotated[
    bool,
    typer.Option(
        "--blind",
        help="Show readers no result of a film before their own first reading.",
        rich_help_panel=ACCESS,
    ),
]
PhiWord = Annotated[
    Literal["none", "pseudonym", "full"],
    typer.Option(help="Patient identity in results.", rich_help_panel=OUTPUT),
]
Uploads = Annotated[
    int,
    typer.Option(
        "--uploads-per-minute",
        min=1,
        help="Films that one token may send in a minute.",
        rich_help_panel=MACHINE,
    ),
]
QuotaGb = Annotated[
    float, typer.Option(min=0.0, help="Gigabytes of films to keep.", rich_help_panel=MACHINE)
]
WatchEvery = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Films of a day for the bundle's watch (default: days by date of arrival, in UTC).",
        rich_help_panel=MODEL,
    ),
]
Dev = Annotated[bool, typer.Option("--dev", help="Show /docs.", rich_help_panel=OTHER)]


@app.command("start")
def serve(
    bundle: BundlePlace = None,
    results: Results = None,
    store: StorePlace = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    host_name: HostName = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = False,
    blind: Blind = False,
    phi: PhiWord = "pseudonym",
    phi_key: PhiKey = None,
    threads: Threads = None,
    timeout: Timeout = 30,
    uploads: Uploads = 60,
    quota_gb: QuotaGb = 10.0,
    watch_every: WatchEvery = None,
    dev: Dev = False,
) -> None:
    """Take films, score them, and let readers review them; prints a link that works once.

    With --results nothing is scored: a folder that `hilum predict` wrote is reviewed, without its
    bundle. Readings are only ever added, and recorded in an audit trail.
    """
    from hilum.service.settings import ServiceLimits, ServiceSettings

    if (bundle is None) == (results is None):
        raise UsageError(
            "there must be either a bundle or --results OUT; "
            f"got {'neither' if bundle is None else 'both'}. Try `hilum serve starter`"
        )
    if results is not None and watch_every is not None:
        raise UsageError("a folder that is reviewed is not watched; leave out --watch-every")
    limits = ServiceLimits(uploads_per_minute=uploads, store_bytes=round(quota_gb * 1e9))
    settings = ServiceSettings(
        host=host,
        port=port,
        names=tuple(host_name or ()),
        blind=blind,
        secure=behind_proxy or tls_cert is not None,
        behind_proxy=behind_proxy,
        dev=dev,
        watch_every=watch_every,
        limits=limits,
    )
    certificate = _certificate(tls_cert, tls_key)
    _need_extra()
    from hilum.service.memory import bound_memory

    bound_memory()
    default = Path(STORE) if results is None else results / "review"
    with _opened(store or default, settings) as opened:
        if results is not None:
            from hilum.service.start import review_service

            parts = review_service(opened, results, settings)
        else:
            identity = _Identity(phi, phi_key)
            parts = _scoring(opened, settings, bundle or Path(), _Work(threads, timeout, identity))
        _serve(parts, certificate)


class _Identity:
    """What results may say of patients, as the options have it."""

    def __init__(self, phi: str, key: Path | None) -> None:
        self.phi = phi
        self.key = key


class _Work:
    """How films are read and scored, as the options have it."""

    def __init__(self, threads: int | None, timeout_s: int, identity: _Identity) -> None:
        self.threads = threads
        self.timeout_s = timeout_s
        self.identity = identity


def _certificate(chain: Path | None, key: Path | None) -> ServerCertificate | None:
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise UsageError(
            "TLS needs a certificate and its key; got one. Give --tls-cert and --tls-key"
        )
    for path in (chain, key):
        if not path.is_file():
            raise UsageError(f"TLS needs files that can be read; {path} is none")
    _need_extra()
    from hilum.web.settings import ServerCertificate

    return ServerCertificate(chain, key)


def _need_extra() -> None:
    """Refuse to start without the libraries of the extra."""
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "granian", "prometheus_client") if not find_spec(name)]
    if missing:
        raise UsageError(f"this needs {', '.join(missing)}, not installed; install hilum[serve]")


@contextmanager
def _opened(place: Path, settings: ServiceSettings) -> Generator[Store]:
    """Hold a store for one service, which must be allowed to listen where it is to."""
    from hilum.files.lock import locked
    from hilum.service.parts import open_store

    with locked(place):
        opened = open_store(place)
        settings.check(has_tokens=any(not one.revoked for one in opened.tokens.all()))
        yield opened


def _scoring(opened: Store, settings: ServiceSettings, path: Path, work: _Work) -> ServiceParts:
    from hilum.batch.patients import Phi, default_key, load_patients
    from hilum.batch.run import prepare
    from hilum.batch.score import BatchRequest
    from hilum.bundle import Bundle
    from hilum.cli.archive import processors
    from hilum.reading import start_reader
    from hilum.reading.process import Limits
    from hilum.service.start import ScoringService

    early = start_reader()  # it imports what it needs while the network is compiled
    threads = work.threads or processors()
    request = BatchRequest(
        pictures=None,
        patients=load_patients(
            Phi(work.identity.phi), work.identity.key or default_key(), opened.root
        ),
        limits=Limits(timeout_s=work.timeout_s),
        early=early,
    )
    prepare()
    loaded = kept(Bundle.load(path, threads=threads))
    return ScoringService(loaded, request, lanes=threads + 1).parts(opened, settings)


def _serve(parts: ServiceParts, certificate: ServerCertificate | None) -> None:
    from hilum.domain.notice import NOT_A_DEVICE
    from hilum.service.server import serve_forever

    settings = parts.settings

    def ready() -> None:
        scheme = "https" if certificate is not None else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        # after the #, so that it is in no log and no Referer
        once = parts.store.tokens.once()
        typer.echo(f"{scheme}://{host}:{settings.port}/#once={once}")
        say(f"{NOT_A_DEVICE} The link works once, within 15 minutes. Ctrl-C stops the service.")

    try:
        serve_forever(parts, certificate, ready)
    finally:
        parts.close()


app.command("audit")(books.audit)
app.command("export")(books.export)
app.add_typer(books.token)
