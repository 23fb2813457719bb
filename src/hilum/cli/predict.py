"""`hilum predict`: films through a bundle to reports. Needs no torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hilum.cli import terminal
from hilum.cli.archive import (
    REPORT,
    Address,
    Engine,
    Workers,
    form_word,
    is_archive,
    pictures_of,
    predict_archive,
    processors,
)
from hilum.cli.options import (
    INPUT,
    MACHINE,
    MODEL,
    OUTPUT,
    FormName,
    Json,
    PrecisionName,
    Quiet,
    Verbose,
    writable,
)
from hilum.cli.terminal import form_of, print_batch, progress, say
from hilum.cli.watch_batch import WatchAfter, WatchEvery, WatchFilms, WatchOptions, watch_batch
from hilum.domain.errors import UsageError, counted

if TYPE_CHECKING:
    from hilum.batch.dicom_objects import DicomRequest
    from hilum.batch.inputs import Listed
    from hilum.batch.run import Finished
    from hilum.batch.score import BatchRequest
    from hilum.bundle import Bundle
    from hilum.explain.request import Pictures

__all__ = ["predict"]

PICTURES = "Pictures"

MaybeOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Folder to write to (default: hilum-report, if it holds no other batch).",
        rich_help_panel=OUTPUT,
        callback=writable,
    ),
]
Heatmaps = Annotated[
    str,
    typer.Option(
        help="Findings to draw: positives, top, all, none, or names, such as Effusion,Mass.",
        rich_help_panel=PICTURES,
    ),
]
StyleName = Annotated[
    Literal["plasma", "hot", "jet", "triptych"] | None,
    typer.Option(
        "--style", help="Drawing style of overlays (default: plasma).", rich_help_panel=PICTURES
    ),
]
Overlays = Annotated[
    bool,
    typer.Option(
        "--overlays",
        help="Also draw each heatmap onto its film, in a file of the film's size.",
        rich_help_panel=PICTURES,
    ),
]
Panel = Annotated[
    bool,
    typer.Option(
        "--panel", help="Draw film and overlay side by side, in one file.", rich_help_panel=PICTURES
    ),
]
Stored = Annotated[
    Literal["png", "jpg"] | None,
    typer.Option(
        help="File format of overlays; jpg takes a sixth of the bytes (default: png).",
        rich_help_panel=PICTURES,
    ),
]
TablesOnly = Annotated[
    bool,
    typer.Option(
        "--tables-only", help="Draw no heatmaps and no previews: fastest.", rich_help_panel=PICTURES
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="One threshold for all findings (default: the bundle's operating points).",
        rich_help_panel=MODEL,
    ),
]
Precision = Annotated[
    PrecisionName | None,
    typer.Option(
        help="Arithmetic of the network; 8 bits need such a bundle (default: as calibrated).",
        rich_help_panel=MODEL,
    ),
]
Format = Annotated[
    FormName | None,
    typer.Option(
        "--format", help="Print the films in this form (default: the path).", rich_help_panel=OUTPUT
    ),
]
PhiWord = Annotated[
    Literal["none", "pseudonym", "full"],
    typer.Option("--phi", help="Patient identity in the outputs.", rich_help_panel=OUTPUT),
]
PhiKey = Annotated[
    Path | None,
    typer.Option(
        help="Key file of the pseudonyms, made if missing (default: in the user's settings).",
        rich_help_panel=OUTPUT,
    ),
]
DicomWords = Annotated[
    str | None,
    typer.Option(
        "--dicom",
        metavar="[KINDS]",
        help="Make DICOM objects of DICOM films: sr, region, sc, pr, ko, seg (default: none).",
        rich_help_panel=OUTPUT,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Exit with 1 if an input was rejected or failed.", rich_help_panel=OUTPUT
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads (default: all cores).", rich_help_panel=MACHINE),
]
Timeout = Annotated[
    int, typer.Option(min=1, help="Seconds to read one film.", rich_help_panel=MACHINE)
]
ShardWord = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Part of the films to score, such as 2/3 (default: all).",
        rich_help_panel=INPUT,
    ),
]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Follow links in folders that lead out of them.",
        rich_help_panel=INPUT,
    ),
]


def predict(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder, or starter.")],
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs or lists.")],
    out: MaybeOut = None,
    heatmaps: Heatmaps = "positives",
    overlays: Overlays = False,
    style: StyleName = None,
    panel: Panel = False,
    pictures_as: Stored = None,
    tables_only: TablesOnly = False,
    threshold: Threshold = None,
    form: Format = None,
    phi: PhiWord = "pseudonym",
    phi_key: PhiKey = None,
    dicom: DicomWords = None,
    precision: Precision = None,
    threads: Threads = None,
    timeout: Timeout = 30,
    shard: ShardWord = None,
    engine: Engine = None,
    address: Address = None,
    workers: Workers = None,
    follow_links: FollowLinks = False,
    watch_films: WatchFilms = None,
    watch_every: WatchEvery = None,
    watch_after: WatchAfter = None,
    strict: Strict = False,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Score chest films; write tables, heatmaps and reports.

    Every input gets one row, whatever became of it. A run that was stopped goes on where it
    stopped when it is started again. Exit code 3: some inputs were rejected or failed.
    """
    given = dict(locals())
    if is_archive(given):
        predict_archive(given)
        return
    from hilum.reading import start_reader

    # a first reader imports what it needs while we do, and the network is compiled
    with (
        terminal.stoppable("the same command"),
        terminal.telling(verbose),
        closing(start_reader()) as early,
        _loading(bundle, threads, precision) as loaded,
    ):
        printed = form_of(form_word(as_json, form))
        films = _listed(inputs, follow_links, loaded)
        watched = WatchOptions(watch_films, watch_every, watch_after).for_bundle(loaded)
        place = out or _default_place(films)
        request = replace(_request(given, place), early=early)
        finished = _predict(_Job(loaded, films, watched), place, request, quiet)
    print_batch(finished.batch, printed, place / "report.html", quiet)
    if finished.refused:
        raise typer.Exit(terminal.STRICT if strict else terminal.REFUSED)


