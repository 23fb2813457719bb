"""`hilum compare`: is one model better than another on the same films?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.label_options import Blank, LabelSet, Uncertain, Views, label_policy
from hilum.cli.options import Out, Quiet, Seed, choice
from hilum.cli.progress import progress, say
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.domain.documents.comparison import Comparison
    from hilum.domain.policy import LabelPolicy
    from hilum.evaluation.compare import ComparisonRequest

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
    from hilum.evaluation.compare import ComparisonRequest
    from hilum.files.sealed import write_sealed
    from hilum.report.evaluation.table import comparison_markdown

    request = ComparisonRequest("the films of the CSVs", False, margin, resamples, seed)
    folders = [model for model in models if model.is_dir()]
    if folders and len(folders) < len(models):
        raise UsageError("compare runs, or CSVs, not both; a run is a folder")
    if folders:
        comparison = _runs(folders, labels, choose_on, request, quiet)
    elif labels is None:
        raise UsageError("predictions are compared with --labels DATASET")
    else:
        policy = label_policy(uncertain=uncertain, blank=blank, views=views, label_set=label_set)
        comparison = _predictions(models, labels, policy, request)
    out.mkdir(parents=True, exist_ok=True)
    text = comparison_markdown(comparison)
    write_sealed(comparison, out / "comparison.json")
    (out / "comparison.md").write_text(text, "utf-8")
    typer.echo(text)
    typer.echo(out / "comparison.json")


def _predictions(
    tables: list[Path], labels: Path, policy: LabelPolicy, request: ComparisonRequest
) -> Comparison:
    from hilum.datasets import open_dataset
    from hilum.domain.policy import settle
    from hilum.stages.compare import compare_predictions

    return compare_predictions(tables, settle(open_dataset(labels), policy), request)


def _runs(
    folders: list[Path],
    data: Path | None,
    choose_on: str,
    request: ComparisonRequest,
    quiet: bool,
) -> Comparison:
    from hilum.domain.record import Split
    from hilum.runs.folder import RunFolder
    from hilum.stages.cohorts import split_of
    from hilum.stages.compare import choose_on_test, compare_runs

    use = choice(Split, choose_on, "--choose-on")
    if use not in (Split.TUNE, Split.TEST):
        raise UsageError(f"--choose-on must be tune, or test (flagged); got {use}")
    runs = [RunFolder(folder) for folder in folders]
    with progress(quiet) as step:
        comparison = compare_runs(
            [(run, split_of(run, Split.TUNE, data)) for run in runs],
            request,
            lambda name, done, total: step(f"reading tune for {name}", done, total),
        )
    if use is Split.TEST:
        say("chosen by test numbers: flagged in the comparison and in the ledgers", quiet)
        return choose_on_test(comparison, runs)
    return comparison
