"""`hilum watch check`: later films against a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import INPUT, MODEL, Json, Out, Quiet
from hilum.cli.terminal import columns, say
from hilum.cli.watch_fit import Films, Readings

__all__ = ["watch_check"]


After = Annotated[
    Path | None,
    typer.Option(
        "--after",
        help="Folder of the check before; the slow test goes on from it (default: begin anew).",
        rich_help_panel=INPUT,
    ),
]


def watch_check(
    reference: Annotated[
        Path, typer.Argument(help="The reference, its folder, or a bundle with one.")
    ],
    results: Annotated[Path, typer.Argument(help="Output folder of `hilum predict`.")],
    out: Out,
    films: Films = None,
    readings: Readings = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Films of a day (default: days by date, or one day without dates).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    after: After = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether films and scores are still as they were in the reference.

    No labels are used. An alarm says what moved, by how much and since when, and what it does to
    calibration and rule-out rules; it does not say that accuracy fell.
    """
    from hilum import api
    from hilum.domain.documents.watch import WATCH
    from hilum.report.watch import printed_check

    check = api.watch_check(
        reference, results, out, films=films, readings=readings, every=every, after=after
    )
    if as_json:
        typer.echo((out / WATCH).read_text("utf-8"), nl=False)
        return
    typer.echo(printed_check(check, columns()))
    say(f"page: {out / 'watch.html'}", quiet)
    typer.echo(out / WATCH)