def _request(given: Mapping[str, Any], place: Path) -> BatchRequest:
    from hilum.batch.inputs import Shard
    from hilum.batch.patients import Phi, default_key, load_patients
    from hilum.batch.score import BatchRequest
    from hilum.reading.process import Limits

    pictures, key, shard = pictures_of(given), given["phi_key"], given["shard"]
    return BatchRequest(
        pictures=pictures,
        threshold=given["threshold"],
        patients=load_patients(Phi(given["phi"]), key or default_key(), place),
        limits=Limits(timeout_s=given["timeout"]),
        shard=None if shard is None else Shard.parse(shard),
        dicom=_dicom(given["dicom"], key, place, pictures),
    )


def _dicom(
    words: str | None, key: Path | None, place: Path, pictures: Pictures | None
) -> DicomRequest | None:
    if words is None:
        return None
    from hilum.interchange import check_kinds

    kinds = check_kinds(words)
    from hilum.batch.dicom_objects import DicomRequest
    from hilum.batch.patients import default_key, read_key
    from hilum.explain.request import Pictures

    return DicomRequest(kinds, read_key(key or default_key(), place), pictures or Pictures())


@dataclass(frozen=True)
class _Job:
    """The films and the bundle, which loads meanwhile."""

    bundle: Callable[[], Bundle]
    films: Sequence[Listed]
    watch: WatchOptions


def _listed(inputs: list[str], follow_links: bool, loaded: Callable[[], Bundle]) -> list[Listed]:
    """List the films.

    Raises:
        UsageError: when not one of them exists: that is a typing error, and no batch.
    """
    from hilum.batch.inputs import PassedOver, list_films
    from hilum.report.parts.text import shown

    passed = PassedOver()
    films = list_films(inputs, follow_links, passed)
    for line in passed.lines():  # printed with --quiet too: no film is lost silently
        say(shown(line))
    if films and not any(os.path.lexists(film.path) for film in films):
        loaded()  # what is wrong with the bundle comes first
        raise UsageError(
            f"there must be a film to score; {films[0].path} does not exist"
            f"{f', nor do the other {len(films) - 1}' if len(films) > 1 else ''}"
        )
    return films


def _default_place(films: Sequence[Listed]) -> Path:
    """Return `hilum-report`, if it is new, empty, or holds this batch, which then goes on.

    Raises:
        UsageError: when it holds anything else.
    """
    from hilum.batch.journal import inputs_of

    place = Path(REPORT)
    if os.path.lexists(place) and (not place.is_dir() or any(place.iterdir())):
        begun = inputs_of(place / "journal.jsonl")
        if begun is None or not begun <= {str(film.path) for film in films}:
            raise UsageError(
                f"{REPORT} must be new or hold the same batch; it holds something else. Name a "
                "folder with -o"
            )
    return place


def _predict(job: _Job, out: Path, request: BatchRequest, quiet: bool) -> Finished:
    from hilum.batch.run import prepare, run_batch
    from hilum.domain.errors import Status
    from hilum.files.lock import refuse_if_locked
    from hilum.report.parts.text import shown

    refuse_if_locked(out)
    prepare()
    bundle = terminal.kept(job.bundle())
    begun = time.monotonic()
    with progress(quiet) as step:

        def advance(done: int, total: int) -> None:
            step("scoring films", done, total)

        finished = run_batch(bundle, job.films, out, request, advance)
    if finished.replaced:
        say(shown(_replaced(finished.replaced, out)))
    seconds = time.monotonic() - begun
    counts = finished.batch.tally.statuses
    summary = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
    say(f"{counted(counts.total(), 'input')}: {summary}", quiet)
    done = counts.total() - finished.resumed
    rate = f"{counted(done, 'film')} in {seconds:.1f} s, {done / seconds:.1f} films/s"
    say(f"{rate}; {finished.resumed} taken from the journal", quiet)
    watch_batch(bundle, out, job.watch, request.shard is not None, quiet)
    return finished


def _replaced(names: tuple[str, ...], out: Path) -> str:
    """Say which rows of an earlier run are no longer in the reports.

    >>> print(_replaced(("in/a.png",), Path("out")))
    replaced: out held 1 input of an earlier run that is not among these (in/a.png); the reports no
    longer have them. Name another folder with -o to keep both
    """
    some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    many = f"{len(names):,} inputs" if len(names) > 1 else "1 input"
    are = "are" if len(names) > 1 else "is"
    return (
        f"replaced: {out} held {many} of an earlier run that {are} not among these ({some}); the "
        "reports no longer have them. Name another folder with -o to keep both"
    )


@contextmanager
def _loading(
    path: Path, threads: int | None, precision: str | None
) -> Generator[Callable[[], Bundle]]:
    """Load a bundle while other things are done, which most of the time needs no Python."""
    from concurrent.futures import ThreadPoolExecutor

    def load() -> Bundle:
        from hilum.bundle import Bundle

        return Bundle.load(path, threads=threads or processors(), precision=precision)

    beside = ThreadPoolExecutor(1)
    try:
        yield beside.submit(load).result
    finally:
        beside.shutdown(wait=False)
