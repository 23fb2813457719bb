"""The same finding where it is rarer or more frequent: probabilities moved by its prior odds.

It holds where only the share of positives differs: the films of those who have the finding, and of
those who do not, must look as they did where the calibrator was fitted. Not a method of its own:
applied only when the user requests it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.scores import Probabilities

__all__ = ["Move", "moves", "shift_prevalence", "shifted"]

_FARTHEST = 700.0


@dataclass(frozen=True)
class Move:
    """Shift of one finding from the prevalence of its fit to the requested one.

    Raises:
        UsageError: for a prevalence that is not in (0, 1).

    >>> move = Move("Mass", 0.02, 0.05)
    >>> round(move.shift, 3), move.note
    (0.947, 'prevalence 0.020 -> 0.050 requested')
    """

    finding: str
    fitted: float
    wanted: float

    def __post_init__(self) -> None:
        for word, share in (("fitted", self.fitted), ("wanted", self.wanted)):
            if not 0.0 < share < 1.0:
                raise UsageError(
                    f"the {word} prevalence of {self.finding} must lie in (0, 1); got {share:g}"
                )

    @property
    def shift(self) -> float:
        """`logit wanted - logit fitted`, to be added to the log odds."""
        return _log_odds(self.wanted) - _log_odds(self.fitted)

    @property
    def note(self) -> str:
        """Note that accompanies a probability moved to another prevalence."""
        return f"prevalence {_shown(self.fitted)} -> {_shown(self.wanted)} requested"


def moves(
    labels: LabelSet, fitted: Mapping[str, float], wanted: Mapping[str, float]
) -> tuple[Move, ...]:
    """Return the requested prevalences by the findings' names in the catalog.

    Args:
        labels: the findings that can be moved.
        fitted: finding to the prevalence it was fitted at, in (0, 1).
        wanted: finding or alias to the requested prevalence, in (0, 1).

    Raises:
        UsageError: for an unknown finding, or a prevalence that is missing or not in (0, 1).

    >>> moves(LabelSet("one", ("Mass",)), {"Mass": 0.02}, {"Mas": 0.05})
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no finding 'Mas' in the catalog. Did you mean 'Mass'?
    """
    names = LabelSet("the requested prevalences", tuple(wanted)).findings
    for name in names:
        labels.index(name)
        if name not in fitted:
            raise UsageError(
                f"the prevalence that {name} was fitted at must be known to move it; it is not, as "
                "no film was labeled. Leave it out"
            )
    return tuple(
        Move(name, fitted[name], share) for name, share in zip(names, wanted.values(), strict=True)
    )


def shift_prevalence(
    probabilities: Probabilities, fitted: Mapping[str, float], wanted: Mapping[str, float]
) -> Probabilities:
    """`logit p' = logit p + logit wanted - logit fitted`, for the findings that are wanted.

    For scores that come without a calibrator; with one, use `FittedCalibrator.at_prevalence`.
    The ranking stays, so AUROC does; thresholds chosen before do not fit any more.

    Args:
        probabilities: (N, L), right where the prevalence is `fitted`.
        fitted: finding to the prevalence there, in (0, 1).
        wanted: finding to the prevalence where they will be used, in (0, 1); others stay.

    Raises:
        UsageError: as `moves`.

    Source: Saerens, Latinne & Decaestecker 2002, equation 4.

    >>> scores = Probabilities(np.array([[0.1], [0.5]]), LabelSet("one", ("Mass",)))
    >>> shift_prevalence(scores, {"Mass": 0.02}, {"Mass": 0.05}).of("Mass").round(3)
    array([0.223, 0.721])
    """
    values = probabilities.values.copy()
    for move in moves(probabilities.labels, fitted, wanted):
        column = probabilities.labels.index(move.finding)
        values[:, column] = shifted(values[:, column], move.shift)
    return Probabilities(values, probabilities.labels)


def shifted(probabilities: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
    """(n,) probabilities whose log odds are greater by `shift`; 0 and 1 stay.

    Each operation rounds correctly, so equal stays equal and the order is never turned around.

    >>> shifted(np.array([0.0, 0.5, 1.0]), np.log(3))
    array([0.  , 0.75, 1.  ])
    """
    with np.errstate(divide="ignore", over="ignore"):
        against = (1.0 - probabilities) / probabilities
        # clipped, since infinity times 0 would be no number
        return 1.0 / (1.0 + against * np.exp(-np.clip(shift, -_FARTHEST, _FARTHEST)))


def _log_odds(share: float) -> float:
    return math.log(share) - math.log1p(-share)


def _shown(share: float) -> str:
    return f"{share:.3f}" if share >= 0.01 else f"{share:#.2g}"
