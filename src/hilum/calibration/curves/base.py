"""What a calibrator is: a rising curve from the logit of one finding to its probability.

Each other file of this folder is one way to fit such a curve. The file's name is the method's name,
and it holds one `Curve` of that name in capitals (`platt.py` holds `Platt`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

__all__ = ["Curve", "FitRefusedError", "require_both_classes", "sigmoid_of"]


class FitRefusedError(Exception):
    """These films cannot fit this curve. The message says why; the caller takes the fallback."""


class Curve(BaseModel, ABC):
    """A fitted map from logit to probability for one finding; its fields are its parameters.

    It never falls, so it cannot turn the model's ranking around. Its JSON is the fields, and gives
    back the same curve to the last bit.

    Attributes:
        fallback: the method to try where this one refuses; None where it never does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fallback: ClassVar[str | None]

    @classmethod
    @abstractmethod
    def fit(cls, logits: NDArray[np.float64], positives: NDArray[np.bool_]) -> Self:
        """The curve of this kind that suits the films best.

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


def require_both_classes(positives: NDArray[np.bool_]) -> None:
    """Refuses films that are all positive or all negative: no curve can be learned from them.

    Raises:
        FitRefusedError: for one class, or no films.
    """
    if positives.all() or not positives.any():
        missing = "negative" if positives.any() else "positive"
        raise FitRefusedError(f"no {missing} film among {len(positives)}")
