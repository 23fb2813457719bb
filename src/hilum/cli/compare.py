"""`hilum compare`: is one model better than another on the same films?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.options import (
    OTHER,
    Blank,
    Json,
    Labels,
    LabelSet,
    Out,
    Quiet,
    Resamples,
    Seed,
    Uncertain,
    Views,
    label_policy,
)
from hilum.cli.terminal import progress, say

__all__ = ["compare"]


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more runs, folders of runs, or tables; a,b is one of two runs."
        ),
    ],
    out: Out,
    labels: Labels = None,
    choose_on: Annotated[
        Literal["tune", "test"],
        typer.Option(
            help="Films to choose a run by; test is flagged in the result.", rich_help_panel=OTHER
        ),
    ] = "tune",
    margin: Annotated[
        float,
        typer.Option(
            min=0.0, help="Loss of AUROC that still counts as no worse.", rich_help_panel=OTHER
        ),
    ] = 0.0,
    uncertain: Uncertain = None,
    blank: Blank = None,
    views: Views = None,
    label_set: LabelSet = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare models with the first: paired, with intervals.

    Runs are compared and chosen on their tune films, with their test numbers beside. Tables of
    predictions are compared on the films and findings that all of them have. The label options
    apply to tables only: a run has its own label policy. Several runs of one model, which differ in
    their seed alone, are a folder of runs, or paths with commas between: intervals include seeds.
    """
    from hilum import api
    from hilum.domain.record import Split
    from hilum.report.evaluation.table import comparison_markdown

    policy = None
    if labels is not None and not any(Path(model).is_dir() for model in models):
        policy = label_policy(uncertain=uncertain, blank=blank, views=views, label_set=label_set)
    with progress(quiet) as step:
        comparison = api.compare(
            models,
            labels,
            out,
            choose_on=choose_on,
            margin=margin,
            policy=policy,
            resamples=resamples,
            seed=seed,
            advance=step,
        )
    if policy is None and choose_on == Split.TEST:
        say("chosen by test numbers: flagged in the comparison and in the ledgers", quiet)
    if as_json:
        typer.echo((out / "comparison.json").read_text("utf-8"), nl=False)
        return
    typer.echo(comparison_markdown(comparison))
    typer.echo(out / "comparison.json")
