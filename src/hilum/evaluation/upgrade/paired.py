"""Changes between two models on the same films, with bounds by patient and the films they need."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.abstention.bounds import miss_bound, positives_needed
from hilum.domain.documents import Interval
from hilum.domain.documents.rule_out import MissUnit

__all__ = ["MeanChange", "ShareChange", "change_interval", "no_interval", "share_interval"]

_TWO_SIDED = 0.025
_POWER = 0.8416212335729143
"""Standard errors between the limit and the 80 % of cases in which enough films must decide."""


@dataclass(frozen=True)
class MeanChange:
    """A change with a normal interval.

    Attributes:
        value: the change.
        error: its standard error by patient.
    """

    value: float
    error: float

    def bounds(self, error: float) -> tuple[float, float]:
        """Return two one-sided bounds, each wrong with probability `error`."""
        reach = _quantile(error) * self.error
        return self.value - reach, self.value + reach

    def times_needed(self, limit: float, error: float) -> float | None:
        """Return how many times as many films decide about a limit in 80 % of cases.

        `((z + z_80) error / (limit - value))^2`, if the value is the true one; a value that looks
        like an improvement is taken for no change. None where the value is the limit.
        """
        aim = max(self.value, 0.0) if self.value < limit else self.value
        if aim == limit:
            return None
        return ((_quantile(error) + _POWER) * self.error / (limit - aim)) ** 2


@dataclass(frozen=True, eq=False)
class ShareChange:
    """A share by patient that some films raise and others lower, bounded exactly.

    The value is the mean over patients of the share of their films that raise it, less that of
    those that lower it.

    Attributes:
        up, down: (n,) films that raise and lower it.
        patients: (n,).
        one_way: whether nothing can lower it, so that a bound need not be shared by two.
    """

    up: NDArray[np.bool_]
    down: NDArray[np.bool_]
    patients: NDArray[np.intp]
    one_way: bool = False

    @property
    def value(self) -> float:
        """The change."""
        return self._mean(self.up) - self._mean(self.down)

    def _mean(self, films: NDArray[np.bool_]) -> float:
        return float(self._shares(films).mean())

    def _shares(self, films: NDArray[np.bool_]) -> NDArray[np.float64]:
        number = np.unique(self.patients, return_inverse=True)[1]
        return np.bincount(number, films) / np.bincount(number)

    def bounds(self, error: float) -> tuple[float, float]:
        """Return two one-sided bounds, each wrong with probability `error` or less."""
        if self.one_way:
            return self._lower(self.up, error), self._upper(self.up, error)
        half = error / 2.0  # spent on the two shares before either is seen
        low = self._lower(self.up, half) - self._upper(self.down, half)
        return low, self._upper(self.up, half) - self._lower(self.down, half)

    def _upper(self, films: NDArray[np.bool_], error: float) -> float:
        found = miss_bound(films, self.patients, error, MissUnit.PATIENT)
        return 1.0 if found.upper is None else found.upper

    def _lower(self, films: NDArray[np.bool_], error: float) -> float:
        return 0.0 if not films.any() else 1.0 - self._upper(~films, error)

    def times_needed(self, limit: float, error: float) -> float | None:
        """Return how many times as many patients decide about a limit in about 80 % of cases."""
        people = len(np.unique(self.patients))
        apart = self._shares(self.up) - self._shares(self.down)
        spread = float(apart.std(ddof=1)) / math.sqrt(people) if people > 1 else 0.0
        normal = MeanChange(self.value, spread).times_needed(limit, error)
        if normal is None or limit <= 0.0:
            return None
        # however alike the two are, so many patients without a change are needed for any bound
        return max(normal, positives_needed(limit, error if self.one_way else error / 2.0) / people)


def _quantile(error: float) -> float:
    from scipy.special import ndtri

    return -float(ndtri(error))


def change_interval(change: MeanChange | ShareChange) -> Interval:
    """Return a change with its 95 % interval."""
    low, high = change.bounds(_TWO_SIDED)
    return Interval(value=change.value, low=low, high=high)


def share_interval(films: NDArray[np.bool_], patients: NDArray[np.intp]) -> Interval:
    """Return the mean over patients of a share of their films, with its exact interval."""
    if not len(films):
        return no_interval("no film")
    return change_interval(ShareChange(films, np.zeros_like(films), patients, one_way=True))


def no_interval(reason: str) -> Interval:
    """Return the absence of a number, with its reason."""
    return Interval(value=None, reason=reason)
