"""Selection of the best epoch and early stopping, both by scores on the tune split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.metrics.ranking import Ranking, auroc
from hilum.runs.recipe_parts import ChoiceConfig, Criterion

__all__ = ["Choice", "EpochScores", "Kept", "Streak", "areas", "measure"]


@dataclass(frozen=True)
class EpochScores:
    """Scores of an epoch on the tune split.

    Attributes:
        loss: the training loss on tune.
        auroc: macro AUROC over the measured findings; None where there are none.
        average_precision: macro average precision over the same.
        findings: how many have both states on tune, and so are measured.
    """

    loss: float
    auroc: float | None
    average_precision: float | None
    findings: int

    def value(self, criterion: Criterion) -> float | None:
        """Return the value of the selection metric.

        >>> EpochScores(0.3, None, None, 0).value(Criterion.AUROC) is None
        True
        """
        if criterion is Criterion.LOSS:
            return self.loss
        return self.auroc if criterion is Criterion.AUROC else self.average_precision


def measure(states: NDArray[np.int8], logits: NDArray[np.floating], loss: float) -> EpochScores:
    """Return macro AUROC and average precision: means over the findings that have both states.

    Without intervals: these choose an epoch and are no result. A finding counts as much as any
    other, however few its films.

    Args:
        states: (N, L) LabelState values; uncertain and unlabelled entries are left out.
        logits: (N, L), finite.
        loss: of these films.

    Raises:
        UsageError: for logits that are not finite.

    Example:
        >>> states = np.array([[0, 1], [1, 1], [1, -2]], np.int8)
        >>> measure(states, np.array([[0.1, 3.0], [0.2, 1.0], [0.0, 2.0]]), 0.5)
        EpochScores(loss=0.5, auroc=0.5, average_precision=0.8333333333333333, findings=1)
    """
    if not np.isfinite(logits).all():
        raise UsageError(
            "logits on tune must be finite; some became NaN or infinite. Lower the phase's rate, "
            "or train with compute.precision=float32"
        )
    areas: list[float] = []
    precisions: list[float] = []
    for column in range(states.shape[1]):
        positive = states[:, column] == LabelState.POSITIVE
        known = positive | (states[:, column] == LabelState.NEGATIVE)
        counts = Ranking.of(positive[known], logits[known, column].astype(np.float64)).counts()
        area, precision = float(counts.auroc()[0]), float(counts.average_precision()[0])
        if not np.isnan(area):
            areas.append(area)
            precisions.append(precision)
    if not areas:
        return EpochScores(loss, None, None, 0)
    return EpochScores(loss, float(np.mean(areas)), float(np.mean(precisions)), len(areas))


@dataclass
class Streak:
    """The best value so far, and for how many values none has beaten it.

    A value that ties does not beat. One that could not be measured neither beats nor counts.

    Example:
        >>> streak = Streak(Criterion.AUROC)
        >>> [streak.offer(value) for value in (0.6, 0.7, 0.7, None, 0.5)], streak.since
        ([True, True, False, False, False], 2)
    """

    criterion: Criterion
    best: float | None = None
    since: int = 0

    def offer(self, value: float | None) -> bool:
        """Add a value; return whether it is the best so far."""
        if value is None:
            return False
        if self.best is None or self._better(value, self.best):
            self.best, self.since = value, 0
            return True
        self.since += 1
        return False

    def _better(self, value: float, than: float) -> bool:
        return value < than if self.criterion is Criterion.LOSS else value > than


@dataclass(frozen=True)
class Kept:
    """The selected epoch and its value."""

    epoch: int
    value: float


class Choice:
    """The best epoch of the run, and whether the present phase still gets better.

    A phase is compared with itself: one that begins below the best of the phase before it may
    still climb above.

    Example:
        >>> choice = Choice(ChoiceConfig(patience=2))
        >>> [choice.offer(*epoch) for epoch in ((1, 0.6), (2, 0.7), (3, 0.7), (4, 0.5))]
        [True, True, False, False]
        >>> choice.best, choice.exhausted()
        (Kept(epoch=2, value=0.7), True)
    """

    def __init__(self, config: ChoiceConfig) -> None:
        self.config = config
        self.best: Kept | None = None
        self._run = Streak(config.by)
        self._phase = Streak(config.by)

    def begin_phase(self) -> None:
        """Restart the patience; the best epoch of the run is kept."""
        self._phase = Streak(self.config.by)

    def offer(self, epoch: int, value: float | None) -> bool:
        """Add an epoch's value; return whether it is the best of the run (first among equals)."""
        self._phase.offer(value)
        if value is None or not self._run.offer(value):
            return False
        self.best = Kept(epoch, value)
        return True

    def exhausted(self) -> bool:
        """Return whether the phase has not improved for `patience` epochs, and should end."""
        return 0 < self.config.patience <= self._phase.since

    def state(self) -> dict[str, Any]:
        """Return what `resume` needs, as JSON values."""
        return {
            "epoch": None if self.best is None else self.best.epoch,
            "value": self._run.best,
            "phase_best": self._phase.best,
            "phase_since": self._phase.since,
        }

    @classmethod
    def resume(cls, config: ChoiceConfig, state: Mapping[str, Any]) -> Self:
        """Restore what `state` returned."""
        choice = cls(config)
        choice._run.best = state["value"]
        if state["epoch"] is not None:
            choice.best = Kept(state["epoch"], state["value"])
        choice._phase = Streak(config.by, state["phase_best"], state["phase_since"])
        return choice


def areas(
    labels: LabelSet, states: NDArray[np.int8], scored: NDArray[np.float32]
) -> Mapping[str, float | None]:
    """Return the AUROC of each finding; None for one without both states.

    Args:
        labels: of the columns.
        states: (N, L) LabelState values; what is neither positive nor negative is left out.
        scored: (N, L) logits.
    """
    found: dict[str, float | None] = {}
    for column, finding in enumerate(labels):
        positive = states[:, column] == LabelState.POSITIVE
        known = positive | (states[:, column] == LabelState.NEGATIVE)
        found[finding] = auroc(positive[known], scored[known, column].astype(np.float64))
    return found
