"""`hilum evaluate`: the numbers of a run, or of anybody's predictions, with their intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.options import Quiet, Seed
from hilum.cli.progress import progress, say
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.domain.result import Evaluation

__all__ = ["evaluate"]


def evaluate(
    subject: Annotated[Path, typer.Argument(help="A calibrated run, or a predictions CSV.")],
    labels: Annotated[
        Path | None, typer.Option("--labels", "--data", help="The dataset with the labels.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Where to write.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Patient resamples.")] = 2000,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Evaluate on test: AUROC, AP, sensitivity at specificity, Brier and ECE, with intervals.

    A run is scored on its own test split, and the look is counted. A CSV is matched with the
    dataset's labels by film name and finding.
    """
    if subject.suffix.lower() == ".csv":
        if labels is None or out is None:
            raise UsageError("a predictions CSV is evaluated with --labels DATASET and -o OUT")
        _predictions(subject, labels, out, resamples, seed)
    else:
        _run(subject, labels, out or subject, (resamples, seed), quiet)


def _run(root: Path, data: Path | None, out: Path, draws: tuple[int, int], quiet: bool) -> None:
    from hilum.cli.cohorts import split_of
    from hilum.cli.words import pointing_line
    from hilum.domain.record import Split
    from hilum.domain.seal import write_sealed
    from hilum.stages.evaluate import evaluate_run, localise_boxes
    from hilum.training.run import RunFolder

    run = RunFolder(root)
    cohort = split_of(run, Split.TEST, data)
    with progress(quiet) as step:
        done = evaluate_run(
            run, cohort, *draws, lambda read, total: step("reading test", read, total)
        )
    _write(done.evaluation, out)
    localisation = localise_boxes(done.scored, run.config().preprocessing, draws[1])
    if localisation.mean is not None:
        write_sealed(localisation, out / "localisation.json")
        say(pointing_line(localisation), quiet)


def _predictions(table: Path, labels: Path, out: Path, resamples: int, seed: int) -> None:
    from hilum.datasets import open_dataset
    from hilum.evaluation.evaluate import evaluate as evaluate_scores
    from hilum.evaluation.figure import write_figure
    from hilum.evaluation.predictions import read_predictions
    from hilum.evaluation.request import EvaluationRequest

    cohort = open_dataset(labels if labels.is_dir() else labels.parent)
    matched = read_predictions(table, cohort)
    request = EvaluationRequest(
        model=table.name,
        split="films of the CSV",
        resamples=resamples,
        seed=seed,
        notes=matched.notes,
    )
    evaluation = evaluate_scores(matched.probabilities, matched.cohort, request)
    _write(evaluation, out)
    write_figure(matched.probabilities, matched.cohort, evaluation, out / "evaluation.png")


def _write(evaluation: Evaluation, out: Path) -> None:
    from hilum.domain.seal import write_sealed
    from hilum.evaluation.table import markdown

    out.mkdir(parents=True, exist_ok=True)
    text = markdown(evaluation)
    write_sealed(evaluation, out / "evaluation.json")
    (out / "evaluation.md").write_text(text, "utf-8")
    typer.echo(text)
    typer.echo(out / "evaluation.json")
