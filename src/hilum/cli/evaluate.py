"""`hilum evaluate`: numbers of a run or a table of predictions, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hilum.cli.options import (
    INPUT,
    MODEL,
    OUTPUT,
    Blank,
    CalibratorName,
    Full,
    Json,
    Labels,
    LabelSet,
    NoFinding,
    Prevalence,
    Quiet,
    Resamples,
    Seed,
    TrainedOn,
    Uncertain,
    Verbose,
    Views,
    Votes,
    label_policy,
    prevalences,
    writable,
)
from hilum.cli.terminal import REFUSED, columns, progress, say, telling
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.domain.documents.evaluation import Evaluation

__all__ = ["evaluate"]

Level = Annotated[
    Literal["film", "study", "patient"] | None,
    typer.Option(help="Unit of a row (default: as in the table).", rich_help_panel=INPUT),
]
Combine = Annotated[
    Literal["max", "mean"] | None,
    typer.Option(
        help="Rule to combine a study's or patient's films (default: max).", rich_help_panel=INPUT
    ),
]
Calibrate = Annotated[
    CalibratorName | None,
    typer.Option(
        help="Calibrator to cross-fit by patient first (default: none).", rich_help_panel=MODEL
    ),
]
Thresholds = Annotated[
    Path | None,
    typer.Option(
        help="JSON file of fixed thresholds (default: cross-fitted).", rich_help_panel=MODEL
    ),
]
LabelNoise = Annotated[
    str | None,
    typer.Option(
        help="CSV of the labels' sensitivity and specificity, or nih (default: none).",
        rich_help_panel=INPUT,
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        min=0, help="Films of each kind in cases.csv (default: 20).", rich_help_panel=OUTPUT
    ),
]


def evaluate(
    subject: Annotated[
        Path, typer.Argument(help="A calibrated run, a table of predictions, or an archive.")
    ],
    labels: Labels = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder to write to (default: the run).",
            rich_help_panel=OUTPUT,
            callback=writable,
        ),
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
    label_noise: LabelNoise = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    as_json: Json = False,
    full: Full = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Compute AUROC, AP, thresholds, calibration, with intervals.

    A run is scored on its own test split, and each look is counted. A table is matched with labels
    by film or study, and by finding; calibrators and thresholds are cross-fitted by patient.
    Exit code 2: films or patients of --trained-on are evaluated. 3: not all could be compared.
    """
    from hilum.api.numbers import evaluate as measure
    from hilum.api.numbers import is_table

    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding}
    words |= {"views": views, "votes": votes, "label_set": label_set}
    given = {"level": level, "combine": combine, "calibrate": calibrate, "top": top}
    given |= {"prevalence": prevalence, "thresholds": thresholds, "trained_on": trained_on}
    choices = _choices(given, words, is_table(subject), labels is not None and out is not None)
    choices["label_noise"] = label_noise
    remarks: list[str] = []
    with telling(verbose), progress(quiet) as step:
        found = measure(
            subject,
            labels,
            out,
            resamples=resamples,
            seed=seed,
            advance=step,
            remark=remarks.append,
            **choices,
        )
    say("\n".join(remarks), quiet or not remarks)
    _print(found, out or subject, as_json, full)
    _end_unchecked(found, quiet)


def _end_unchecked(evaluation: Evaluation, quiet: bool) -> None:
    """End with exit code 3 where training films or patients could not all be compared."""
    from hilum.domain.documents.audit import LeakVerdict

    leak = evaluation.leak
    if leak is not None and leak.verdict is LeakVerdict.NOT_CHECKED:
        say(f"leak certificate: {leak.certificate}", quiet)
        raise typer.Exit(REFUSED)


def _choices(
    given: Mapping[str, Any], words: Mapping[str, str | None], table: bool, complete: bool
) -> dict[str, Any]:
    """Return the options as `hilum.evaluate` takes them; refuse those that a run has fixed."""
    choices = {name: word for name, word in given.items() if word is not None}
    if not table:
        _refuse_for_runs({**given, **words})
    elif complete:
        choices["policy"] = label_policy(**words)
        choices["prevalence"] = prevalences(given["prevalence"])
    return choices


def _refuse_for_runs(options: Mapping[str, object]) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise UsageError(
            f"{', '.join(given)}: for a predictions CSV only; a run's labels, calibration and "
            "thresholds were fixed when it was trained and calibrated"
        )


def _print(found: Evaluation, out: Path, as_json: bool, full: bool) -> None:
    if as_json:
        typer.echo((out / "evaluation.json").read_text("utf-8"), nl=False)
    elif full:
        typer.echo((out / "evaluation.md").read_text("utf-8"))
        typer.echo(out / "evaluation.json")
    else:
        from hilum.report.evaluation.sentences import terminal_summary

        typer.echo(terminal_summary(found, columns()))
        typer.echo("All tables: evaluation.md in the same folder, or --full")
        typer.echo(out / "evaluation.json")
