"""`hilum node`: films from a PACS by DICOM, and their results back; its state, and what failed."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.options import INPUT, OTHER, Json, Quiet
from hilum.cli.predict import PhiKey, Threads, Timeout
from hilum.cli.start_group import StartGroup
from hilum.cli.terminal import kept, print_json, say
from hilum.domain.errors import UsageError, counted

if TYPE_CHECKING:
    from hilum.files.database import Database
    from hilum.node.settings import NodeSettings
    from hilum.node.start import NodeWork

__all__ = ["Config", "app", "need_extra", "node"]


app = typer.Typer(
    name="node",
    cls=StartGroup,
    no_args_is_help=True,
    help="Score films beside a PACS. `start` may be left out: hilum node starter --config FILE.",
)

Config = Annotated[
    Path,
    typer.Option("--config", help="Configuration, such as node.yaml.", rich_help_panel=INPUT),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Check file, key, folder, port and destinations, and stop.",
        rich_help_panel=OTHER,
    ),
]
Study = Annotated[
    int | None,
    typer.Option(min=1, help="Number of the study (default: all).", rich_help_panel=INPUT),
]


@app.command("start")
def node(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder, or starter.")],
    config: Config,
    check: Check = False,
    phi_key: PhiKey = None,
    threads: Threads = None,
    timeout: Timeout = 30,
    quiet: Quiet = False,
) -> None:
    """Take films by C-STORE, score them by study, and send the results to each destination.

    A film is answered when the disk and the books have it. A node that was stopped, by whatever,
    goes on where it stopped. Its log is a line of JSON for each event, without a patient.
    """
    need_extra()
    from hilum.node.settings import load_settings
    from hilum.node.start import check_node, running

    settings = load_settings(config)
    if check:
        from hilum.bundle.bundle import locate

        locate(bundle)
        _key(settings, phi_key)
        check_node(settings, say)
        typer.echo(settings.spool)
        return
    work = _work(bundle, settings, _Options(phi_key, threads, timeout))
    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopped.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, stop)
    with _logged(quiet), running(settings, work):
        from hilum.domain.notice import NOT_A_DEVICE

        listener = settings.listen.dicom
        typer.echo(f"{listener.ae_title}@{listener.host}:{listener.port}")
        say(f"{NOT_A_DEVICE} Ctrl-C stops the node.", quiet)
        stopped.wait()


@app.command()
def status(config: Config, as_json: Json = False) -> None:
    """Show what waits, what was sent and what failed; no patient is in it."""
    from hilum.node.outbox import overview

    with _books(config) as database:
        found = overview(database)
    if as_json:
        print_json(vars(found))
        return
    for failure in found.failures:
        words = ", ".join(f"{name} {value}" for name, value in failure.items() if value is not None)
        typer.echo(f"failed: {words}")
    typer.echo(_counts("studies", found.studies))
    typer.echo(_counts("films", found.films))
    if found.refused:
        typer.echo(_counts("refused", found.refused))
    for name, states in found.destinations.items():
        typer.echo(_counts(f"to {name}", states))
    if found.oldest_waiting_s:
        typer.echo(f"oldest waiting: {found.oldest_waiting_s:.0f} s")


@app.command()
def retry(config: Config, study: Study = None, quiet: Quiet = False) -> None:
    """Score failed studies and send failed objects again."""
    from hilum.node.outbox import retry as again

    with _books(config) as database:
        studies, deliveries = again(database, study)
    say(f"{counted(studies, 'study')} and {counted(deliveries, 'object')} wait again", quiet)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Name of the sender, for the file.")],
    config: Config,
) -> None:
    """Make a token for a sender by STOW-RS; it is shown once, and its hash is kept."""
    from hilum.node.dicomweb.tokens import add_token
    from hilum.node.settings import load_settings

    listener = load_settings(config).listen.dicomweb
    if listener is None:
        raise UsageError(f"a token is for listen.dicomweb, which {config} does not have")
    typer.echo(add_token(listener.tokens, name))


@app.command()
def forget(
    study: Annotated[int, typer.Argument(min=1, help="Number of the study.")],
    config: Config,
    quiet: Quiet = False,
) -> None:
    """Remove a study with its films and objects, whether or not they were sent."""
    from hilum.node.outbox import forget as remove
    from hilum.node.settings import load_settings
    from hilum.node.start import open_spool

    with _books(config) as database:
        found = remove(database, study)
    if found is None:
        raise UsageError(
            f"a study to forget must be there and not being scored; {study} is not. "
            "`hilum node status` shows the numbers of those that failed"
        )
    spool = open_spool(load_settings(config))
    for film in found[0]:
        spool.remove(spool.film(film))
    for one in found[1]:
        spool.remove(spool.object(one))
    say(f"{counted(len(found[0]), 'film')} and {counted(len(found[1]), 'object')} removed", quiet)


def _counts(what: str, states: dict[str, int]) -> str:
    return f"{what}: {', '.join(f'{number} {word}' for word, number in states.items()) or 'none'}"


def need_extra() -> None:
    """Refuse to go on without the extra that speaks DICOM.

    Raises:
        UsageError: naming it.
    """
    from importlib.util import find_spec

    if not find_spec("pynetdicom"):
        raise UsageError("this needs pynetdicom, not installed; install hilum[dicom]")


@contextmanager
def _books(config: Path) -> Generator[Database]:
    """Open the books of a node, which may be running."""
    from hilum.node.books import BOOKS, NodeBooks
    from hilum.node.settings import load_settings

    spool = load_settings(config).spool
    if not (spool / BOOKS).exists():
        raise UsageError(f"a spool must be one that `hilum node` made; {spool} is not")
    books = NodeBooks(spool)
    try:
        yield books.database
    finally:
        books.close()


class _Options:
    """How films are read and scored, as the options have it."""

    def __init__(self, key: Path | None, threads: int | None, timeout_s: int) -> None:
        self.key = key
        self.threads = threads
        self.timeout_s = timeout_s


def _key(settings: NodeSettings, path: Path | None) -> bytes:
    from hilum.batch.patients import default_key, read_key

    return read_key(path or default_key(), settings.spool)


def _work(bundle: Path, settings: NodeSettings, options: _Options) -> NodeWork:
    from hilum.batch.dicom_objects import DicomRequest
    from hilum.batch.patients import Patients, Phi
    from hilum.batch.run import prepare
    from hilum.batch.score import BatchRequest
    from hilum.bundle import Bundle
    from hilum.cli.archive import processors
    from hilum.node.start import NodeWork
    from hilum.reading import start_reader
    from hilum.reading.process import Limits

    key = _key(settings, options.key)
    early = start_reader()  # it imports what it needs while the network is compiled
    threads = options.threads or processors()
    request = BatchRequest(
        pictures=None,
        patients=Patients(Phi.PSEUDONYM, key),
        limits=Limits(timeout_s=options.timeout_s),
        early=early,
    )
    prepare()
    loaded = kept(Bundle.load(bundle, threads=threads))
    return NodeWork(loaded, request, DicomRequest(settings.results.kinds, key), threads + 1)


@contextmanager
def _logged(quiet: bool) -> Generator[None]:
    """Write each event of the node as a line of JSON on stderr."""
    import logging

    class Lines(logging.Handler):
        """Writes each record as a line of JSON."""

        def emit(self, record: logging.LogRecord) -> None:
            """Write the record."""
            event = {"at": record.created, "level": record.levelname, "event": record.getMessage()}
            say(json.dumps(event))

    logs = [logging.getLogger(name) for name in ("hilum.node", "hilum.batch")]
    lines = Lines(logging.WARNING if quiet else logging.INFO)
    for log in logs:
        log.addHandler(lines)
        log.setLevel(logging.INFO)
        log.propagate = False
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(lines)
