"""Variance of a mean over readers and cases, by U-statistics: unbiased, for any design.

A mean over readers and pairs of cases varies since readers are drawn and cases are drawn. Its
variance is the mean of its square less the square of its mean, and both are means over two draws
that share a reader or not, a positive case or not, a negative case or not. Each such mean has an
unbiased estimate: the mean over all pairs of terms that share just that much (Gallas 2006).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["UMoments", "UTest", "auroc_kernel", "u_moments", "u_test"]

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class UMoments:
    """A mean over readers and cases with its variance.

    Attributes:
        mean: over all terms that there are.
        variance: with readers and cases random, unbiased; it may be below 0.
        moments: mean product of two terms, by what they share: a letter for each axis of the
            terms, in its place, or `-`, such as `r--` for the reader alone.
        weights: share of pairs of terms that share just that.
    """

    mean: float
    variance: float
    moments: dict[str, float]
    weights: dict[str, float]


def u_moments(terms: _Numbers, present: NDArray[np.bool_] | None = None) -> UMoments:
    """Return the variance of a mean of terms over independently drawn readers and cases.

    `V = sum over what two terms share of (share of pairs) (mean product) - (mean product of terms
    that share nothing)`. In a fully crossed design these are the moments M1 to M8 of Barrett,
    Clarkson and Kupinski; in others the shares differ. For fixed readers average over them first.

    Args:
        terms: one axis for each kind of draw: (readers, positive cases, negative cases) of an
            AUROC, (readers, cases) of a sensitivity, (cases,) of fixed readers.
        present: the same shape; False where a reader did not read. All by default.

    Raises:
        ValueError: where no two terms share nothing: two readers and two cases of each kind that
            both read are needed.

    Source: Gallas 2006 (10.1016/j.acra.2005.11.030); Gallas, Bandos, Samuelson and Wagner 2009
    (10.1080/03610920802610084).

    >>> one = u_moments(np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]))
    >>> round(one.mean, 3), round(one.variance, 4), sorted(one.moments)
    (0.667, -0.0556, ['--', '-c', 'r-', 'rc'])
    """
    there = np.ones(terms.shape, np.bool_) if present is None else present
    weights = there.astype(np.float64)
    values = np.where(there, terms, 0.0)
    names = _LETTERS[terms.ndim]
    sums, counts = _shared(values), _shared(weights)
    total = weights.sum()
    none = (False,) * terms.ndim
    if counts[none] < 0.5:
        raise ValueError(
            "two readers and two cases of each kind are needed that share nothing; "
            f"got terms of shape {terms.shape}"
        )
    moments, parts = dict[str, float](), dict[str, float]()
    for shared, pairs in counts.items():
        if pairs < 0.5:
            continue
        key = "".join(n if yes else "-" for n, yes in zip(names, shared, strict=True))
        moments[key] = sums[shared] / pairs
        parts[key] = float(pairs / total**2)
    apart = moments["-" * terms.ndim]
    square = sum(moments[key] * parts[key] for key in moments)
    return UMoments(float(values.sum() / total), float(square - apart), moments, parts)


_LETTERS = {1: "c", 2: "rc", 3: "rpn"}


def _shared(values: _Numbers) -> dict[tuple[bool, ...], float]:
    """Return the sum of products of all pairs of terms, by the axes on which their places agree.

    The sum over pairs that agree at least on some axes is the sum of squares of sums over the
    others; those that agree on just these follow by inclusion and exclusion.
    """
    axes = range(values.ndim)
    at_least = {
        shared: float((values.sum(axis=tuple(a for a in axes if not shared[a])) ** 2).sum())
        for shared in product((False, True), repeat=values.ndim)
    }
    return {
        shared: sum(
            (-1) ** (sum(more) - sum(shared)) * value
            for more, value in at_least.items()
            if all(m or not s for s, m in zip(shared, more, strict=True))
        )
        for shared in at_least
    }


def auroc_kernel(positives: NDArray[np.bool_], ratings: _Numbers) -> _Numbers:
    """Return (R, P, N) terms whose mean is the mean AUROC: 1 for a pair in order, 1/2 for a tie.

    Args:
        positives: (n,) truth.
        ratings: (R, n) of each reader; NaN where there is none gives NaN.

    >>> auroc_kernel(np.array([True, False, False]), np.array([[0.5, 0.5, 0.2]]))
    array([[[0.5, 1. ]]])
    """
    up, down = ratings[:, positives, None], ratings[:, None, ~positives]
    order = (up > down) + 0.5 * (up == down)
    return np.where(np.isnan(up) | np.isnan(down), np.nan, order)


@dataclass(frozen=True)
class UTest:
    """A test that a mean difference over readers and cases is 0.

    Attributes:
        mean: of the difference.
        standard_error: by U-statistics; None where the estimated variance is not above 0.
        low, high: 95 % interval; None with the standard error.
        df: degrees of freedom; infinite where readers do not differ, and the test is normal.
        p: two-sided; None with the standard error.
        moments: of `u_moments`.
    """

    mean: float
    standard_error: float | None
    low: float | None
    high: float | None
    df: float
    p: float | None
    moments: UMoments


def u_test(terms: _Numbers, present: NDArray[np.bool_] | None = None) -> UTest:
    """Test that the mean of terms is 0, readers and cases random.

    t with Hillis' degrees of freedom, the variance by U-statistics in the place of Obuchowski and
    Rockette's: `(R - 1) (V / (s2 / R))^2`, at least R - 1, where s2 is the variance between the
    readers' own means. iMRMC's degrees of freedom are made otherwise.

    Args:
        terms: differences of two modalities, readers first, as for `u_moments`.
        present: the same shape; False where a reader did not read.

    Raises:
        ValueError: as `u_moments`.

    >>> rng = np.random.default_rng(0)
    >>> found = u_test(0.1 + 0.2 * rng.normal(size=(4, 60)))
    >>> found.low < 0.1 < found.high, found.df >= 3.0
    (True, True)
    """
    from scipy import stats

    found = u_moments(terms, present)
    if found.variance <= 0.0:
        return UTest(found.mean, None, None, None, math.inf, None, found)
    there = np.ones(terms.shape, np.bool_) if present is None else present
    axes = tuple(range(1, terms.ndim))
    own = np.where(there, terms, 0.0).sum(axis=axes) / np.maximum(there.sum(axis=axes), 1)
    own = own[there.any(axis=axes)]
    spread = float(own.var(ddof=1)) / len(own)
    ratio = math.inf if spread == 0.0 else max(found.variance / spread, 1.0)
    df = (len(own) - 1) * ratio**2
    error = math.sqrt(found.variance)
    t = found.mean / error
    law = stats.norm() if math.isinf(df) else stats.t(df)
    half = float(law.ppf(0.975)) * error
    p = 2.0 * float(law.sf(abs(t)))
    return UTest(found.mean, error, found.mean - half, found.mean + half, df, p, found)
