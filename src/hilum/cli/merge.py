"""`hilum merge`: the parts of a batch into one. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import Json, Out, Quiet

__all__ = ["merge"]


def merge(
    bundle: Annotated[
        Path, typer.Argument(help="The bundle that scored the parts: a folder, or starter.")
    ],
    parts: Annotated[list[Path], typer.Argument(help="Folders of `hilum predict --shard`.")],
    out: Out,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put the parts of a batch together, to the byte of one run.

    Exit code 3, as that of the one run: some inputs were rejected or failed.
    """
    from hilum.batch import merge as parted
    from hilum.bundle import Bundle
    from hilum.domain.errors import Status

    with terminal.stoppable("the same command"):
        batch = parted.merge(Bundle.load(bundle), parts, out)
    form = terminal.form_of("json" if as_json else None)
    terminal.print_batch(batch, form, out / "report.html", quiet)
    if any(result.status in (Status.REJECT, Status.ERROR) for result in batch.results):
        raise typer.Exit(terminal.REFUSED)
