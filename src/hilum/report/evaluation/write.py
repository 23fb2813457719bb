"""An evaluation on disk: its documents, and the tables to compute every number again."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.comparison import CalibrationEffect
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.evaluation.curves import curves_of
from hilum.evaluation.request import Thresholds
from hilum.files.sealed import write_sealed
from hilum.metrics.operating import GridRow, grid
from hilum.report.evaluation.figure import write_effect_figure, write_figure
from hilum.report.evaluation.page import evaluation_page
from hilum.report.evaluation.table import effect_table, markdown

__all__ = [
    "TOP",
    "write_cases",
    "write_effect",
    "write_evaluation",
    "write_grid",
    "write_matched",
    "write_thresholds",
]

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
    """Write every output of an evaluation into a folder.

    ::

        OUT/
          evaluation.json        every number with its interval, sealed
          evaluation.md          the tables to quote
          evaluation.png         ROC, reliability and thresholds
          evaluation.html        all of it to read and to try thresholds on, one file
          matched_predictions.csv  what was evaluated: probabilities and labels
          operating_points.csv   thresholds 0.05 to 0.95 and what each gives
          best_thresholds.csv, best_thresholds.json  the operating points by target
          cases.csv              the surest calls of each finding, wrong and right

    The same input gives the same bytes.

    Args:
        evaluation: the result of `evaluate`.
        probabilities: (N, L) as evaluated.
        cohort: the films evaluated.
        out: the folder; made where it is missing.
        thresholds: how the operating points were chosen, where they were chosen here.
        top: films of each kind to list for each finding.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_sealed(evaluation, out / "evaluation.json")
    (out / "evaluation.md").write_text(markdown(evaluation), "utf-8")
    curves = curves_of(probabilities, cohort, evaluation.seed)
    write_figure(evaluation, curves, out / "evaluation.png")
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
    """Write what calibration did: `calibration_effect.json`, `.md` and `.png`."""
    write_sealed(effect, out / "calibration_effect.json")
    text = f"# Before and after calibration\n\n{effect_table(effect)}\n\n{effect.notice}\n"
    (out / "calibration_effect.md").write_text(text, "utf-8")
    curves = [curves_of(scores, cohort, effect.seed) for scores in (before, after)]
    write_effect_figure(effect, curves[0], curves[1], out / "calibration_effect.png")


def write_matched(
    probabilities: Probabilities, cohort: Cohort, folds: NDArray[np.intp] | None, path: Path
) -> None:
    """Write what was evaluated: each film's probabilities and labels, to the last bit.

    Columns: image_id, study_id, fold (from 1, where thresholds were cross-fitted), each finding's
    probability under its name, and each finding's label as `label_<finding>`. `hilum evaluate`
    reads the table back.
    """
    names = list(probabilities.labels)
    states = cohort.states()[:, cohort.labels.columns(names)]
    header = ("image_id", "study_id", "fold", *names, *(f"label_{name}" for name in names))

    def rows() -> Iterator[tuple[object, ...]]:
        for row, record in enumerate(cohort.records):
            fold = "" if folds is None else int(folds[row]) + 1
            labels = (LabelState(state).name.lower() for state in states[row].tolist())
            values = map(repr, probabilities.values[row].tolist())
            yield (record.image_id, record.study_id or "", fold, *values, *labels)

    _write(path, header, rows())


def write_grid(probabilities: Probabilities, cohort: Cohort, path: Path) -> None:
    """Write what the thresholds 0.05, 0.06, … 0.95 give for each finding, on these very films.

    A number that does not exist is blank. Choosing the best row and quoting its values is
    choosing on the films that are then reported.
    """

    def rows() -> Iterator[tuple[object, ...]]:
        for name, positives, scores, _ in _labeled(probabilities, cohort):
            for row in grid(positives, scores):
                yield (name, *("" if value is None else value for value in astuple(row)))

    _write(path, ("finding", *(field.name for field in fields(GridRow))), rows())


def write_thresholds(evaluation: Evaluation, thresholds: Thresholds | None, folder: Path) -> None:
    """Write the operating points as `best_thresholds.csv` and `best_thresholds.json`.

    The CSV has a row for each finding, target and fold: fold k was called at its threshold, which
    was chosen on the other folds; the row without a fold is chosen on all films. The JSON maps
    target to finding to that one, as `--thresholds` reads it.
    """
    table: list[tuple[object, ...]] = []
    tree: dict[str, dict[str, float | None]] = {}
    for name, finding in evaluation.findings.items():
        for target, point in finding.operating_points.items():
            tree.setdefault(target, {})[name] = point.threshold
            table.append((name, target, "", "" if point.threshold is None else point.threshold))
            chosen = None if thresholds is None else thresholds.by_fold.get((name, target))
            if chosen is not None:
                table += [(name, target, k, t) for k, t in enumerate(chosen.tolist(), start=1)]
    _write(folder / "best_thresholds.csv", ("finding", "target", "fold", "threshold"), table)
    text = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    (folder / "best_thresholds.json").write_text(text, "utf-8")


def write_cases(
    evaluation: Evaluation, probabilities: Probabilities, cohort: Cohort, count: int, path: Path
) -> None:
    """Write the films to look at first: where the model was surest, wrong or right.

    At each finding's first operating point, the `count` highest-scored false and true positives
    and the lowest-scored false and true negatives. Many errors will be the label's, not the
    model's.
    """

    def rows() -> Iterator[tuple[object, ...]]:
        for name, positives, scores, known in _labeled(probabilities, cohort):
            points = iter(evaluation.findings[name].operating_points.values())
            threshold = next((point.threshold for point in points), None)
            if threshold is None:
                continue
            rising, falling = (np.argsort(s, kind="stable") for s in (scores, -scores))
            called = scores >= threshold
            kinds = {
                "false_positive": falling[(called & ~positives)[falling]],
                "false_negative": rising[(~called & positives)[rising]],
                "true_positive": falling[(called & positives)[falling]],
                "true_negative": rising[(~called & ~positives)[rising]],
            }
            for kind, films in kinds.items():
                for rank, film in enumerate(films[:count].tolist(), start=1):
                    image_id = cohort.records[known[film]].image_id
                    yield name, kind, rank, image_id, repr(float(scores[film])), threshold

    _write(path, ("finding", "kind", "rank", "film", "probability", "threshold"), rows())


def _labeled(
    probabilities: Probabilities, cohort: Cohort
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.float64], NDArray[np.intp]]]:
    """Yield each finding with its labeled films: whether positive, their scores, their rows."""
    states = cohort.states()
    for name in probabilities.labels:
        known, positives = labeled(states[:, cohort.labels.index(name)])
        yield name, positives, probabilities.of(name)[known], known


def _write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
