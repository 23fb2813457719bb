"""Request of an evaluation: model, split, resamples, and thresholds that were fixed before.

A threshold chosen on the films that it is then tried on looks better than it is. A bare table
brings no films to choose on, so patients are dealt into folds: each fold is called at the threshold
chosen on the other folds, and the numbers are of these calls. The threshold printed is chosen on
all films: the one to use elsewhere. `EvaluationRequest.film_thresholds` carries that of each film.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet, find
from hilum.domain.scores import OperatingPoint, Probabilities, Target
from hilum.files.sealed import is_sealed
from hilum.metrics.operating import choose_all
from hilum.predictions.label_errors import LabelErrors

__all__ = ["EvaluationRequest", "Thresholds", "Unit", "cross_fitted", "read_thresholds"]


class Unit(StrEnum):
    """Unit that a resample draws: units count as independent of each other."""

    PATIENTS = "patients"
    """Patients, each with all its films."""
    FILMS = "films"
    """Films, where patients are not known: intervals are then too narrow."""


@dataclass(frozen=True)
class EvaluationRequest:
    """Model and split of an evaluation, and everything that was fixed before.

    Attributes:
        model: what made the scores, as printed in reports.
        split: name of the split, such as "test".
        operating_points: thresholds chosen on other films; any number for a finding.
        chosen_on: the films that thresholds were chosen on, in words.
        film_thresholds: (finding, point name) to the (N,) threshold that each film is called at,
            where points were chosen by cross-fitting: a film's is of other patients' films. The
            point itself then carries the threshold of all films, to be printed.
        shared_threshold: one threshold for all findings, to compare their own with.
        resamples: resamples behind each interval.
        seed: of resamples, null bands and the folds of the metadata baseline.
        prevalences: the constant predictor's score of each finding, by name, from other
            films; None to take the shares of the evaluated films themselves.
        prevalence_from: where they come from, in words.
        provenance: hashes and versions, copied into the result.
        precision: of the network that scored, such as "bf16".
        notes: what the reader must know of these scores, a line each.
        level: what a row is: "film", "study" or "patient".
        policy: how labels other than positive and negative were counted.
        look: this is evaluation number `look` of the test set; None where nobody counts.
        intervals_by: what resamples draw; films only where patient ids are not known.
        label_errors: how often labels are right, of some findings; none to leave that out.

    Raises:
        UsageError: for fewer than one resample, or prevalences outside [0, 1].
    """

    model: str
    split: str
    operating_points: tuple[OperatingPoint, ...] = ()
    chosen_on: str = "other films"
    shared_threshold: float = 0.5
    film_thresholds: Mapping[tuple[str, str], NDArray[np.float64]] = field(
        default_factory=dict[tuple[str, str], NDArray[np.float64]]
    )
    resamples: int = 2000
    seed: int = 0
    prevalences: Mapping[str, float] | None = None
    prevalence_from: str = "the evaluated films themselves"
    provenance: Mapping[str, str] = field(default_factory=dict[str, str])
    precision: str | None = None
    notes: tuple[str, ...] = ()
    level: str = "film"
    policy: Mapping[str, str] = field(default_factory=dict[str, str])
    look: int | None = None
    intervals_by: Unit = Unit.PATIENTS
    label_errors: tuple[LabelErrors, ...] = ()

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise UsageError(f"an evaluation needs at least 1 resample; got {self.resamples}")
        for finding, share in (self.prevalences or {}).items():
            if not 0.0 <= share <= 1.0:
                raise UsageError(f"the prevalence of {finding} must lie in [0, 1]; got {share:g}")


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Operating points, and how they were chosen.

    Attributes:
        points: one a finding and target.
        chosen_on: the films they were chosen on, in words.
        folds: (N,) the fold of each film, from 0; None without cross-fitting.
        by_fold: (finding, point name) to the (K,) thresholds chosen without each fold.
    """

    points: tuple[OperatingPoint, ...]
    chosen_on: str
    folds: NDArray[np.intp] | None = None
    by_fold: Mapping[tuple[str, str], NDArray[np.float64]] = field(
        default_factory=dict[tuple[str, str], NDArray[np.float64]]
    )

    def by_film(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        """Return (finding, point name) to the (N,) threshold of each film; empty without folds."""
        if self.folds is None:
            return {}
        return {key: chosen[self.folds] for key, chosen in self.by_fold.items()}


def cross_fitted(
    probabilities: Probabilities,
    states: NDArray[np.int8],
    folds: NDArray[np.intp],
    goals: Mapping[Target, float | None],
) -> Thresholds:
    """Choose thresholds on all folds but one, for each fold, and on all films.

    Args:
        probabilities: (N, L).
        states: (N, L) LabelState values, columns as in `probabilities`.
        folds: (N,) the fold of each film, from 0, with all films of a patient in one.
        goals: the targets, with the value to reach where one is needed.
    """
    count = int(folds.max()) + 1
    points: list[OperatingPoint] = []
    by_fold: dict[tuple[str, str], NDArray[np.float64]] = {}
    for target, goal in goals.items():
        without = [
            choose_all(
                Probabilities(probabilities.values[folds != fold], probabilities.labels),
                states[folds != fold],
                target,
                goal,
            )
            for fold in range(count)
        ]
        everywhere = choose_all(probabilities, states, target, goal)
        for point, *others in zip(everywhere, *without, strict=True):
            missing = next((other for other in others if other.threshold is None), None)
            if point.threshold is not None and missing is None:
                chosen = [other.threshold for other in others]
                by_fold[point.finding, point.name] = np.array(chosen, np.float64)
            elif point.threshold is not None and missing is not None:
                reason = f"without one of {count} folds of patients, {missing.reason}"
                point = replace(point, threshold=None, achieved=None, reason=reason)
            points.append(point)
    words = (
        f"these films, cross-fitted by patient, {count} folds; "
        "the threshold printed is of all films"
    )
    return Thresholds(tuple(points), words, folds, by_fold)


def read_thresholds(path: Path, labels: LabelSet) -> Thresholds:
    """Read thresholds that were fixed before.

    Args:
        path: JSON: a run's calibration.json; or target to finding to threshold, such as
            `{"f1": {"Mass": 0.3}}`; or finding to threshold, for a target that nobody wrote down.
        labels: the findings evaluated; thresholds of others are passed over.

    Raises:
        UsageError: for a file that is none of these, an unknown finding or target, a threshold
            outside [0, 1], or one that is there twice.
        BundleError: for a sealed file that was edited.
    """
    try:
        tree = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=partial(_once, path.name))
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"cannot read thresholds {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"thresholds must be JSON; {path}: {error}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"thresholds must map a finding to a number; {path} is no such mapping")
    if ("seal" in tree or "operating_points" in tree) and not is_sealed(tree):
        raise BundleError(f"{path} was edited since hilum wrote it. Restore it")
    found = tuple(point for point in _points(tree, path.name) if point.finding in labels)
    if not found:
        raise UsageError(f"{path.name} must have a threshold of a finding of {labels.name}")
    named = [f"{point.finding} ({point.name})" for point in found]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise UsageError(
            f"{path.name} must have one threshold a finding and target; it has two of {twice}"
        )
    return Thresholds(found, f"other films before, as given in {path.name}")


