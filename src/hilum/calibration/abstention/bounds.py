"""Tests of a miss rate: exact where units are independent, by betting where patients repeat.

A unit is missed or not. `p_path` tests, for every number of units missed in a fixed order, that the
true rate is at or above a limit. A small p-value speaks for a rate below it.
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.rule_out import MissBound, MissUnit

__all__ = [
    "BoundMethod",
    "method_for",
    "miss_bound",
    "p_path",
    "p_value",
    "positives_needed",
    "units_of",
]

_FEW_PATIENTS = 5
"""Missed patients below which a design effect cannot be estimated; the worst case is taken."""
_STEPS = 40


class BoundMethod(StrEnum):
    """How a miss rate is bounded."""

    BINOMIAL = "exact binomial"
    """Each patient has one film that counts, so units are independent (Clopper-Pearson)."""
    BETTING = "betting"
    """Each patient's share of missed films is a bounded number, and patients are independent."""
    DESIGN_EFFECT = "design effect"
    """Binomial with the films divided by the clusters' design effect: approximate."""


def positives_needed(limit: float, error: float) -> int:
    """Return how many independent positives without a miss bound a miss rate at all.

    The smallest n with `(1 - limit)^n <= error`.

    Args:
        limit: miss rate to stay below, in (0, 1).
        error: 1 less the confidence, in (0, 1).

    >>> [positives_needed(miss, 0.05) for miss in (0.05, 0.02, 0.01, 0.005)]
    [59, 149, 299, 598]
    """
    return math.ceil(math.log(error) / math.log1p(-limit))


def units_of(patients: NDArray[np.intp], unit: MissUnit) -> int:
    """Return how many units some films are: films, or their patients.

    >>> units_of(np.array([0, 0, 2]), MissUnit.PATIENT), units_of(np.array([0, 0]), MissUnit.FILM)
    (2, 2)
    """
    return len(patients) if unit is MissUnit.FILM else len(np.unique(patients))


def method_for(patients: NDArray[np.intp], unit: MissUnit) -> BoundMethod:
    """Return the test that fits: exact where no patient has two of the units.

    It depends on who has how many films, and on no score, so that it is fixed before any is seen.

    Args:
        patients: (n,) patient of each film that counts.
        unit: what the rate is of.

    >>> method_for(np.array([0, 1, 2]), MissUnit.PATIENT).value
    'exact binomial'
    >>> method_for(np.array([0, 0, 2]), MissUnit.FILM).value
    'design effect'
    """
    if len(np.unique(patients)) == len(patients):
        return BoundMethod.BINOMIAL
    return BoundMethod.BETTING if unit is MissUnit.PATIENT else BoundMethod.DESIGN_EFFECT


def p_path(
    patients: NDArray[np.intp], limit: float, error: float, unit: MissUnit
) -> NDArray[np.float64]:
    """Test that the miss rate is at or above a limit, with 0, 1, … n units missed.

    - Exact: `P(X <= k)` for X binomial with n units and the limit.
    - By betting, of each patient's share `x` of missed films, the capital is the product of
      `1 + b (limit - x)` over patients, and p its inverse. The bet `b` is the best one for shares
      of 0 and 1 at the largest rate that these patients could still separate from the limit. It
      is fixed by their number alone, so the capital does not depend on their order or names.
    - With the design effect d: the binomial with n / d units. The variance of the ratio over
      patients gives d, at least 1; with fewer than 5 patients missed, films of a patient count as
      copies of one.

    Args:
        patients: (n,) patient of each film that counts, in the order in which they are missed.
        limit: miss rate to test, in (0, 1).
        error: 1 less the confidence wanted; only the bet depends on it.
        unit: films counted alike, or patients counted alike.

    Returns:
        (n + 1,) p-values, in [0, 1].

    Source: Waudby-Smith and Ramdas 2024 (arXiv 2010.09686); Rao and Scott 1992.

    >>> p_path(np.arange(59), 0.05, 0.05, MissUnit.PATIENT)[:2].round(3).tolist()
    [0.048, 0.199]
    >>> p_path(np.arange(60).repeat(2), 0.05, 0.05, MissUnit.PATIENT)[:2].round(3).tolist()
    [0.047, 0.093]
    """
    if not len(patients):
        return np.ones(1)
    method = method_for(patients, unit)
    if method is BoundMethod.BINOMIAL:
        return _binomial(np.arange(len(patients) + 1.0), float(len(patients)), limit)
    if method is BoundMethod.BETTING:
        return _betting(patients, limit, error)
    return _design_effect(patients, limit)


