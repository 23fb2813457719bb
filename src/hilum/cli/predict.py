"""`hilum predict`: films through a bundle to reports. Needs no torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import exits
from hilum.cli.options import Out, Quiet, choice
from hilum.cli.progress import progress, say

if TYPE_CHECKING:
    from hilum.explain.request import Pictures

__all__ = ["predict"]


def predict(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder, or starter.")],
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs or CSV lists.")],
    out: Out,
    heatmaps: Annotated[
        str, typer.Option(help="Of positives, top, all or none, or findings: Effusion,Mass.")
    ] = "positives",
    style: Annotated[str, typer.Option(help="hot, jet or triptych.")] = "hot",
    panel: Annotated[bool, typer.Option("--panel", help="Film and overlay side by side.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score chest films; write CSV, JSON lines, heatmaps, report and dashboard.

    Every input gets one row, whatever became of it. A run that was stopped goes on where it
    stopped when it is started again. Exit code 3: some inputs were rejected or failed.
    """
    from hilum.explain.colours import Style
    from hilum.explain.request import HeatmapRequest, Pictures

    pictures = Pictures(HeatmapRequest.parse(heatmaps), choice(Style, style, "--style"), panel)
    with exits.stoppable("the same command"):
        refused = _predict(bundle, inputs, out, pictures, quiet)
    typer.echo(out / "report.html")
    if refused:
        raise typer.Exit(exits.REFUSED)


def _predict(bundle: Path, inputs: list[str], out: Path, pictures: Pictures, quiet: bool) -> bool:
    """Whether any input was rejected or failed."""
    from hilum.batch.inputs import list_inputs
    from hilum.batch.run import run_batch
    from hilum.bundle import Bundle
    from hilum.domain.errors import Status
    from hilum.domain.held import refuse_if_held

    paths = list_inputs(inputs)
    refuse_if_held(out)
    loaded = Bundle.load(bundle)
    begun = time.monotonic()
    with progress(quiet) as step:
        finished = run_batch(
            loaded,
            paths,
            out,
            advance=lambda done, total: step("scoring films", done, total),
            pictures=pictures,
        )
    seconds = time.monotonic() - begun
    results = finished.batch.results
    counts = {status: sum(r.status is status for r in results) for status in Status}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    say(f"{len(results)} inputs: {said}", quiet)
    done = len(results) - finished.taken
    rate = f"{done} films in {seconds:.1f} s, {done / seconds:.1f} films/s"
    say(f"{rate}; {finished.taken} taken from the journal", quiet)
    return bool(counts[Status.REJECT] or counts[Status.ERROR])
