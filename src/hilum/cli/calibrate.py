"""`hilum calibrate`: calibrator and operating points, on films that did not train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.options import (
    INPUT,
    MODEL,
    CalibratorName,
    Json,
    PrecisionName,
    Prevalence,
    Quiet,
    Verbose,
    prevalences,
)
from hilum.cli.terminal import progress, say, telling

__all__ = ["calibrate"]

Target = Annotated[
    Literal["f1", "youden", "balanced_accuracy", "sensitivity", "specificity", "ppv"],
    typer.Option(help="Criterion of the thresholds.", rich_help_panel=MODEL),
]


def calibrate(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    method: Annotated[
        CalibratorName,
        typer.Option(help="Calibrator to fit for each finding.", rich_help_panel=MODEL),
    ] = "platt",
    target: Target = "f1",
    goal: Annotated[
        float | None,
        typer.Option(
            help="Sensitivity, specificity or PPV to reach (default: 0.9, for PPV 0.5).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    prevalence: Prevalence = None,
    precision: Annotated[
        PrecisionName,
        typer.Option(help="Arithmetic that serving will use.", rich_help_panel=MODEL),
    ] = "f32",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Top folder of the dataset, if it was moved (default: as in the run).",
            rich_help_panel=INPUT,
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Fit probabilities and thresholds on the calibrate split."""
    from hilum import api
    from hilum.runs.folder import RunFolder

    with telling(verbose), progress(quiet) as step:
        calibration = api.calibrate(
            run,
            method=method,
            target=target,
            goal=goal,
            prevalence=prevalences(prevalence),
            precision=precision,
            data=data,
            advance=step,
        )
    for note in calibration.notes:
        say(note, quiet)
    written = RunFolder(run).calibration
    if as_json:
        typer.echo(written.read_text("utf-8"), nl=False)
    else:
        typer.echo(written)
