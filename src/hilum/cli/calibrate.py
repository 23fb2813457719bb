"""`hilum calibrate`: calibrator and operating points, on films that did not train."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import Prevalence, Quiet, prevalences
from hilum.cli.terminal import progress, say
from hilum.domain.errors import choice

__all__ = ["calibrate"]


def calibrate(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    method: Annotated[
        str,
        typer.Option(
            help="platt, beta, isotonic, temperature, temperature_shared, intercept or sigmoid."
        ),
    ] = "platt",
    target: Annotated[
        str,
        typer.Option(
            help="Target of the thresholds: f1, youden, balanced_accuracy, sensitivity, "
            "specificity or ppv."
        ),
    ] = "f1",
    goal: Annotated[
        float | None, typer.Option(help="The sensitivity, specificity or PPV to reach.")
    ] = None,
    prevalence: Prevalence = None,
    precision: Annotated[
        str, typer.Option(help="What serving will use: f32, bf16, int8 or int8-bf16.")
    ] = "f32",
    data: Annotated[Path | None, typer.Option(help="The dataset, if it was moved.")] = None,
    quiet: Quiet = False,
) -> None:
    """Fit probabilities and thresholds on the calibrate split, in the precision served."""
    from hilum.domain.record import Split
    from hilum.domain.scores import Target
    from hilum.inference.engine import Precision
    from hilum.runs.folder import RunFolder
    from hilum.stages.calibrate import CalibrationRequest, calibrate_run
    from hilum.stages.films import bind, split_of

    folder = RunFolder(run)
    if data is not None:
        bind(folder, data)
    cohort = split_of(folder, Split.CALIBRATE, data)
    request = CalibrationRequest(
        method,
        choice(Target, target, "--target"),
        goal,
        choice(Precision, precision, "--precision"),
        prevalences(prevalence),
    )
    with progress(quiet) as step:
        if request.precision.quantized:
            from hilum.training.quantize import quantize_run

            reading = partial(step, "reading films to quantize by")
            quantize_run(folder, Split.CALIBRATE.value, cohort, reading)
        calibration = calibrate_run(folder, cohort, request, partial(step, "reading calibrate"))
    for note in calibration.notes:
        say(note, quiet)
    typer.echo(folder.calibration)
