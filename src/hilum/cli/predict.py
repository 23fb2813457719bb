"""`hilum predict`: films through a bundle to reports. Needs no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import Out, Quiet
from hilum.cli.terminal import Format, form_of, print_batch, progress, say
from hilum.domain.errors import choice

if TYPE_CHECKING:
    from hilum.batch.run import Finished
    from hilum.batch.score import BatchRequest
    from hilum.bundle import Bundle
    from hilum.explain.request import Pictures

__all__ = ["predict"]


Heatmaps = Annotated[
    str, typer.Option(help="Of positives, top, all or none, or findings: Effusion,Mass.")
]
TablesOnly = Annotated[
    bool, typer.Option("--tables-only", help="No heatmaps and no previews: fastest.")
]
Stored = Annotated[str, typer.Option(help="png, or jpg: a sixth of the bytes.")]
Threshold = Annotated[
    float | None, typer.Option(help="One for all findings, in place of the bundle's own.")
]
PhiKey = Annotated[
    Path | None, typer.Option(help="The key of the pseudonyms; made if it is missing.")
]
PrecisionOf = Annotated[
    str | None,
    typer.Option(
        help="f32 or bf16, or int8 or int8-bf16 of a bundle in 8 bits; else as calibrated."
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Of the processor; else as many as it has.")
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Links in folders may lead out of them.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit code 1 if an input was rejected or failed.")
]


def predict(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder, or starter.")],
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs or CSV lists.")],
    out: Out,
    heatmaps: Heatmaps = "positives",
    style: Annotated[str, typer.Option(help="hot, jet or triptych.")] = "hot",
    panel: Annotated[bool, typer.Option("--panel", help="Film and overlay side by side.")] = False,
    pictures_as: Stored = "png",
    tables_only: TablesOnly = False,
    threshold: Threshold = None,
    form: Format = None,
    phi: Annotated[str, typer.Option(help="Patients as none, pseudonym or full.")] = "pseudonym",
    phi_key: PhiKey = None,
    precision: PrecisionOf = None,
    threads: Threads = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds to read one film.")] = 30,
    shard: Annotated[str | None, typer.Option(help="Only this part of the films: 2/3.")] = None,
    follow_links: FollowLinks = False,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Score chest films; write CSV, JSON lines, heatmaps, report and dashboard.

    Every input gets one row, whatever became of it. A run that was stopped goes on where it
    stopped when it is started again. Exit code 3: some inputs were rejected or failed.
    """
    from hilum.reading import start_reader

    # a first reader imports what it needs while we do, and the network is compiled
    with (
        terminal.stoppable("the same command"),
        closing(start_reader()) as early,
        _loading(bundle, threads, precision) as loaded,
    ):
        from hilum.batch.inputs import Shard
        from hilum.batch.patients import Phi, default_key, load_patients
        from hilum.batch.score import BatchRequest
        from hilum.reading.process import Limits

        printed = form_of(form)
        pictures = _pictures(heatmaps, style, panel, pictures_as)
        request = BatchRequest(
            pictures=None if tables_only else pictures,
            threshold=threshold,
            patients=load_patients(choice(Phi, phi, "--phi"), phi_key or default_key(), out),
            limits=Limits(timeout_s=timeout),
            early=early,
            shard=None if shard is None else Shard.parse(shard),
        )
        finished = _predict(_Job(loaded, inputs, follow_links), out, request, quiet)
    print_batch(finished.batch, printed, out / "report.html", quiet)
    if finished.refused:
        raise typer.Exit(terminal.STRICT if strict else terminal.REFUSED)


def _pictures(heatmaps: str, style: str, panel: bool, stored: str) -> Pictures:
    from hilum.explain.files import PictureFormat
    from hilum.explain.overlay import Style
    from hilum.explain.request import HeatmapRequest, Pictures

    return Pictures(
        HeatmapRequest.parse(heatmaps),
        choice(Style, style, "--style"),
        panel,
        choice(PictureFormat, stored, "--pictures-as"),
    )


@dataclass(frozen=True)
class _Job:
    """The inputs and the bundle, which loads meanwhile."""

    bundle: Callable[[], Bundle]
    inputs: list[str]
    follow_links: bool


def _predict(job: _Job, out: Path, request: BatchRequest, quiet: bool) -> Finished:
    from hilum.batch.inputs import list_films
    from hilum.batch.run import prepare, run_batch
    from hilum.domain.errors import Status
    from hilum.files.lock import refuse_if_locked

    films = list_films(job.inputs, job.follow_links)
    refuse_if_locked(out)
    prepare()
    bundle = terminal.kept(job.bundle())
    begun = time.monotonic()
    with progress(quiet) as step:

        def advance(done: int, total: int) -> None:
            step("scoring films", done, total)

        finished = run_batch(bundle, films, out, request, advance)
    seconds = time.monotonic() - begun
    counts = finished.batch.tally.statuses
    summary = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
    say(f"{counts.total()} inputs: {summary}", quiet)
    done = counts.total() - finished.resumed
    rate = f"{done} films in {seconds:.1f} s, {done / seconds:.1f} films/s"
    say(f"{rate}; {finished.resumed} taken from the journal", quiet)
    return finished


@contextmanager
def _loading(
    path: Path, threads: int | None, precision: str | None
) -> Generator[Callable[[], Bundle]]:
    """Load a bundle while other things are done, which most of the time needs no Python."""

    def load() -> Bundle:
        from hilum.bundle import Bundle

        return Bundle.load(path, threads=threads or _processors(), precision=precision)

    beside = ThreadPoolExecutor(1)
    try:
        yield beside.submit(load).result
    finally:
        beside.shutdown(wait=False)


def _processors() -> int:
    """Processors that this process may use."""
    import os

    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
