"""Ranking metrics: AUROC, average precision, sensitivity at a specificity and the reverse.

All of them read the same counts: how many positive and negative films stand above each threshold.
Films are sorted once; a bootstrap then only adds up the weights that lie between two thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.resampling import Segments, share

__all__ = [
    "Counts",
    "Ranking",
    "auroc",
    "average_precision",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
]


@dataclass(frozen=True, eq=False)
class Counts:
    """Films at or above each threshold, for each of R resamples.

    The K thresholds are the distinct scores of positive films, from high to low, and a film counts
    as flagged when its score is >= the threshold. Other thresholds change no sensitivity, so they
    add nothing to any number here.

    Attributes:
        flagged_positives: (R, K) positive films with score >= threshold.
        flagged_negatives: (R, K) negative films with score >= threshold.
        higher_negatives: (R, K) negative films with score > threshold; the rest are tied with it.
        positives, negatives: (R,) all films of each kind.
    """

    flagged_positives: NDArray[np.float64]
    flagged_negatives: NDArray[np.float64]
    higher_negatives: NDArray[np.float64]
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]

    def _at_threshold(self) -> NDArray[np.float64]:
        """Return (R, K) positive films whose score is the threshold."""
        return np.diff(self.flagged_positives, axis=1, prepend=0.0)

    def auroc(self) -> NDArray[np.float64]:
        """Return (R,) areas under the ROC curve; NaN where a resample lacks a class.

        The chance that a positive film scores higher than a negative one, a tie counting one half:
        `sum over positives of (negatives below + tied / 2) / (n+ n-)`.
        """
        below = self.negatives[:, None] - (self.flagged_negatives + self.higher_negatives) / 2
        won = (self._at_threshold() * below).sum(axis=1)
        return share(won, self.positives * self.negatives)

    def average_precision(self) -> NDArray[np.float64]:
        """Return (R,) areas under the step-wise precision-recall curve; NaN without a class.

        `sum over thresholds of (recall gained) * precision`, without interpolation, which would
        flatter. The value of a constant score is the prevalence.
        """
        flagged = self.flagged_positives + self.flagged_negatives
        precision = self.flagged_positives / np.maximum(flagged, 1.0)
        gained = (self._at_threshold() * precision).sum(axis=1)
        return np.where(self.negatives > 0, share(gained, self.positives), np.nan)

    def sensitivity_at(self, specificity: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (R,) largest sensitivity among thresholds with at least that specificity.

        The specificity is one number, or (R, 1), one for each resample.

        Tied films are flagged together or not at all, so the specificity reached may be higher
        than requested. 0 where only flagging nothing is specific enough; NaN without a class.
        """
        spared = share(self.negatives[:, None] - self.flagged_negatives, self.negatives[:, None])
        allowed = np.where(spared >= specificity, self.flagged_positives, 0.0)
        most = allowed.max(axis=1, initial=0.0)
        return np.where(self.negatives > 0, share(most, self.positives), np.nan)

    def specificity_at(self, sensitivity: float) -> NDArray[np.float64]:
        """Return (R,) largest specificity among thresholds with at least that sensitivity.

        The highest threshold that is sensitive enough spares the most negative films. 1 where
        flagging nothing is sensitive enough; NaN without a class.
        """
        reached = share(self.flagged_positives, self.positives[:, None])
        allowed = np.where(reached >= sensitivity, self.flagged_negatives, self.negatives[:, None])
        fewest = 0.0 if sensitivity <= 0.0 else np.inf
        flagged = allowed.min(axis=1, initial=fewest)
        return np.where(self.positives > 0, share(self.negatives - flagged, self.negatives), np.nan)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scored films of one finding, sorted once, from high to low.

    Attributes:
        thresholds: (K,) distinct scores of positive films.
        positive_films: (n+,) rows of the positive films.
        negative_films: (n-,) rows of the negative films.
        positives_to: (K,) positive films with score >= each threshold.
        negatives_to: (K,) negative films with score >= each threshold.
        negatives_above: (K,) negative films with score > each threshold.

    Example:
        >>> ranking = Ranking.of(np.array([False, True, True]), np.array([0.2, 0.1, 0.9]))
        >>> ranking.counts(np.array([[1, 1, 1], [2, 1, 0]])).auroc()
        array([0.5, 0. ])
    """

    thresholds: NDArray[np.float64]
    positive_films: NDArray[np.intp]
    negative_films: NDArray[np.intp]
    positives_to: NDArray[np.intp]
    negatives_to: NDArray[np.intp]
    negatives_above: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        positives: NDArray[np.bool_],
        scores: NDArray[np.floating],
        films: NDArray[np.intp] | None = None,
    ) -> Ranking:
        """Sort films by score.

        Args:
            positives: (n,) whether the film has the finding.
            scores: (n,) finite, higher is more suspicious; any scale.
            films: (n,) the column of a resample's weights that each entry belongs to; the entries
                themselves by default. Pooled findings name each film once a finding.

        Raises:
            ValueError: for other shapes or scores that are not finite.
        """
        positives, scores = np.asarray(positives, bool), np.asarray(scores, np.float64)
        if positives.ndim != 1 or positives.shape != scores.shape:
            raise ValueError(
                f"labels and scores must both be (n,); got {positives.shape} and {scores.shape}"
            )
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite; got NaN or infinity")
        order = np.argsort(-scores, kind="stable")
        films = order if films is None else np.asarray(films, np.intp)[order]
        kind, falling = positives[order], -scores[order]
        thresholds = np.unique(falling[kind])
        return cls(
            thresholds=-thresholds,
            positive_films=films[kind],
            negative_films=films[~kind],
            positives_to=np.searchsorted(falling[kind], thresholds, side="right"),
            negatives_to=np.searchsorted(falling[~kind], thresholds, side="right"),
            negatives_above=np.searchsorted(falling[~kind], thresholds, side="left"),
        )

    def counts(self, weights: NDArray[np.integer] | None = None) -> Counts:
        """Return the counts at every threshold.

        Args:
            weights: (R, N) how often each film stands in each resample; None for once (R = 1).
        """
        positives, negatives = self._segments
        films = 1 + max(part.films.max(initial=-1) for part in self._segments)
        given = np.ones((1, films), np.int32) if weights is None else weights
        positive, negative = positives.running(given), negatives.running(given)
        return Counts(
            flagged_positives=positive[:, 1:],
            flagged_negatives=negative[:, 2::2],
            higher_negatives=negative[:, 1:-1:2],
            positives=positive[:, -1],
            negatives=negative[:, -1],
        )

    @cached_property
    def _segments(self) -> tuple[Segments, Segments]:
        """Positive films by threshold; negative ones by threshold and between thresholds.

        The negative ones stand above the first threshold, tied with it, between it and the next,
        and so on, at last below all.
        """
        between = np.column_stack([self.negatives_above, self.negatives_to]).ravel()
        return (
            Segments(self.positive_films, self.positives_to),
            Segments(self.negative_films, np.append(between, len(self.negative_films))),
        )


def _counts(
    positives: NDArray[np.bool_],
    scores: NDArray[np.floating],
    weights: NDArray[np.integer] | None,
) -> Counts:
    return Ranking.of(positives, scores).counts(None if weights is None else weights[None, :])


def _number(values: NDArray[np.float64]) -> float | None:
    value = float(values[0])
    return None if np.isnan(value) else value


def auroc(
    positives: NDArray[np.bool_],
    scores: NDArray[np.floating],
    weights: NDArray[np.integer] | None = None,
) -> float | None:
    """Return the chance that a positive film scores higher than a negative; a tie counts 1/2.

    It says nothing of calibration, nor of how many flagged films are truly positive.

    Args:
        positives: (n,) whether the film has the finding.
        scores: (n,) finite, any scale: logits and probabilities give the same value.
        weights: (n,) how often each film counts; once by default.

    Returns:
        In [0, 1]; None where a class is absent (never 0.5).

    Source: Hanley & McNeil 1982; equal to scikit-learn's `roc_auc_score`.

    >>> auroc(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    >>> auroc(np.array([True, True]), np.array([0.1, 0.4])) is None
    True
    """
    return _number(_counts(positives, scores, weights).auroc())


def average_precision(
    positives: NDArray[np.bool_],
    scores: NDArray[np.floating],
    weights: NDArray[np.integer] | None = None,
) -> float | None:
    """Return the mean precision over the positive films, as one walks down the ranking.

    Depends on the prevalence: a constant score gets just that, so compare only on one split.

    Args:
        positives: (n,) whether the film has the finding.
        scores: (n,) finite, any scale.
        weights: (n,) how often each film counts; once by default.

    Returns:
        In (0, 1]; None where a class is absent.

    Source: the step-wise sum of scikit-learn's `average_precision_score`, not interpolated.

    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]))
    0.8333333333333333
    """
    return _number(_counts(positives, scores, weights).average_precision())


def sensitivity_at_specificity(
    positives: NDArray[np.bool_],
    scores: NDArray[np.floating],
    specificity: float,
    weights: NDArray[np.integer] | None = None,
) -> float | None:
    """Return the largest sensitivity among thresholds whose specificity is at least the one given.

    Thresholds are the scores seen, with the rule `score >= threshold`; films with tied scores are
    flagged together. The threshold is chosen on these very films, so this describes the ROC curve
    and not an operating point.

    Args:
        positives: (n,) whether the film has the finding.
        scores: (n,) finite, any scale.
        specificity: in [0, 1].
        weights: (n,) how often each film counts; once by default.

    Returns:
        In [0, 1]; 0.0 where only flagging nothing is specific enough; None where a class is absent.

    >>> scores = np.array([0.9, 0.8, 0.7, 0.6])
    >>> sensitivity_at_specificity(np.array([True, False, True, False]), scores, 0.8)
    0.5
    """
    if not 0.0 <= specificity <= 1.0:
        raise ValueError(f"specificity must lie in [0, 1]; got {specificity:g}")
    return _number(_counts(positives, scores, weights).sensitivity_at(specificity))


def specificity_at_sensitivity(
    positives: NDArray[np.bool_],
    scores: NDArray[np.floating],
    sensitivity: float,
    weights: NDArray[np.integer] | None = None,
) -> float | None:
    """Return the largest specificity among thresholds whose sensitivity is at least the one given.

    What `sensitivity_at_specificity` is along the other axis: the share of films without the
    finding that could be spared, if so many films with it must be found.

    Args:
        positives: (n,) whether the film has the finding.
        scores: (n,) finite, any scale.
        sensitivity: in [0, 1].
        weights: (n,) how often each film counts; once by default.

    Returns:
        In [0, 1]; 1.0 where a sensitivity of 0 is enough; None where a class is absent.

    >>> scores = np.array([0.9, 0.8, 0.7, 0.6])
    >>> specificity_at_sensitivity(np.array([True, False, True, False]), scores, 0.8)
    0.5
    """
    if not 0.0 <= sensitivity <= 1.0:
        raise ValueError(f"sensitivity must lie in [0, 1]; got {sensitivity:g}")
    return _number(_counts(positives, scores, weights).specificity_at(sensitivity))
