"""`hilum probe`: does a bundle read findings, or what goes with them?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import (
    INPUT,
    OTHER,
    Blank,
    Json,
    LabelSet,
    NoFinding,
    Out,
    Quiet,
    Resamples,
    Seed,
    Uncertain,
    Views,
    label_policy,
)
from hilum.cli.predict import processors
from hilum.cli.terminal import columns, progress

__all__ = ["probe"]

MaybeLabels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Labels: a dataset folder or one table (default: the bundle's own calls).",
        rich_help_panel=INPUT,
    ),
]


def probe(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder, or starter.")],
    films: Annotated[list[str], typer.Argument(help="Files, folders, globs or lists of films.")],
    out: Out,
    labels: MaybeLabels = None,
    sample: Annotated[
        int,
        typer.Option(
            min=2, max=5000, help="Films to read, drawn by the seed.", rich_help_panel=OTHER
        ),
    ] = 200,
    uncertain: Uncertain = None,
    blank: Blank = None,
    views: Views = None,
    no_finding: NoFinding = None,
    label_set: LabelSet = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look for shortcuts: what scores do on altered films.

    Films get a letter, lines, covered lungs, a black border, compression, contrast and position
    that are no finding, each beside a control that differs in one thing. Exit code 3: a shortcut
    is shown, and named.
    """
    from hilum import api
    from hilum.domain.documents.probe import PROBE
    from hilum.report.probe import printed_probe

    policy = label_policy(
        uncertain=uncertain, blank=blank, views=views, no_finding=no_finding, label_set=label_set
    )
    with progress(quiet) as step:
        found = api.probe(
            bundle,
            films,
            out,
            labels=labels,
            label_policy=policy,
            sample=sample,
            resamples=resamples,
            seed=seed,
            threads=processors(),
            advance=step,
        )
    if as_json:
        typer.echo((out / PROBE).read_text("utf-8"), nl=False)
    else:
        typer.echo(printed_probe(found, columns()))
        typer.echo(out / PROBE)
    if found.named:
        raise typer.Exit(terminal.REFUSED)
