"""An evaluation on disk: one writer, whatever was evaluated."""

from __future__ import annotations

from pathlib import Path

from hilum.domain.documents.calibration_effect import CalibrationEffect
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.record import Cohort
from hilum.domain.scores import Probabilities
from hilum.evaluation.curves import curves_of
from hilum.evaluation.request import Thresholds
from hilum.files.sealed import write_sealed
from hilum.report.evaluation.effect import effect_table, write_effect_figure
from hilum.report.evaluation.exports import write_cases, write_grid, write_matched, write_thresholds
from hilum.report.evaluation.figure import write_figure
from hilum.report.evaluation.page import evaluation_page
from hilum.report.evaluation.table import markdown

__all__ = ["TOP", "write_effect", "write_evaluation"]

TOP = 20
"""Errors of each kind that are listed for each finding."""


def write_evaluation(
    evaluation: Evaluation,
    probabilities: Probabilities,
    cohort: Cohort,
    out: Path,
    thresholds: Thresholds | None = None,
    top: int = TOP,
) -> None:
    """Writes everything that is said of an evaluation into a folder.

    ::

        OUT/
          evaluation.json        every number with its interval, sealed
          evaluation.md          the tables to quote
          evaluation.png         ROC and reliability
          evaluation.html        all of it to read and to try thresholds on, one file
          matched_predictions.csv  what was evaluated: probabilities and labels
          operating_points.csv   thresholds 0.05 to 0.95 and what each gives
          best_thresholds.csv, best_thresholds.json  the operating points by target
          cases.csv              the surest calls of each finding, wrong and right

    The same input gives the same bytes.

    Args:
        evaluation: what `evaluate` said.
        probabilities: (N, L) as evaluated.
        cohort: the films evaluated.
        out: the folder; made where it is missing.
        thresholds: how the operating points were chosen, where they were chosen here.
        top: films of each kind to list for each finding.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_sealed(evaluation, out / "evaluation.json")
    (out / "evaluation.md").write_text(markdown(evaluation), "utf-8")
    write_figure(probabilities, cohort, evaluation, out / "evaluation.png")
    curves = curves_of(probabilities, cohort, evaluation.seed)
    (out / "evaluation.html").write_bytes(evaluation_page(evaluation, curves).encode())
    folds = None if thresholds is None else thresholds.folds
    write_matched(probabilities, cohort, folds, out / "matched_predictions.csv")
    write_grid(probabilities, cohort, out / "operating_points.csv")
    write_thresholds(evaluation, thresholds, out)
    write_cases(evaluation, probabilities, cohort, top, out / "cases.csv")


def write_effect(
    effect: CalibrationEffect,
    before: Probabilities,
    after: Probabilities,
    cohort: Cohort,
    out: Path,
) -> None:
    """Writes what calibration did: `calibration_effect.json`, `.md` and `.png`."""
    write_sealed(effect, out / "calibration_effect.json")
    text = f"# Before and after calibration\n\n{effect_table(effect)}\n\n{effect.notice}\n"
    (out / "calibration_effect.md").write_text(text, "utf-8")
    write_effect_figure(effect, before, after, cohort, out / "calibration_effect.png")
