"""The ways to fit a rising curve from the logit of one finding to its probability.

Each file of this folder is a method, named as the method; it defines `CURVE: type[Curve]`, such as
`CURVE: type[Curve] = Platt` in `platt.py`. The contract, and what methods share, is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hilum.domain.members import member_class
from hilum.domain.scores import Logits, Probabilities

__all__ = [
    "FEW",
    "Curve",
    "FitRefusedError",
    "curve_type",
    "least_log_loss",
    "logits_of",
    "require_both_classes",
    "require_films",
    "require_spread",
    "sigmoid_of",
]

FEW = 20
"""Films of a class below which only Platt, or less, is fitted, and that noted as uncertain."""

_NEAREST = 1e-12
_STEPS = 100
_TOLERANCE = 1e-12


class FitRefusedError(Exception):
    """These films cannot fit this curve. The message says why; the caller takes the fallback."""


class Curve(BaseModel, ABC):
    """A fitted map from logit to probability for one finding; its fields are its parameters.

    It never falls, so it cannot turn the model's ranking around. Its JSON is the fields, and gives
    back the same curve to the last bit.

    Attributes:
        fallback: the method to try where this one refuses; None where it never does.
        strict: whether it rises everywhere, so that AUROC stays; otherwise it makes ties.
        shared: whether one curve is fitted to all findings together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fallback: ClassVar[str | None]
    strict: ClassVar[bool] = True
    shared: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def fit(cls, logits: NDArray[np.float64], positives: NDArray[np.bool_]) -> Self:
        """Return the curve of this kind that suits the films best.

        Args:
            logits: (n,) finite.
            positives: (n,) whether the film has the finding.

        Raises:
            FitRefusedError: where these films cannot fit it.
        """

    @abstractmethod
    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities in [0, 1] of (n,) logits."""


def sigmoid_of(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """`1 / (1 + exp(-z))`, without overflow at either end.

    >>> sigmoid_of(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


def logits_of(probabilities: Probabilities) -> Logits:
    """`ln p - ln(1 - p)`: what a calibrator needs of predictions that come as probabilities.

    Values nearer to 0 or 1 than 1e-12 are taken as that near, so the logits are within 27.7. Scores
    in [0, 1] that were never meant as probabilities give logits just as well, and any curve but
    the plain sigmoid and the temperatures makes use of them.

    >>> from hilum.domain.findings import LabelSet
    >>> foreign = Probabilities(np.array([[0.0], [0.5], [0.9]]), LabelSet("one", ("Mass",)))
    >>> logits_of(foreign).of("Mass").round(2)
    array([-27.63,   0.  ,   2.2 ])
    """
    inside = np.clip(probabilities.values, _NEAREST, 1.0 - _NEAREST)
    return Logits(np.log(inside) - np.log1p(-inside), probabilities.labels)


def require_both_classes(positives: NDArray[np.bool_]) -> None:
    """Refuse films that are all positive or all negative: no curve can be learned from them.

    Raises:
        FitRefusedError: for one class, or no films.
    """
    if positives.all() or not positives.any():
        missing = "negative" if positives.any() else "positive"
        raise FitRefusedError(f"no {missing} film among {len(positives)}")


def require_films(positives: NDArray[np.bool_], method: str) -> None:
    """Refuse fewer than 20 films of a class, which a flexible curve would learn by heart.

    Raises:
        FitRefusedError: for one class, or few films of one.
    """
    require_both_classes(positives)
    for kind, count in (("positive", positives.sum()), ("negative", (~positives).sum())):
        if count < FEW:
            raise FitRefusedError(f"{count} {kind} films, {method} needs {FEW}")


def require_spread(logits: NDArray[np.float64]) -> None:
    """Refuse logits that are all the same: they tell no film from another.

    Raises:
        FitRefusedError: for equal logits.
    """
    if logits.min() == logits.max():
        raise FitRefusedError("all logits are equal")


def least_log_loss(
    features: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Logistic regression: weights and intercept of the least log loss, without any penalty.

    Newton's method with halved steps. It is happiest with standardized features, so it makes them
    so, whatever their scale was.

    Args:
        features: (K, n); one that is constant gets no weight.
        targets: (n,) in [0, 1], of a mean inside it.

    Returns:
        (K + 1,) the weights of the features, then the intercept.
    """
    center, spread = features.mean(axis=1), features.std(axis=1)
    spread[spread == 0.0] = 1.0
    scaled = (features - center[:, None]) / spread[:, None]
    design = np.concatenate([scaled, np.ones((1, features.shape[1]))])
    weights = np.zeros(len(design))
    weights[-1] = np.log(targets.mean() / (1.0 - targets.mean()))
    loss = _loss(weights @ design, targets)
    for _ in range(_STEPS):
        p = sigmoid_of(weights @ design)
        gradient = design @ (p - targets) / design.shape[1]
        if float(np.abs(gradient).max()) < _TOLERANCE:
            break
        curvature = (design * (p * (1.0 - p))) @ design.T / design.shape[1]
        step = np.linalg.solve(curvature + _TOLERANCE * np.eye(len(design)), gradient)
        size = 1.0
        # at the end a good step lowers the loss by less than rounding: it must not be halved
        highest = loss * (1.0 + _TOLERANCE)
        while size > _TOLERANCE and _loss((weights - size * step) @ design, targets) > highest:
            size /= 2
        weights = weights - size * step
        loss = _loss(weights @ design, targets)
    slopes = weights[:-1] / spread
    return np.append(slopes, weights[-1] - slopes @ center)


def _loss(line: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(np.mean(np.logaddexp(0.0, line) - targets * line))


def curve_type(method: str) -> type[Curve]:
    """Return the kind of curve that a method fits.

    Raises:
        UsageError: when there is no such method.

    >>> curve_type("platt").__name__
    'Platt'
    """
    return member_class(__name__, method, Curve, "calibrator")
