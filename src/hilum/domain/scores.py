"""A network's logits, calibrated probabilities, and operating points."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelSet

__all__ = ["ROUNDING", "Logits", "OperatingPoint", "Probabilities", "Target", "remedy"]

ROUNDING = 1e-6
"""Distance from [0, 1] up to which a score is a rounded 0 or 1: a mean in float32 leaves 1e-7."""
_UNSCORED = frozenset(("", "nan", "na", "n/a", "none", "null", "<na>", "-", "nat"))
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
_LARGEST_PERCENT = 100.0
_NOT_PERCENT = 2.0
"""Largest score of a column up to which it is not taken for percent."""


def remedy(text: str, low: float, high: float) -> str:
    """Say what a cell that is not a probability is likely to be, and what to do.

    Args:
        text: the cell.
        low: smallest number of its column, or 0.
        high: largest number of its column, or 1.

    >>> remedy("19.8", 0.0, 97.0)
    'Are these percent? Divide by 100'
    >>> remedy("0,5", 0.0, 1.0), remedy("-3.1", -3.1, 1.0)
    ('Is that a decimal comma? Write 0.5', 'Logits must be calibrated first')
    """
    cell = text.strip()
    if cell.casefold() in _UNSCORED:
        return "Not scored: leave the row out, or give it a status such as 'error'"
    if _DECIMAL_COMMA.fullmatch(cell):
        return f"Is that a decimal comma? Write {cell.replace(',', '.')}"
    if cell.endswith("%"):
        return "Are these percent? Divide by 100"
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if math.isnan(value) or "_" in cell:
        return "It is not a number"
    if math.isinf(value):
        return "The model failed on this film: leave the row out, or give it a status"
    if low < -ROUNDING or high > _LARGEST_PERCENT:
        return "Logits must be calibrated first"
    if high > _NOT_PERCENT:
        return "Are these percent? Divide by 100"
    return f"It is {value - 1:.2g} above 1, more than rounding ({ROUNDING:g}). Calibrate the scores"


def _checked(values: NDArray[np.floating], labels: LabelSet, word: str) -> NDArray[np.float64]:
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise ValueError(f"{word} must be (N, {len(labels)}) for {labels.name}; got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{word} must be finite; got NaN or infinity")
    return values.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Logits:
    """A network's raw scores, in (-inf, inf). Not probabilities: only a calibrator makes those.

    Attributes:
        values: (N, L) float64, finite.
        labels: the findings of the columns.

    Raises:
        ValueError: for another shape, or values that are not finite.
    """

    values: NDArray[np.float64]
    labels: LabelSet

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(self.values, self.labels, "logits"))

    def of(self, finding: str) -> NDArray[np.float64]:
        """Return (N,) logits of one finding."""
        return self.values[:, self.labels.index(finding)]


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Calibrated probabilities, in [0, 1], independent between findings (rows need not sum to 1).

    Attributes:
        values: (N, L) float64 in [0, 1].
        labels: the findings of the columns.

    Raises:
        ValueError: for another shape, or values outside [0, 1].

    Example:
        >>> labels = LabelSet("one", ("Mass",))
        >>> Probabilities(np.array([[1.5]]), labels)
        Traceback (most recent call last):
        ...
        ValueError: probabilities must lie in [0, 1]; got up to 1.5. Are these logits?
    """

    values: NDArray[np.float64]
    labels: LabelSet

    def __post_init__(self) -> None:
        values = _checked(self.values, self.labels, "probabilities")
        if values.size and (values.min() < 0.0 or values.max() > 1.0):
            worst = values.max() if values.max() > 1.0 else values.min()
            raise ValueError(
                f"probabilities must lie in [0, 1]; got up to {worst:g}. Are these logits?"
            )
        object.__setattr__(self, "values", values)

    def of(self, finding: str) -> NDArray[np.float64]:
        """Return (N,) probabilities of one finding."""
        return self.values[:, self.labels.index(finding)]


class Target(StrEnum):
    """The criterion of a threshold. Some need a goal, such as a sensitivity of 0.90.

    >>> Target("youden").needs_goal, Target("sensitivity").needs_goal
    (False, True)
    """

    F1 = "f1"
    """The largest F1 = 2 TP / (2 TP + FP + FN)."""
    YOUDEN = "youden"
    """The largest Youden's J = sensitivity + specificity - 1."""
    BALANCED_ACCURACY = "balanced_accuracy"
    """The largest mean of sensitivity and specificity: the same threshold as Youden's J."""
    SENSITIVITY = "sensitivity"
    """At least this mean sensitivity on new patients (conformal quantile of positives)."""
    SPECIFICITY = "specificity"
    """At least this mean specificity on new patients (conformal quantile of negatives)."""
    PPV = "ppv"
    """The most sensitive threshold whose positive predictive value is at least this."""
    GIVEN = "given"
    """The threshold was given without a criterion."""

    @property
    def needs_goal(self) -> bool:
        """Whether the target is a number to reach, and not the largest value of something."""
        return self in (Target.SENSITIVITY, Target.SPECIFICITY, Target.PPV)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with the target it was chosen for, and the films it was chosen on.

    A film is positive when its probability is greater than or equal to the threshold.

    Attributes:
        finding: its name.
        threshold: in [0, 1]; None where it could not be chosen, with `reason`.
        target: what was maximized or reached.
        achieved: the target's value on the films it was chosen on (optimistic elsewhere).
        n, positives: labeled films, and positive ones among them.
        reason: why there is no threshold, else empty.
        goal: the value to reach, in (0, 1); None for targets that are maximized.

    Raises:
        ValueError: for a goal where the target has none, or none where it needs one.
    """

    finding: str
    threshold: float | None
    target: Target
    achieved: float | None
    n: int
    positives: int
    reason: str = ""
    goal: float | None = None

    def __post_init__(self) -> None:
        if self.target.needs_goal is (self.goal is None):
            raise ValueError(f"a goal belongs to {self.target} or not; got {self.goal}")

    @property
    def name(self) -> str:
        """The target in words, such as "f1" or "sensitivity 0.90".

        >>> OperatingPoint("Mass", 0.1, Target.SENSITIVITY, 0.9, 100, 20, goal=0.9).name
        'sensitivity 0.90'
        """
        return self.target.value if self.goal is None else f"{self.target.value} {self.goal:.2f}"
