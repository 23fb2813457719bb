"""Claimed numbers computed again: on the films, on patient resamples, and for a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.auditing.claims import Claim
from hilum.domain.documents import Interval
from hilum.domain.documents.audit import ClaimMetric
from hilum.metrics.binned import Binned
from hilum.metrics.ranking import Ranking
from hilum.metrics.reliability import (
    BINS,
    Binning,
    bins_of,
    squared_errors,
)
from hilum.metrics.resampling import interval, mean_present, patient_resamples, share
from hilum.predictions.read import LabeledScores

__all__ = ["HALVINGS", "ClaimData", "band_under_calibration", "constant_value", "measure"]

HALVINGS = 20
"""Times that patients are halved to see what prevalence one half gives the other."""

_DRAWS = 200
_BINNINGS = {ClaimMetric.ECE: Binning.EQUAL_WIDTH, ClaimMetric.ECE_EQUAL_MASS: Binning.EQUAL_MASS}


@dataclass(frozen=True, eq=False)
class ClaimData:
    """Films that a claim is about, by finding, and how they are combined.

    Attributes:
        patients: (N,) patient of each evaluated film.
        parts: finding to its labeled films, of the findings that count.
        pooled: whether entries are pooled (micro) instead of averaged over findings.
    """

    patients: NDArray[np.str_]
    parts: Mapping[str, LabeledScores]
    pooled: bool

    @cached_property
    def groups(self) -> tuple[_Group, ...]:
        """Groups of entries with a value each, to be averaged: each finding, or all at once."""
        parts = list(self.parts.values())
        if self.pooled:
            parts = [
                LabeledScores(
                    np.concatenate([part.films for part in parts]),
                    np.concatenate([part.positives for part in parts]),
                    np.concatenate([part.scores for part in parts]),
                )
            ]
        return tuple(_Group(part) for part in parts)

    def rescored(self, scores: Mapping[str, NDArray[np.float64]]) -> ClaimData:
        """Return the same films with other scores."""
        parts = {name: replace(part, scores=scores[name]) for name, part in self.parts.items()}
        return ClaimData(self.patients, parts, self.pooled)

    def values(self, claim: Claim, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return (R,) the claim's number on each resample; NaN where it does not exist."""
        return mean_present(np.stack([group.values(claim, weights) for group in self.groups]))