def p_value(
    missed: NDArray[np.bool_],
    patients: NDArray[np.intp],
    limit: float,
    error: float,
    unit: MissUnit,
) -> float:
    """Test that the miss rate is at or above a limit; as `p_path`, for one set of missed films.

    >>> round(p_value(np.zeros(59, bool), np.arange(59), 0.05, 0.05, MissUnit.FILM), 3)
    0.048
    """
    ordered = patients[np.argsort(~missed, kind="stable")]
    return float(p_path(ordered, limit, error, unit)[int(missed.sum())])


def miss_bound(
    missed: NDArray[np.bool_], patients: NDArray[np.intp], error: float, unit: MissUnit
) -> MissBound:
    """Return an observed miss rate with the smallest limit that its test rejects.

    Args:
        missed: (n,) whether each film that counts was missed.
        patients: (n,) its patient.
        error: 1 less the confidence.
        unit: films counted alike, or patients counted alike.

    >>> miss_bound(np.zeros(59, bool), np.arange(59), 0.05, MissUnit.FILM).upper < 0.05
    True
    """
    units = units_of(patients, unit)
    method = method_for(patients, unit).value
    if not len(patients):
        return MissBound(observed=None, upper=None, n=0, method=method)
    low, high = _observed(missed, patients, unit), 1.0
    observed = low
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if p_value(missed, patients, middle, error, unit) <= error:
            high = middle
        else:
            low = middle
    return MissBound(observed=observed, upper=high, n=units, method=method)


def _observed(missed: NDArray[np.bool_], patients: NDArray[np.intp], unit: MissUnit) -> float:
    if unit is MissUnit.FILM:
        return float(missed.mean())
    _, code = np.unique(patients, return_inverse=True)
    return float((np.bincount(code, missed) / np.bincount(code)).mean())


def _binomial(
    missed: NDArray[np.float64], n: NDArray[np.float64] | float, limit: float
) -> NDArray[np.float64]:
    """`P(X <= missed)`, also between whole numbers."""
    from scipy.special import betainc

    whole = missed >= n
    return np.where(whole, 1.0, betainc(np.where(whole, 1.0, n - missed), missed + 1, 1 - limit))


def _occurrence(code: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return (n,) the how-manieth film of its patient each is, from 1."""
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(ordered)])
    found = np.empty(len(code), np.int64)
    found[order] = np.arange(len(code)) - np.repeat(starts, lengths) + 1
    return found


def _bet(count: int, limit: float, error: float) -> float:
    """Return the bet for `count` patients, in (0, 1 / (1 - limit)].

    Chernoff's: `(limit - q) / (limit (1 - limit))`, where q is the largest observed share with
    `count KL(q, limit) >= log(1 / error)`.
    """
    wanted = math.log(1.0 / error) / count
    if -math.log1p(-limit) <= wanted:
        return 1.0 / (1.0 - limit)
    low, high = 0.0, limit
    for _ in range(_STEPS):
        q = (low + high) / 2.0
        ahead = q * math.log(q / limit) + (1 - q) * math.log((1 - q) / (1 - limit))
        low, high = (q, high) if ahead >= wanted else (low, q)
    return (limit - low) / (limit * (1.0 - limit))


def _betting(patients: NDArray[np.intp], limit: float, error: float) -> NDArray[np.float64]:
    _, code = np.unique(patients, return_inverse=True)
    sizes = np.bincount(code)
    bet = _bet(len(sizes), limit, error)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen, size = _occurrence(code), sizes[code]
        step = np.log(np.maximum(1 + bet * (limit - seen / size), 0.0)) - np.log1p(
            bet * (limit - (seen - 1) / size)
        )
        capital = np.cumsum(np.r_[len(sizes) * math.log1p(bet * limit), step])
    return np.exp(-np.clip(capital, 0.0, 700.0))


def _design_effect(patients: NDArray[np.intp], limit: float) -> NDArray[np.float64]:
    _, code = np.unique(patients, return_inverse=True)
    sizes = np.bincount(code).astype(np.float64)
    n, squares = sizes.sum(), float((sizes**2).sum())
    seen = _occurrence(code)
    missed = np.arange(len(code) + 1.0)
    rate = missed / n
    own = np.r_[0.0, np.cumsum(2.0 * seen - 1.0)]
    cross = np.r_[0.0, np.cumsum(sizes[code])]
    spread = own - 2.0 * rate * cross + rate**2 * squares
    many = max(len(sizes) / max(len(sizes) - 1.0, 1.0), 1.0)
    chance = n * rate * (1.0 - rate)
    effect = np.divide(many * spread, chance, out=np.ones_like(rate), where=chance > 0)
    few = np.r_[0, np.cumsum(seen == 1)] < _FEW_PATIENTS
    effect = np.maximum(np.where(few, squares / n, effect), 1.0)
    return _binomial(missed / effect, n / effect, limit)
