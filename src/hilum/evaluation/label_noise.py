"""An evaluation's numbers against the truth, where a study says how often its labels are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.label_noise import NoisyFinding, NoisyNumber, NoisyPoint, SharpBounds
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort
from hilum.domain.scores import OperatingPoint, Probabilities
from hilum.evaluation.numbers import ScoredSplit
from hilum.metrics.label_noise import (
    LabelAccuracy,
    TrueAurocs,
    TrueRates,
    true_aurocs,
    true_rates,
)
from hilum.metrics.resampling import VALID_SHARE, corrected_ends, interval, patient_resamples, share
from hilum.predictions.label_errors import LabelErrors

__all__ = ["label_noise"]

_CELLS = 2_000_000
"""Scores times resamples worked on at once: arrays of 16 MB, and ten such."""
_UNEXPLAINED = (
    "the labels' errors alone explain the share labeled positive: prevalence 0 or 1 is possible"
)
_ABSENT = "no film of one of the two labels"
_Numbers = NDArray[np.float64]


def label_noise(
    probabilities: Probabilities,
    cohort: Cohort,
    split: ScoredSplit,
    errors: Sequence[LabelErrors],
    draws: tuple[int, int],
) -> dict[str, NoisyFinding]:
    """Return what each finding's numbers can be against the truth.

    Every interval resamples patients of these films together with the label study: its sensitivity
    and specificity are drawn from Beta distributions of its counts (Jeffreys). It holds where the
    labels err here as they did in the study, and for the study's kind of films.

    Args:
        probabilities: (N, L).
        cohort: the N films with their labels.
        split: the same, with operating points.
        errors: of the labels; findings that are not evaluated are passed over.
        draws: resamples and seed.

    Raises:
        UsageError: when no finding of the table is evaluated.
    """
    own = [one for one in errors if set(one.findings) <= set(probabilities.labels)]
    if errors and not own:
        raise UsageError(
            "a table of label errors must have a finding that is evaluated; it has "
            f"{', '.join(one.name for one in errors)}, and {', '.join(probabilities.labels)} are"
        )
    found: dict[str, NoisyFinding] = {}
    for one in own:
        films = _Films.of(one, probabilities, cohort, split)
        found[one.name] = _measured(one, films, draws)
    return found


@dataclass(frozen=True, eq=False)
class _Films:
    """Labeled films of a finding, or of several of which any counts.

    Attributes:
        positive: (n,) whether labeled positive.
        scores: (n,) of the model.
        patients: (n,).
        calls: operating point to (n,) calls.
    """

    positive: NDArray[np.bool_]
    scores: _Numbers
    patients: NDArray[np.str_]
    calls: dict[str, NDArray[np.bool_]]

    @classmethod
    def of(
        cls, errors: LabelErrors, probabilities: Probabilities, cohort: Cohort, split: ScoredSplit
    ) -> _Films:
        """Match a row of the table with the films: positive where any is, negative where none is.

        A finding alone keeps its probability to the bit; of several, errors add up in logarithms.
        """
        states = cohort.states()[:, cohort.labels.columns(errors.findings)]
        positive = (states == LabelState.POSITIVE).any(axis=1)
        known = positive | (states == LabelState.NEGATIVE).all(axis=1)
        p = np.column_stack([probabilities.of(name) for name in errors.findings])
        with np.errstate(divide="ignore"):
            scores = p[:, 0] if p.shape[1] == 1 else -np.expm1(np.log1p(-p).sum(axis=1))
        calls = {
            name: np.asarray((p >= np.column_stack(cuts)).any(axis=1), np.bool_)[known]
            for name, cuts in _cuts(errors, split, len(cohort))
        }
        return cls(positive[known], scores[known], split.patients[known], calls)


def _cuts(
    errors: LabelErrors, split: ScoredSplit, films: int
) -> Iterator[tuple[str, list[_Numbers]]]:
    """Give each operating point that all findings have, with (N,) thresholds of each finding."""
    points: dict[str, dict[str, OperatingPoint]] = {}
    for point in split.points:
        if point.threshold is not None and point.finding in errors.findings:
            points.setdefault(point.name, {})[point.finding] = point
    for name, of in points.items():
        if len(of) == len(errors.findings):
            yield (
                name,
                [
                    split.film_thresholds.get(
                        (finding, name), np.full(films, of[finding].threshold)
                    )
                    for finding in errors.findings
                ],
            )


def _measured(errors: LabelErrors, films: _Films, draws: tuple[int, int]) -> NoisyFinding:
    resamples, seed = draws
    rng = np.random.default_rng([seed, *errors.name.encode()])
    study = _study(errors, resamples, rng)
    parts = list(_resampled(films, study, resamples, rng))
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    cases = _fewest(errors, films)

    def number(key: str) -> NoisyNumber:
        return _number([joined[f"{key} {kind}"] for kind in _KINDS], cases)

    return NoisyFinding(
        findings=errors.findings,
        label_sensitivity=errors.sensitivity,
        label_specificity=errors.specificity,
        positives=errors.positives,
        negatives=errors.negatives,
        source=errors.source,
        n=len(films.positive),
        labeled_positive=_interval(joined["labeled"], _ABSENT, cases),
        prevalence=_interval(joined["prevalence"], _ABSENT, cases),
        label_ppv=_interval(joined["label ppv"], _UNEXPLAINED, cases),
        auroc=number("auroc"),
        operating_points={
            name: NoisyPoint(
                sensitivity=number(f"{name} sensitivity"),
                specificity=number(f"{name} specificity"),
            )
            for name in films.calls
        },
    )


_KINDS = ("labels", "independent", "least", "most")


def _study(
    errors: LabelErrors, resamples: int, rng: np.random.Generator
) -> tuple[_Numbers, _Numbers]:
    """Return (1 + R,) sensitivities and specificities of the labels: as counted, then drawn."""
    drawn = [
        np.r_[value, rng.beta(value * n + 0.5, (1.0 - value) * n + 0.5, resamples)]
        for value, n in (
            (errors.sensitivity, errors.positives),
            (errors.specificity, errors.negatives),
        )
    ]
    return drawn[0], drawn[1]


def _resampled(
    films: _Films, study: tuple[_Numbers, _Numbers], resamples: int, rng: np.random.Generator
) -> Iterator[dict[str, _Numbers]]:
    """Give all numbers on the films themselves, then on the next resamples of their patients."""
    scores, place = np.unique(films.scores, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(scores)))
    sensitivity, specificity = study
    once = np.ones((1, len(place)), np.int32)
    done = 0
    for weights in (once, *patient_resamples(films.patients, resamples, rng, _CELLS)):
        part = slice(done, done + len(weights))
        done += len(weights)
        positive = weights * films.positive
        by_score = [
            np.add.reduceat(kind[:, order], starts, axis=1).astype(np.float64)
            for kind in (positive, weights - positive)
        ]
        of_label = [kind.sum(axis=1) for kind in by_score]
        labeled = share(of_label[0], of_label[0] + of_label[1])
        labels = LabelAccuracy.of(labeled, sensitivity[part], specificity[part])
        found = {
            "labeled": labeled,
            "prevalence": labels.prevalence,
            "label ppv": labels.in_positive,
            **_four("auroc", true_aurocs(by_score[0], by_score[1], labels)),
        }
        for name, calls in films.calls.items():
            called = [
                share(kind @ calls.astype(np.float64), whole)
                for kind, whole in zip((positive, weights - positive), of_label, strict=True)
            ]
            rates = true_rates(called[0], called[1], labeled, labels)
            found |= _rates(f"{name} sensitivity", called[0], rates[0])
            found |= _rates(f"{name} specificity", 1.0 - called[1], rates[1])
        yield found


def _four(name: str, found: TrueAurocs) -> dict[str, _Numbers]:
    return _rates(name, found.labeled, found)


def _rates(name: str, labeled: _Numbers, found: TrueRates | TrueAurocs) -> dict[str, _Numbers]:
    values = (labeled, found.independent, found.least, found.most)
    return {f"{name} {kind}": value for kind, value in zip(_KINDS, values, strict=True)}


def _fewest(errors: LabelErrors, films: _Films) -> float:
    """Return the cases of the smallest group: patients of each label here, cases of the study."""
    own = [len(np.unique(films.patients[films.positive == kind])) for kind in (True, False)]
    return min(*own, errors.positives, errors.negatives)


def _interval(values: _Numbers, absent: str, cases: float) -> Interval:
    value = float(values[0])
    ends = corrected_ends(value, values[1:], cases)
    return interval(value, values[1:], absent, ends=ends)


def _number(four: Sequence[_Numbers], cases: float) -> NoisyNumber:
    labels, independent, least, most = four
    return NoisyNumber(
        against_labels=_interval(labels, _ABSENT, cases),
        if_independent=_interval(independent, _UNEXPLAINED, cases),
        bounds=_bounds(least, most, cases),
    )


def _bounds(least: _Numbers, most: _Numbers, cases: float) -> SharpBounds:
    if np.isnan(least[0]) or np.isnan(most[0]):
        return SharpBounds(least=None, most=None, reason=_UNEXPLAINED)
    low, high = (end[1:][~np.isnan(end[1:])] for end in (least, most))
    if len(low) < VALID_SHARE * (len(least) - 1):
        reason = f"no interval: only {len(low)} of {len(least) - 1} resamples have a value"
        return SharpBounds(least=float(least[0]), most=float(most[0]), reason=reason)
    return SharpBounds(
        least=float(least[0]),
        most=float(most[0]),
        low=float(np.percentile(low, corrected_ends(float(least[0]), low, cases)[0])),
        high=float(np.percentile(high, corrected_ends(float(most[0]), high, cases)[1])),
    )