@dataclass(frozen=True, eq=False)
class _Group:
    entries: LabeledScores

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking.of(self.entries.positives, self.entries.scores, self.entries.films)

    @cached_property
    def _binned(self) -> Binned:
        return Binned.of(self.entries.positives, self.entries.scores, self.entries.films)

    def values(self, claim: Claim, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return (R,) the claim's number for these entries alone."""
        if claim.metric is ClaimMetric.AUROC:
            return self._ranking.counts(weights).auroc()
        if claim.metric is ClaimMetric.AVERAGE_PRECISION:
            return self._ranking.counts(weights).average_precision()
        if claim.metric is ClaimMetric.SENSITIVITY and claim.at is not None:
            return self._ranking.counts(weights).sensitivity_at(claim.at)
        if claim.metric is ClaimMetric.ECE_EQUAL_MASS:
            return self._binned.errors(weights)[0]
        if claim.metric is ClaimMetric.ECE:
            return self._binned.errors(weights)[1]
        return self._of_decisions(claim, weights)

    def _of_decisions(self, claim: Claim, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return (R,) Brier score, accuracy or F1."""
        positives, scores = self.entries.positives, self.entries.scores
        if claim.metric is ClaimMetric.BRIER:
            errors, count = self._sums(weights, [squared_errors(positives, scores), 1.0])
            return share(errors, count)
        called = scores >= (0.5 if claim.at is None else claim.at)
        if claim.metric is ClaimMetric.ACCURACY:
            right, count = self._sums(weights, [called == positives, 1.0])
            return share(right, count)
        hits, flagged, there = self._sums(weights, [called & positives, called, positives])
        return share(2.0 * hits, flagged + there)

    def _sums(
        self, weights: NDArray[np.integer], rows: Sequence[ArrayLike]
    ) -> list[NDArray[np.float64]]:
        """Return (R,) weighted sums of rows of (n,) values; the same to the bit on any machine."""
        from scipy.sparse import csr_array

        films = self.entries.films
        table = np.stack(
            [np.broadcast_to(np.asarray(row, np.float64), films.shape) for row in rows]
        )
        row, entry = np.nonzero(table)
        shape = (len(rows), weights.shape[1])
        adding = csr_array((table[row, entry], (row, films[entry])), shape)
        return list(np.asarray(adding @ weights.T))


def measure(claim: Claim, of: ClaimData, resamples: int, rng: np.random.Generator) -> Interval:
    """Compute a claim's number with its 95 % interval over patient resamples.

    Patients are drawn and bring all their films. A mean over findings counts those that have a
    value in the resample.

    Args:
        claim: which number.
        of: the films and scores; every score is what the metric needs.
        resamples: patient resamples.
        rng: source of randomness.
    """
    once = np.ones((1, len(of.patients)), np.int32)
    value = float(of.values(claim, once)[0])
    drawn = [
        of.values(claim, weights) for weights in patient_resamples(of.patients, resamples, rng)
    ]
    return interval(value, np.concatenate(drawn), "no value on these films")


def constant_value(claim: Claim, of: ClaimData, rng: np.random.Generator) -> float:
    """Compute the claim's number for a predictor that gives every film the same score.

    The score is each finding's prevalence for Brier, AUROC and AP, the commoner class for accuracy,
    and positive for F1. A sensitivity is what a coin gives: 1 - specificity. For ECE the
    prevalence of one half of the patients is the score of the other half, mean over 20 halvings:
    on the films that it comes from, its error is 0 by construction.
    """
    if claim.metric is ClaimMetric.SENSITIVITY and claim.at is not None:
        return 1.0 - claim.at
    if claim.metric in _BINNINGS:
        return _constant_ece(of, rng)
    shares = {name: float(part.positives.mean()) for name, part in of.parts.items()}
    score = {
        ClaimMetric.F1: dict.fromkeys(shares, 1.0),
        ClaimMetric.ACCURACY: {name: float(share > 0.5) for name, share in shares.items()},
    }.get(claim.metric, shares)
    constant = of.rescored({n: np.full(len(p.positives), score[n]) for n, p in of.parts.items()})
    # these scores are decisions, 0 or 1, so one threshold serves for any point
    decided = replace(claim, at=0.5) if claim.at is not None else claim
    return float(constant.values(decided, np.ones((1, len(of.patients)), np.int32))[0])


def _constant_ece(of: ClaimData, rng: np.random.Generator) -> float:
    _, patient = np.unique(of.patients, return_inverse=True)
    errors: list[float] = []
    for _ in range(HALVINGS):
        half = rng.permutation(patient.max(initial=-1) + 1) % 2 == 0
        gaps: list[float] = []
        for part in of.parts.values():
            first = half[patient[part.films]]
            if first.any() and not first.all():
                # an ECE of one value is its distance from the prevalence, whatever the bins
                gap = part.positives[first].mean() - part.positives[~first].mean()
                gaps.append(abs(float(gap)))
        errors.append(float(np.mean(gaps)) if gaps else float("nan"))
    return float(np.mean(errors))


def band_under_calibration(
    claim: Claim, of: ClaimData, rng: np.random.Generator
) -> tuple[float, float]:
    """Compute the 95 % range of the ECE of a perfectly calibrated model with these scores.

    Outcomes are drawn as `y ~ Bernoulli(p)`, 200 times. A smaller error than the lower end cannot
    come from films that the calibration had not seen.
    """
    binning = _BINNINGS[claim.metric]
    drawn = [_drawn_ece(group.entries.scores, binning, rng) for group in of.groups]
    low, high = np.percentile(np.mean(drawn, axis=0), [2.5, 97.5])
    return float(low), float(high)


def _drawn_ece(
    scores: NDArray[np.float64], binning: Binning, rng: np.random.Generator
) -> NDArray[np.float64]:
    p = np.sort(scores)
    first = np.flatnonzero(np.diff(bins_of(p, BINS, binning), prepend=-1))
    errors = [
        np.abs(np.add.reduceat(p - (rng.random(len(p)) < p), first)).sum() for _ in range(_DRAWS)
    ]
    return np.array(errors) / len(p)