def _once(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a mapping; JSON itself keeps the last of two values without a word."""
    keys = [key for key, _ in pairs]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise UsageError(f"{name} must name each key once; '{twice}' is there twice. Keep one")
    return dict(pairs)


def _points(tree: Mapping[str, Any], name: str) -> Iterator[OperatingPoint]:
    if "operating_points" in tree:
        for row in (*tree["operating_points"], *tree.get("other_points", ())):
            target = f"{row['target']} {row['goal']}" if row.get("goal") else row["target"]
            yield _point(row["finding"], row["threshold"], target, name)
        return
    for key, value in tree.items():
        if isinstance(value, dict):
            for finding, threshold in value.items():
                yield _point(finding, threshold, key, name)
        else:
            yield _point(key, value, Target.GIVEN.value, name)


def _point(finding: str, threshold: object, target: str, name: str) -> OperatingPoint:
    known = find(finding).name
    word, _, goal = target.partition(" ")
    if threshold is None:
        value, reason = None, f"{name} has no threshold"
    elif (
        isinstance(threshold, int | float)
        and not isinstance(threshold, bool)
        and 0.0 <= threshold <= 1.0
    ):
        value, reason = float(threshold), ""
    else:
        raise UsageError(
            f"{name}: the threshold of {known} must be a number in [0, 1]; got {threshold!r}"
        )
    try:
        kind = Target(word)
        return OperatingPoint(known, value, kind, None, 0, 0, reason, float(goal) if goal else None)
    except ValueError:
        words = ", ".join(f"{one} 0.90" if one.needs_goal else one for one in Target)
        raise UsageError(f"{name}: a target must be one of {words}; got '{target}'") from None
