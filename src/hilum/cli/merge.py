"""`hilum merge`: the parts of a batch into one. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import terminal
from hilum.cli.export_table import Partial
from hilum.cli.options import MODEL, OUTPUT, Json, Quiet, writable
from hilum.cli.terminal import say
from hilum.domain.errors import UsageError, counted

if TYPE_CHECKING:
    from hilum.report.parts.results import BatchResults

__all__ = ["gathered", "merge"]


def merge(
    parts: Annotated[
        list[Path],
        typer.Argument(
            metavar="PLACE | BUNDLE FOLDER...",
            help="Folder of an archive; or a bundle and folders of `hilum predict --shard`.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder to write to (default for an archive: its own).",
            rich_help_panel=OUTPUT,
            callback=writable,
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            help="The bundle that scored an archive (default: one that ships).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    partial: Partial = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put the parts of a batch together, to the byte of one run.

    Exit code 3, as that of the one run: some inputs were rejected or failed, or are missing.
    """
    with terminal.stoppable("the same command"):
        if len(parts) == 1:
            if out is not None:
                raise UsageError("an archive is put together in its own folder; leave out -o")
            gathered(parts[0], bundle, partial, "json" if as_json else None, quiet)
            return
        if out is None or partial or bundle is not None:
            raise UsageError(
                "folders of --shard are put together as `hilum merge BUNDLE FOLDER... -o OUT`"
            )
        from hilum.batch import merge as parted
        from hilum.bundle import Bundle

        batch = parted.merge(Bundle.load(parts[0]), parts[1:], out)
    form = terminal.form_of("json" if as_json else None)
    terminal.print_batch(batch, form, out / "report.html", quiet)
    _end(batch)


def gathered(
    place: Path, bundle: Path | None, partial: bool, form: str | None, quiet: bool
) -> None:
    """Put the parts of an archive together, and print what came of it."""
    from hilum.batch.archive.reports import merge_archive
    from hilum.files.parquet import DATASET

    found, batch = merge_archive(place, bundle, partial)
    dataset = found.dataset
    if batch is None:
        lacking = sum(last - first + 1 for first, last in dataset.missing)
        say(
            f"partial: {dataset.films:,} of {counted(dataset.planned, 'film')}; "
            f"{counted(lacking, 'chunk')} missing, see {DATASET}; there are no reports"
        )
        typer.echo(place / DATASET)
        raise typer.Exit(terminal.REFUSED)
    terminal.print_batch(batch, terminal.form_of(form), place / "report.html", quiet)
    _end(batch)


def _end(batch: BatchResults) -> None:
    from hilum.domain.errors import Status

    counts = batch.tally.statuses
    if counts[Status.REJECT] + counts[Status.ERROR]:
        raise typer.Exit(terminal.REFUSED)
