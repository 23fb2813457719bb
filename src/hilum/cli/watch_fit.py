"""`hilum watch fit`: what a bundle's films look like, and how far days stray by chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import INPUT, MODEL, Json, Out, Quiet, Seed
from hilum.cli.terminal import columns, progress

__all__ = ["Films", "Readings", "watch_fit"]

Films = Annotated[
    Path | None,
    typer.Option(
        "--films",
        help="Table of the films' patients, dates, sites and devices (default: what rows hold).",
        rich_help_panel=INPUT,
    ),
]
Readings = Annotated[
    Path | None,
    typer.Option(
        "--readings",
        help="Export of `hilum serve export`: watch how often readers correct (default: none).",
        rich_help_panel=INPUT,
    ),
]


def watch_fit(
    bundle: Annotated[Path, typer.Argument(help="The bundle that scored the films.")],
    results: Annotated[Path, typer.Argument(help="Output folder of `hilum predict`.")],
    out: Out,
    films: Films = None,
    readings: Readings = None,
    false_alarms: Annotated[
        str,
        typer.Option(
            help="Rate of false alarms of all quantities together, such as 1/100d.",
            rich_help_panel=MODEL,
        ),
    ] = "1/100d",
    every: Annotated[
        int,
        typer.Option(min=1, help="Films of a day where there are no dates.", rich_help_panel=MODEL),
    ] = 200,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a reference on the films of an undisturbed period.

    A day is drawn as whole patients with all their films. The limits are tried on patients held
    back. The reference holds sums, histograms and limits, and no film and no patient.
    """
    from hilum import api
    from hilum.domain.documents.watch import WATCH_REFERENCE
    from hilum.report.watch import printed_reference

    with progress(quiet) as step:
        reference = api.watch_fit(
            bundle,
            results,
            out,
            films=films,
            readings=readings,
            false_alarms=false_alarms,
            every=every,
            seed=seed,
            advance=step,
        )
    if as_json:
        typer.echo((out / WATCH_REFERENCE).read_text("utf-8"), nl=False)
        return
    typer.echo(printed_reference(reference, columns()))
    typer.echo(out / WATCH_REFERENCE)
