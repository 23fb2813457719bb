"""`hilum compare`: is one model better than another on the same films?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import Blank, LabelSet, Out, Quiet, Seed, Uncertain, Views, label_policy
from hilum.cli.terminal import progress, say
from hilum.domain.errors import choice

__all__ = ["compare"]


def compare(
    models: Annotated[
        list[Path], typer.Argument(help="Two or more runs, or two or more tables of predictions.")
    ],
    out: Out,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", "--data", help="Labels: a dataset folder or one table."),
    ] = None,
    choose_on: Annotated[
        str,
        typer.Option(help="Films to choose a run by: tune, or test (flagged in the result)."),
    ] = "tune",
    margin: Annotated[
        float, typer.Option(min=0.0, help="Loss of AUROC that still counts as no worse.")
    ] = 0.0,
    uncertain: Uncertain = None,
    blank: Blank = None,
    views: Views = None,
    label_set: LabelSet = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Patient resamples for intervals (default: 2000).")
    ] = 2000,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Compare every model with the first: paired differences, intervals and a verdict.

    Runs are compared and chosen on their tune films, with their test numbers beside. Tables of
    predictions are compared on the films and findings that all of them have. The label options
    apply to tables only: a run has its own label policy.
    """
    from hilum import api
    from hilum.domain.record import Split
    from hilum.report.evaluation.table import comparison_markdown

    policy = None
    if all(model.is_dir() for model in models):
        choose_on = choice(Split, choose_on, "--choose-on")
    elif labels is not None and not any(model.is_dir() for model in models):
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
    typer.echo(comparison_markdown(comparison))
    typer.echo(out / "comparison.json")
