"""`hilum audit`: check claimed numbers against predictions and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.options import (
    INPUT,
    MODEL,
    OUTPUT,
    Json,
    Quiet,
    Resamples,
    Seed,
    TrainedOn,
    writable,
)

__all__ = ["audit"]

TruthLabels = Annotated[
    Path,
    typer.Option("--labels", help="Labels: a dataset folder or one table.", rich_help_panel=INPUT),
]
Claims = Annotated[
    list[str] | None,
    typer.Option(
        "--claim",
        help="Claims, such as 'auroc=0.844, Effusion.ap=51%, expert-level' (default: none).",
        rich_help_panel=MODEL,
    ),
]
LabelOrder = Annotated[
    str | None,
    typer.Option(
        "--label-order",
        help="Order of unnamed columns: a label set, 'alphabetical', or names (default: none).",
        rich_help_panel=INPUT,
    ),
]
Panel = Annotated[
    Path | None,
    typer.Option(
        "--readers",
        help="Panel for expert-level: folder with a table a reader, or one (default: none).",
        rich_help_panel=INPUT,
    ),
]
TruthBy = Annotated[
    Literal["experts", "reports"] | None,
    typer.Option(
        "--truth",
        help="Who set the labels (default: what is known of the dataset).",
        rich_help_panel=INPUT,
    ),
]
Margin = Annotated[
    float,
    typer.Option(
        help="Sensitivity less than the mean reader's that is still expert-level.",
        rich_help_panel=MODEL,
    ),
]
MaybeOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Folder to write to (default: print only).",
        rich_help_panel=OUTPUT,
        callback=writable,
    ),
]


def audit(
    predictions: Annotated[
        Path, typer.Argument(help="Table of scores (CSV or TSV): one row per film.")
    ],
    labels: TruthLabels,
    claim: Claims = None,
    trained_on: TrainedOn = None,
    label_order: LabelOrder = None,
    readers: Panel = None,
    truth: TruthBy = None,
    margin: Margin = 0.05,
    out: MaybeOut = None,
    as_json: Json = False,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Check claims made of a table of predictions, and the table.

    Each claim gets a verdict: reproduced, inside or outside the interval, meaningless (with the
    reason), or not computable; expert-level is supported, not separable, refuted or untestable. A
    claim that fails is a result: the exit code is 0.
    """
    from hilum import api
    from hilum.report.audit import markdown

    found = api.audit(
        predictions,
        labels,
        claim or (),
        trained_on=trained_on,
        label_order=label_order,
        readers=readers,
        truth=truth,
        margin=margin,
        out=out,
        resamples=resamples,
        seed=seed,
    )
    typer.echo(found.model_dump_json(indent=2) if as_json else markdown(found))
    if out is not None and not as_json and not quiet:
        typer.echo(out / "audit.json")
