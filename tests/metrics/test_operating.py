"""Thresholds: the best cut by brute force, the rule at ties, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from hilum.domain.findings import LabelSet
from hilum.domain.scores import Probabilities, Target
from hilum.metrics.operating import choose, choose_all


def value_at(y: NDArray[np.bool_], called: NDArray[np.bool_], target: Target) -> float:
    if target is Target.F1:
        return float(f1_score(y, called, zero_division=0.0))
    return float(called[y].mean() - called[~y].mean())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from(list(Target)))
def test_no_threshold_does_better_and_the_value_reproduces(
    seed: int, n: int, target: Target
) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.random(n) < 0.4, rng.random(n).round(1)
    y[0], y[1] = True, False
    point = choose("Mass", y, p, target)
    assert point.threshold is not None
    assert point.achieved == pytest.approx(value_at(y, p >= point.threshold, target), abs=1e-12)
    best = max(value_at(y, p >= t, target) for t in np.append(np.unique(p), 1.1))
    assert point.achieved == pytest.approx(best, abs=1e-12)


def test_of_equal_cuts_the_highest_is_taken() -> None:
    y = np.array([True, False, True, False])
    point = choose("Mass", y, np.array([0.9, 0.7, 0.5, 0.3]), Target.YOUDEN)
    assert point.threshold == pytest.approx(0.8)


def test_rounding_the_scores_keeps_films_on_their_side() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.random(500) < 0.2, rng.random(500)
    point = choose("Mass", y, p, Target.F1)
    assert point.threshold is not None
    assert ((p.round(6) >= point.threshold) == (p >= point.threshold)).all()


def test_a_constant_score_is_its_own_threshold() -> None:
    point = choose("Mass", np.array([True, False]), np.array([0.3, 0.3]), Target.F1)
    assert point.threshold == 0.3


@pytest.mark.parametrize(
    ("y", "reason"),
    [([], "no film is positive"), ([0, 0], "no film is positive"), ([1, 1], "no film is negative")],
)
def test_one_class_has_no_threshold(y: list[int], reason: str) -> None:
    point = choose("Mass", np.array(y, bool), np.full(len(y), 0.5), Target.F1)
    assert (point.threshold, point.achieved, point.reason) == (None, None, reason)


def test_only_known_labels_count() -> None:
    labels = LabelSet("two", ("Mass", "Hernia"))
    p = Probabilities(np.array([[0.9, 0.1], [0.2, 0.1], [0.95, 0.2], [0.96, 0.3]]), labels)
    states = np.array([[1, 0], [0, -2], [-1, -1], [-2, 0]], np.int8)
    mass, hernia = choose_all(p, states, Target.YOUDEN)
    assert (mass.finding, mass.n, mass.positives, mass.achieved) == ("Mass", 2, 1, 1.0)
    assert (hernia.n, hernia.positives, hernia.threshold) == (2, 0, None)
