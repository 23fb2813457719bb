"""`hilum readers`: a model beside readers of the same films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    Votes,
    label_policy,
)
from hilum.cli.terminal import columns, say

__all__ = ["readers"]

Panel = Annotated[
    Path,
    typer.Option(
        "--readers",
        help="Folder with a table a reader, or one table with a column reader.",
        rich_help_panel=INPUT,
    ),
]
Aided = Annotated[
    Path | None,
    typer.Option(
        "--aided",
        help="The same readers with the model's help, as --readers (default: none).",
        rich_help_panel=INPUT,
    ),
]
CalledAt = Annotated[
    float,
    typer.Option(
        help="Rating from which on a reader calls a finding positive.", rich_help_panel=OTHER
    ),
]
Margin = Annotated[
    float,
    typer.Option(
        help="How much worse than the mean reader counts as no worse.", rich_help_panel=OTHER
    ),
]


def readers(
    predictions: Annotated[
        Path, typer.Argument(help="The model's predictions (CSV or TSV): one row per film.")
    ],
    readers: Panel,
    labels: Annotated[
        Path,
        typer.Option(
            "--labels", help="Truth: a dataset folder or one table.", rich_help_panel=INPUT
        ),
    ],
    out: Out,
    aided: Aided = None,
    called_at: CalledAt = 0.5,
    margin: Margin = 0.05,
    uncertain: Uncertain = None,
    blank: Blank = None,
    no_finding: NoFinding = None,
    views: Views = None,
    votes: Votes = None,
    label_set: LabelSet = None,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare a model with readers of the same films.

    Each reader's sensitivity and specificity stand beside the model's curve, paired by case; the
    mean reader is compared with the model by Obuchowski and Rockette's method with Hillis' degrees
    of freedom, and by U-statistics. Kappas and majorities are given too. With --aided, readers are
    compared with themselves, without and with the model's help.
    """
    from hilum import api
    from hilum.report.readers import printed

    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding, "views": views}
    words |= {"votes": votes, "label_set": label_set}
    say(f"each interval: {resamples:,} resamples of patients", quiet)
    study = api.readers(
        predictions,
        readers,
        labels,
        out,
        aided=aided,
        called_at=called_at,
        margin=margin,
        policy=label_policy(**words),
        resamples=resamples,
        seed=seed,
    )
    if as_json:
        typer.echo((out / "readers.json").read_text("utf-8"), nl=False)
        return
    typer.echo(printed(study, columns()))
    typer.echo(out / "readers.json")
