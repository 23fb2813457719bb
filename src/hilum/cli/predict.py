"""`hilum predict`: films through a bundle to reports. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import Out, Quiet
from hilum.cli.progress import progress, say

__all__ = ["predict"]

EXIT_REFUSED = 3


def predict(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs or CSV lists.")],
    out: Out,
    quiet: Quiet = False,
) -> None:
    """Score chest films; write CSV, JSON lines, overlays, report and dashboard.

    Every input gets one row, whatever became of it. Exit code 3: some were rejected or failed.
    """
    from hilum.batch.inputs import list_inputs
    from hilum.batch.run import predict_batch
    from hilum.bundle import Bundle
    from hilum.domain.errors import Status

    paths = list_inputs(inputs)
    loaded = Bundle.load(bundle)
    with progress(quiet) as step:
        batch = predict_batch(
            loaded, paths, out, advance=lambda done, total: step("scoring films", done, total)
        )
    counts = {status: sum(r.status is status for r in batch.results) for status in Status}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    say(f"{len(batch.results)} inputs: {said}", quiet)
    typer.echo(out / "report.html")
    if counts[Status.REJECT] or counts[Status.ERROR]:
        raise typer.Exit(EXIT_REFUSED)
