"""Numbers against the truth from numbers against labels that are sometimes wrong.

With the labels' sensitivity `a` and specificity `b`, the share of films that are truly positive is
`(q + b - 1) / (a + b - 1)`, where q is the share labeled positive (Rogan and Gladen 1978). What a
model is against the truth follows only if its errors have nothing to do with the labels' errors.
Without that, sharp bounds are what remains: the truly positive films among those with one label
could be the highest or the lowest scored of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.resampling import share

__all__ = ["LabelAccuracy", "TrueAurocs", "TrueRates", "true_aurocs", "true_rates"]

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelAccuracy:
    """How often labels are right, and what follows for the films of each label.

    Attributes:
        prevalence: (R,) share of truly positive films, in [0, 1]; NaN where labels tell nothing.
        in_positive: (R,) share of truly positive films among those labeled positive; NaN where
            the labels' errors alone explain all labels of one kind.
        in_negative: (R,) the same among those labeled negative.
    """

    prevalence: _Numbers
    in_positive: _Numbers
    in_negative: _Numbers

    @classmethod
    def of(cls, labeled: _Numbers, sensitivity: _Numbers, specificity: _Numbers) -> LabelAccuracy:
        """Correct the share labeled positive.

        Args:
            labeled: (R,) share of films labeled positive.
            sensitivity: (R,) of the labels, against the truth.
            specificity: (R,) of the labels.

        Source: Rogan and Gladen 1978.

        >>> one = LabelAccuracy.of(*(np.array([value]) for value in (0.05, 0.46, 0.97)))
        >>> one.prevalence.round(4), one.in_positive.round(3), one.in_negative.round(4)
        (array([0.0465]), array([0.428]), array([0.0264]))
        """
        youden = sensitivity + specificity - 1.0
        raw = np.where(youden > 0.0, share(labeled + specificity - 1.0, youden), np.nan)
        inside = np.where((raw > 0.0) & (raw < 1.0), raw, np.nan)
        return cls(
            raw.clip(0.0, 1.0),
            share(sensitivity * inside, labeled),
            share((1.0 - sensitivity) * inside, 1.0 - labeled),
        )


@dataclass(frozen=True, eq=False)
class TrueRates:
    """Sensitivity or specificity of calls against the truth.

    Attributes:
        independent: (R,) where the model's errors do not depend on the labels' errors.
        least, most: (R,) sharp bounds, whatever the errors have in common.
    """

    independent: _Numbers
    least: _Numbers
    most: _Numbers


def true_rates(
    called_positive: _Numbers, called_negative: _Numbers, labeled: _Numbers, labels: LabelAccuracy
) -> tuple[TrueRates, TrueRates]:
    """Return sensitivity and specificity against the truth.

    Where errors go together (the model misses what the label misses), both lie below the
    independent value; at the same end of the bounds both are reached.

    Args:
        called_positive: (R,) share called among films labeled positive.
        called_negative: (R,) share called among films labeled negative.
        labeled: (R,) share of films labeled positive.
        labels: of the same films.

    >>> q = np.array([0.1])
    >>> labels = LabelAccuracy.of(q, np.array([0.8]), np.array([0.95]))
    >>> found, spared = true_rates(np.array([0.7]), np.array([0.1]), q, labels)
    >>> [part.round(3).tolist() for part in (found.least, found.independent, found.most)]
    [[0.35], [1.0], [1.0]]
    """
    p1, p0, pi = labels.in_positive, labels.in_negative, labels.prevalence
    apart = p1 - p0
    inside = ~np.isnan(p1)
    pi = np.where(inside, pi, np.nan)
    found = share(called_positive * (1.0 - p0) - called_negative * (1.0 - p1), apart)
    wrong = share(called_negative * p1 - called_positive * p0, apart)
    called = labeled * called_positive + (1.0 - labeled) * called_negative
    with_it = [
        labeled * _overlap(called_positive, p1, most)
        + (1.0 - labeled) * _overlap(called_negative, p0, most)
        for most in (False, True)
    ]
    sensitivity = [share(part, pi) for part in with_it]
    specificity = [1.0 - share(called - part, 1.0 - pi) for part in with_it]
    return (
        TrueRates(*(part.clip(0.0, 1.0) for part in (found, *sensitivity))),
        TrueRates(*(part.clip(0.0, 1.0) for part in (1.0 - wrong, *specificity))),
    )


def _overlap(called: _Numbers, positive: _Numbers, most: bool) -> _Numbers:
    """Return the least or the largest share that can be both called and positive."""
    return np.minimum(called, positive) if most else np.maximum(called + positive - 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class TrueAurocs:
    """AUROC against labels, and against the truth.

    Attributes:
        labeled: (R,) against the labels.
        independent: (R,) against the truth, where scores depend on the truth alone.
        least, most: (R,) sharp bounds, whatever scores and the labels' errors have in common.
    """

    labeled: _Numbers
    independent: _Numbers
    least: _Numbers
    most: _Numbers


def true_aurocs(positives: _Numbers, negatives: _Numbers, labels: LabelAccuracy) -> TrueAurocs:
    """Return the AUROC against the truth, from how many films of each label have each score.

    The AUROC is `(E - p / 2) / (1 - p)`, where E is the mean of the truly positive films' ranks
    among all (as shares, ties in the middle) and p the prevalence. E is a sum over the two labels,
    so its ends are reached where in each the highest or the lowest scored films are the positive
    ones. Where scores depend on the truth alone, `1/2 + (A - 1/2) / (p1 - p0)`, A against labels.

    Args:
        positives: (R, K) films labeled positive with each of K scores, in rising order.
        negatives: (R, K) films labeled negative.
        labels: (R,) of the same films.

    Source: Menon et al. 2015 for the independent case.

    >>> up, down = np.array([[0.0, 2.0, 8.0]]), np.array([[60.0, 25.0, 5.0]])
    >>> labels = LabelAccuracy.of(np.array([0.1]), np.array([0.8]), np.array([0.99]))
    >>> found = true_aurocs(up, down, labels)
    >>> [part.round(3).tolist() for part in (found.labeled, found.least, found.most)]
    [[0.939], [0.808], [0.969]]
    """
    every = positives + negatives
    total = every.sum(axis=1)
    ranks = share(np.cumsum(every, axis=1) - every / 2.0, total[:, None])
    sums, count = (positives * ranks).sum(axis=1), positives.sum(axis=1)
    q = share(count, total)
    labeled = share(share(sums, count) - q / 2.0, 1.0 - q)
    p1, p0, pi = labels.in_positive, labels.in_negative, labels.prevalence
    ends = [
        share(_chosen(positives, ranks, p1, most) + _chosen(negatives, ranks, p0, most), total * pi)
        for most in (False, True)
    ]
    least, most = (share(end - pi / 2.0, 1.0 - pi).clip(0.0, 1.0) for end in ends)
    independent = (0.5 + share(labeled - 0.5, p1 - p0)).clip(0.0, 1.0)
    return TrueAurocs(labeled, independent, least, most)


def _chosen(films: _Numbers, ranks: _Numbers, part: _Numbers, most: bool) -> _Numbers:
    """Return (R,) the sum of ranks of the highest or lowest scored part of the films."""
    wanted = (part * films.sum(axis=1))[:, None]
    before = np.cumsum(films, axis=1) - films
    if most:
        before = films.sum(axis=1)[:, None] - before - films
    return (np.clip(wanted - before, 0.0, films) * ranks).sum(axis=1)
