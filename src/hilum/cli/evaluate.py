"""`hilum evaluate`: numbers of a run or a table of predictions, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.api.numbers import is_table
from hilum.cli.options import (
    Blank,
    LabelSet,
    NoFinding,
    Prevalence,
    Quiet,
    Seed,
    TrainedOn,
    Uncertain,
    Views,
    Votes,
    label_policy,
    prevalences,
)
from hilum.cli.terminal import progress, say
from hilum.domain.errors import UsageError, choice

if TYPE_CHECKING:
    from hilum.predictions.read import Predictions

__all__ = ["evaluate"]

Level = Annotated[
    str | None,
    typer.Option(help="Unit of a row: film, study or patient (default: as in the table)."),
]
Combine = Annotated[
    str | None, typer.Option(help="Rule to combine films: max or mean (default: max).")
]
Calibrate = Annotated[
    str | None, typer.Option(help="Calibrator to cross-fit by patient first (default: none).")
]
Thresholds = Annotated[
    Path | None, typer.Option(help="JSON file of fixed thresholds (default: cross-fitted).")
]
Top = Annotated[
    int | None, typer.Option(min=0, help="Films of each kind in cases.csv (default: 20).")
]


def evaluate(
    subject: Annotated[
        Path, typer.Argument(help="A calibrated run, or a table of predictions (CSV or TSV).")
    ],
    labels: Annotated[
        Path | None,
        typer.Option("--labels", "--data", help="Labels: a dataset folder or one table."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to write to (default: the run).")
    ] = None,
    level: Level = None,
    combine: Combine = None,
    calibrate: Calibrate = None,
    prevalence: Prevalence = None,
    thresholds: Thresholds = None,
    trained_on: TrainedOn = None,
    top: Top = None,
    uncertain: Uncertain = None,
    blank: Blank = None,
    no_finding: NoFinding = None,
    views: Views = None,
    votes: Votes = None,
    label_set: LabelSet = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Patient resamples for intervals (default: 2000).")
    ] = 2000,
    seed: Seed = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print evaluation.json instead of the tables.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Compute AUROC, AP, operating points, Brier score and calibration, with intervals.

    A run is scored on its own test split, and each look is counted. A table is matched with labels
    by film or study, and by finding; calibrators and thresholds are cross-fitted by patient.
    """
    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding, "views": views}
    words |= {"votes": votes, "label_set": label_set}
    choices = {"level": level, "combine": combine, "calibrate": calibrate, "top": top}
    choices |= {"prevalence": prevalence, "thresholds": thresholds, "trained_on": trained_on}
    if is_table(subject):
        if labels is None or out is None:
            raise UsageError("a predictions CSV is evaluated with --labels DATASET and -o OUT")
        choices |= {"policy": label_policy(**words), "resamples": resamples, "seed": seed}
        _predictions(subject, labels, out, choices, quiet)
    else:
        _refuse_for_runs({**choices, **words})
        _run(subject, labels, out or subject, (resamples, seed), quiet)
    _print(out or subject, as_json)


def _refuse_for_runs(options: Mapping[str, object]) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise UsageError(
            f"{', '.join(given)}: for a predictions CSV only; a run's labels, calibration and "
            "thresholds were fixed when it was trained and calibrated"
        )


def _run(root: Path, data: Path | None, out: Path, draws: tuple[int, int], quiet: bool) -> None:
    from hilum.cli.terminal import pointing_line
    from hilum.domain.record import Split
    from hilum.files.sealed import write_sealed
    from hilum.runs.folder import RunFolder
    from hilum.stages.evaluate import evaluate_run, localize_boxes
    from hilum.stages.films import split_of

    run = RunFolder(root)
    cohort = split_of(run, Split.TEST, data)
    with progress(quiet) as step:
        done = evaluate_run(
            run, cohort, *draws, lambda read, total: step("reading test", read, total), out
        )
    localisation = localize_boxes(done.scored, run.facts().network.preprocessing, draws[1])
    if localisation.mean is not None:
        write_sealed(localisation, out / "localisation.json")
        say(pointing_line(localisation), quiet)


def _predictions(
    table: Path, labels: Path, out: Path, choices: dict[str, Any], quiet: bool
) -> None:
    from hilum.predictions import levels
    from hilum.stages.predictions import PredictionsRequest, evaluate_predictions

    chosen = {name: word for name, word in choices.items() if word is not None}
    if "level" in chosen:
        chosen["level"] = choice(levels.Level, chosen["level"], "--level")
    if "combine" in chosen:
        chosen["combine"] = choice(levels.Combine, chosen["combine"], "--combine")
    chosen["prevalences"] = prevalences(chosen.pop("prevalence", None))
    done = evaluate_predictions(table, labels, out, PredictionsRequest(**chosen))
    say(_mapping(table, done.read), quiet)


def _mapping(table: Path, read: Predictions) -> str:
    """List which column was read as which finding."""
    pairs = (
        finding if column == finding else f"{column} as {finding}"
        for finding, column in read.columns.items()
    )
    return f"{table.name}: columns read: {', '.join(pairs)}"


def _print(out: Path, as_json: bool) -> None:
    if as_json:
        typer.echo((out / "evaluation.json").read_text("utf-8"), nl=False)
    else:
        typer.echo((out / "evaluation.md").read_text("utf-8"))
        typer.echo(out / "evaluation.json")
