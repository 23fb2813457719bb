"""Truth from noisy labels: linear programs, planted truth, and intervals that cover it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.stats import norm

from hilum.domain.documents import Interval
from hilum.metrics.label_noise import LabelAccuracy, true_aurocs, true_rates
from hilum.metrics.ranking import auroc
from hilum.metrics.resampling import corrected_ends, interval

Numbers = NDArray[np.float64]


def row(*values: float) -> Numbers:
    return np.array([values], np.float64)


def extremes(
    positives: Numbers, negatives: Numbers, masses: tuple[float, float], gain: Numbers
) -> tuple[float, float]:
    """Least and largest gain of the truly positive films, by linear programming.

    Unknowns: how many films of each label and score are truly positive. Known: how many of each
    label are.
    """
    scores = positives.shape[1]
    kinds = np.kron(np.eye(2), np.ones(scores))
    bounds = [(0.0, most) for most in np.r_[positives[0], negatives[0]]]
    found = [
        linprog(sign * gain, A_eq=kinds, b_eq=np.array(masses), bounds=bounds)
        for sign in (1.0, -1.0)
    ]
    assert all(one.success for one in found)
    return float(found[0].fun), -float(found[1].fun)


films = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=3, max_size=8)


@settings(max_examples=60, deadline=None)
@given(films, st.floats(0.3, 1.0), st.floats(0.75, 1.0))
def test_bounds_are_those_of_linear_programs(
    counts: list[tuple[int, int]], sensitivity: float, specificity: float
) -> None:
    up, down = (np.array([[pair[kind] for pair in counts]], np.float64) for kind in (0, 1))
    total = float(up.sum() + down.sum())
    if not up.sum() or not down.sum() or sensitivity + specificity < 1.2:
        return
    labels = LabelAccuracy.of(row(up.sum() / total)[0], *np.array([[sensitivity], [specificity]]))
    if np.isnan(labels.in_positive[0]):
        return
    masses = (
        float(labels.in_positive[0] * up.sum()),
        float(labels.in_negative[0] * down.sum()),
    )
    truly = sum(masses)
    pi = truly / total
    assert pi == pytest.approx(labels.prevalence[0])

    every = (up + down)[0]
    ranks = (np.cumsum(every) - every / 2.0) / total
    ends = extremes(up, down, masses, np.r_[ranks, ranks])
    found = true_aurocs(up, down, labels)
    wanted = [(end / truly - pi / 2.0) / (1.0 - pi) for end in ends]
    assert (found.least[0], found.most[0]) == pytest.approx(wanted, abs=1e-9)
    assert wanted[0] - 1e-9 <= found.independent.clip(*wanted)[0] <= wanted[1] + 1e-9

    called = np.arange(up.shape[1]) >= 1
    ends = extremes(up, down, masses, np.r_[called, called].astype(np.float64))
    rates = [np.array([kind[0, called].sum() / kind.sum()]) for kind in (up, down)]
    sensitivities, specificities = true_rates(rates[0], rates[1], row(up.sum() / total)[0], labels)
    all_called = every[called].sum()
    assert sensitivities.least[0] == pytest.approx(ends[0] / truly, abs=1e-9)
    assert sensitivities.most[0] == pytest.approx(ends[1] / truly, abs=1e-9)
    wrong = [(all_called - end) / (total - truly) for end in ends]
    assert specificities.least[0] == pytest.approx(1.0 - wrong[0], abs=1e-9)
    assert specificities.most[0] == pytest.approx(1.0 - wrong[1], abs=1e-9)


def test_perfect_labels_change_nothing() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 12, 200)
    truth = rng.random(200) < 0.3
    up, down = (
        np.bincount(scores[kind], minlength=12)[None].astype(float) for kind in (truth, ~truth)
    )
    labels = LabelAccuracy.of(row(truth.mean())[0], row(1.0)[0], row(1.0)[0])
    found = true_aurocs(up, down, labels)
    area = auroc(truth, scores.astype(float))
    for value in (found.labeled, found.independent, found.least, found.most):
        assert value[0] == pytest.approx(area)


def test_labels_without_information_give_no_number() -> None:
    for labeled, sensitivity, specificity in ((0.1, 0.4, 0.6), (0.02, 0.5, 0.97)):
        labels = LabelAccuracy.of(row(labeled)[0], row(sensitivity)[0], row(specificity)[0])
        assert np.isnan(labels.in_positive).all()
    assert labels.prevalence[0] == 0.0  # fewer labeled positive than are by mistake


def test_rogan_and_gladens_formula() -> None:
    labels = LabelAccuracy.of(row(0.2)[0], row(0.9)[0], row(0.95)[0])
    assert labels.prevalence[0] == pytest.approx(0.15 / 0.85)


class Study:
    """Patients with a truth, noisy labels, a score, and a label study of its own."""

    prevalence, sensitivity, specificity, apart, threshold = 0.15, 0.6, 0.95, 1.4, 0.975
    films, positives, negatives = 1500, 200, 800

    def __init__(self, rng: np.random.Generator, together: float = 0.0) -> None:
        n = self.films
        truth = rng.random(n) < self.prevalence
        # what label and model see alike: films that both find easy
        alike = rng.normal(size=n)
        score = self.apart * truth + np.sqrt(1 - together**2) * rng.normal(size=n)
        self.score = np.round((score + together * alike) * 20) / 20
        own = norm.cdf(alike if together else rng.normal(size=n))
        self.labeled = np.where(truth, own > 1 - self.sensitivity, own > self.specificity)
        self.study = (
            rng.binomial(self.positives, self.sensitivity) / self.positives,
            rng.binomial(self.negatives, self.specificity) / self.negatives,
        )
        self.truth = truth

    def numbers(self, rng: np.random.Generator, resamples: int) -> dict[str, Numbers]:
        drawn = [
            np.r_[value, rng.beta(value * n + 0.5, (1 - value) * n + 0.5, resamples)]
            for value, n in zip(self.study, (self.positives, self.negatives), strict=True)
        ]
        n = self.films
        weights = np.vstack([np.ones(n), rng.multinomial(n, np.ones(n) / n, resamples)])
        scores, place = np.unique(self.score, return_inverse=True)
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(scores)))
        kinds = [weights * self.labeled, weights * ~self.labeled]
        up, down = (np.add.reduceat(kind[:, order], starts, axis=1) for kind in kinds)
        q = up.sum(axis=1) / n
        labels = LabelAccuracy.of(q, *drawn)
        called = self.score >= self.threshold + 0.025 - 1e-9
        shares = [(kind @ called) / kind.sum(axis=1) for kind in kinds]
        areas = true_aurocs(up, down, labels)
        found, spared = true_rates(shares[0], shares[1], q, labels)
        return {
            "prevalence": labels.prevalence,
            "auroc": areas.independent,
            "sensitivity": found.independent,
            "specificity": spared.independent,
            "auroc least": areas.least,
            "auroc most": areas.most,
            "sensitivity least": found.least,
            "sensitivity most": found.most,
        }

    def interval(self, values: Numbers) -> Interval:
        """As `hilum.evaluation.label_noise` makes it."""
        cases = min(self.labeled.sum(), self.positives)
        ends = corrected_ends(float(values[0]), values[1:], cases)
        return interval(float(values[0]), values[1:], "", ends=ends)

    @property
    def truths(self) -> dict[str, float]:
        """True values, where calls are `score >= 1` on a grid of twentieths: above 0.975."""
        return {
            "prevalence": self.prevalence,
            "auroc": float(norm.cdf(self.apart / np.sqrt(2.0))),
            "sensitivity": float(norm.sf(self.threshold - self.apart)),
            "specificity": float(norm.cdf(self.threshold)),
        }


def covered(studies: int, resamples: int, together: float = 0.0) -> dict[str, float]:
    """Share of studies whose interval holds the truth; and whose bounds do."""
    rng = np.random.default_rng(5)
    hits: dict[str, int] = {}
    for _ in range(studies):
        study = Study(rng, together)
        numbers = study.numbers(rng, resamples)
        for name, truth in study.truths.items():
            found = study.interval(numbers[name])
            ends = (found.low, found.high)
            inside = None not in ends and ends[0] <= truth <= ends[1]  # type: ignore[operator]
            hits[name] = hits.get(name, 0) + inside
            if f"{name} least" in numbers:
                low = np.percentile(numbers[f"{name} least"][1:], 2.5)
                high = np.percentile(numbers[f"{name} most"][1:], 97.5)
                key = f"{name} bounds"
                hits[key] = hits.get(key, 0) + int(low <= truth <= high)
    return {name: count / studies for name, count in hits.items()}


def test_the_truth_is_inside_in_most_of_forty_studies() -> None:
    assert min(covered(40, 200).values()) >= 0.85  # 94 % less three Monte-Carlo errors: 0.83


def test_errors_that_go_together_break_the_independent_value_and_not_the_bounds() -> None:
    found = covered(25, 150, together=0.8)
    assert found["auroc"] < 0.5  # the test can fail: independence is wrong here
    assert found["auroc bounds"] == found["sensitivity bounds"] == 1.0


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_truth_is_inside_in_94_of_100_studies() -> None:
    found = covered(1000, 1000)
    assert min(found.values()) >= 0.94, found
