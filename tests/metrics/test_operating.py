"""Thresholds: the best cut by brute force, what conformal quantiles promise, refusals, grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
)

from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.scores import Probabilities, Target
from hilum.metrics.operating import best_on_grid, choose, choose_all, choose_shared, grid

MAXIMISED = [Target.F1, Target.YOUDEN, Target.BALANCED_ACCURACY]


def value_at(y: NDArray[np.bool_], called: NDArray[np.bool_], target: Target) -> float:
    """The target's value by scikit-learn."""
    measures = {
        Target.F1: lambda: f1_score(y, called, zero_division=0.0),
        Target.YOUDEN: lambda: balanced_accuracy_score(y, called, adjusted=True),
        Target.BALANCED_ACCURACY: lambda: balanced_accuracy_score(y, called),
        Target.SENSITIVITY: lambda: recall_score(y, called),
        Target.SPECIFICITY: lambda: recall_score(~y, ~called),
        Target.PPV: lambda: precision_score(y, called, zero_division=0.0),
    }
    return float(measures[target]())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 20), st.sampled_from(MAXIMISED))
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


def labeled(seed: int, n: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels of both classes, and probabilities with ties."""
    rng = np.random.default_rng(seed)
    y, p = rng.random(n) < 0.4, rng.random(n).round(2)
    y[0], y[1] = True, False
    return y, p


def test_balanced_accuracy_and_youden_choose_the_same_cut() -> None:
    for seed in range(20):
        y, p = labeled(seed, 40)
        youden = choose("Mass", y, p, Target.YOUDEN)
        balanced = choose("Mass", y, p, Target.BALANCED_ACCURACY)
        assert balanced.threshold == youden.threshold
        assert youden.achieved is not None
        assert balanced.achieved == pytest.approx((1 + youden.achieved) / 2, abs=1e-15)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 25), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_ppv_takes_the_lowest_threshold_that_reaches_the_goal(
    seed: int, n: int, goal: float
) -> None:
    y, p = labeled(seed, n)
    point = choose("Mass", y, p, Target.PPV, goal)
    reached = [t for t in np.unique(p) if value_at(y, p >= t, Target.PPV) >= goal]
    if not reached:
        best = max(value_at(y, p >= t, Target.PPV) for t in np.unique(p))
        assert point.threshold is None
        assert point.reason.endswith(f"the best is {best:.2f}")
        return
    assert point.threshold is not None
    assert ((p >= point.threshold) == (p >= min(reached))).all() or (
        value_at(y, p >= point.threshold, Target.SENSITIVITY)
        == value_at(y, p >= min(reached), Target.SENSITIVITY)
    )
    assert point.achieved == pytest.approx(value_at(y, p >= point.threshold, Target.PPV))
    assert point.achieved is not None
    assert point.achieved >= goal


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 120),
    st.sampled_from([Target.SENSITIVITY, Target.SPECIFICITY]),
    st.sampled_from([0.8, 0.9, 0.95]),
)
def test_conformal_thresholds_miss_k_films_less_one(
    seed: int, n: int, target: Target, goal: float
) -> None:
    y, _ = labeled(seed, n)
    p = np.random.default_rng(seed).permutation(n) / n
    own = np.sort(p[y]) if target is Target.SENSITIVITY else np.sort(p[~y])[::-1]
    allowed = [
        k for k in range(len(own) + 1) if k * 100 <= (len(own) + 1) * round(100 - 100 * goal)
    ]
    point = choose("Mass", y, p, target, goal)
    if max(allowed) == 0:
        assert point.threshold is None
        assert point.reason.endswith(f"films or more; there are {len(own)}")
        return
    assert point.threshold is not None
    missed = (
        y & (p < point.threshold) if target is Target.SENSITIVITY else ~y & (p >= point.threshold)
    )
    assert missed.sum() == max(allowed) - 1
    if target is Target.SENSITIVITY:
        assert point.threshold == own[max(allowed) - 1]
    assert point.achieved == pytest.approx(value_at(y, p >= point.threshold, target))
    assert (point.goal, point.name) == (goal, f"{target} {goal:.2f}")


def test_a_goal_says_how_many_films_it_needs() -> None:
    y, p = np.arange(30) < 8, np.linspace(0.1, 0.9, 30)
    for goal, needed in ((0.9, 9), (0.95, 19), (0.99, 99)):
        point = choose("Mass", y, p, Target.SENSITIVITY, goal)
        assert point.reason == (
            f"a sensitivity of {goal:.2f} needs {needed} positive films or more; there are 8"
        )
        enough = np.append(np.ones(needed, bool), False)
        found = choose("Mass", enough, np.linspace(0.1, 0.9, needed + 1), Target.SENSITIVITY, goal)
        assert found.threshold is not None
    point = choose("Mass", ~y, p, Target.SPECIFICITY, 0.9)
    assert point.reason == "a specificity of 0.90 needs 9 negative films or more; there are 8"


def test_a_threshold_above_one_is_refused() -> None:
    y = np.arange(20) < 10
    p = np.where(y, 0.5, 1.0)
    point = choose("Mass", y, p, Target.SPECIFICITY, 0.9)
    assert (point.threshold, point.reason) == (
        None,
        "a specificity of 0.90 needs a threshold above 1",
    )
    lower = choose("Mass", y, p * 0.9, Target.SPECIFICITY, 0.9)
    assert lower.threshold is not None
    assert lower.achieved == 1.0


@pytest.mark.parametrize("target", [Target.SENSITIVITY, Target.SPECIFICITY])
@pytest.mark.parametrize("films", [12, 39, 200])
def test_new_films_get_what_was_promised(target: Target, films: int) -> None:
    """Thresholds of 3,000 calibrate splits, each tried on all films that could come."""
    rng = np.random.default_rng(films)
    y = np.arange(2 * films) < films
    reached: list[float] = []
    plain: list[float] = []
    for _ in range(3000):
        # of uniform scores of one class, the share at or above a threshold is known
        p = np.where(y, rng.random(2 * films), rng.random(2 * films))
        point = choose("Mass", y, p, target, 0.9)
        assert point.threshold is not None
        share = point.threshold
        reached.append(1 - share if target is Target.SENSITIVITY else share)
        plain.append(1 - float(np.quantile(p[y], 0.1)))
    k = (films + 1) // 10
    # the specific threshold lies up to half a gap above the negative film that it must spare
    gap = 0.0 if target is Target.SENSITIVITY else 0.5 / films
    promised = 1 - k / (films + 1)
    assert promised >= 0.9
    assert promised - 0.004 < np.mean(reached) < promised + gap + 0.004
    if films == 12:
        assert np.mean(plain) < np.mean(reached) - 0.02


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
def test_equals_mapies_split_conformal_quantile() -> None:
    from mapie.classification import SplitConformalClassifier
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1))
    y = rng.random(400) < 1 / (1 + np.exp(1 - x[:, 0]))
    network = LogisticRegression().fit(x, y.astype(int))
    p = network.predict_proba(x)[:, 1]
    for goal in (0.8, 0.9, 0.95):
        theirs = SplitConformalClassifier(network, goal, conformity_score="lac", prefit=True)
        theirs.conformalize(x[y], np.ones(int(y.sum()), int))
        _, sets = theirs.predict_set(x)
        ours = choose("Mass", y, p, Target.SENSITIVITY, goal).threshold
        assert ours is not None
        # the film that is the threshold itself may fall either way: they compare 1 - p
        clear = np.abs(p - ours) > 1e-9
        assert ((p >= ours) == sets[:, 1, 0])[clear].all()


@pytest.mark.parametrize(
    ("target", "goal"), [(Target.F1, 0.9), (Target.PPV, None), (Target.PPV, 1.0), (Target.PPV, 90)]
)
def test_a_goal_belongs_to_its_target(target: Target, goal: float | None) -> None:
    with pytest.raises(ValueError, match="goal"):
        choose("Mass", np.array([True, False]), np.array([0.9, 0.1]), target, goal)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 50))
def test_the_grid_equals_scikit_learn(seed: int, n: int) -> None:
    y, p = labeled(seed, n)
    rows = grid(y, p)
    assert [row.threshold for row in rows] == [i / 100 for i in range(5, 96)]
    for row in rows[::15]:
        called = p >= row.threshold
        assert row.called == called.sum()
        assert row.sensitivity == pytest.approx(value_at(y, called, Target.SENSITIVITY))
        assert row.specificity == pytest.approx(value_at(y, called, Target.SPECIFICITY))
        assert row.f1 == pytest.approx(value_at(y, called, Target.F1))
        assert row.youden == pytest.approx(value_at(y, called, Target.YOUDEN), abs=1e-12)
        balanced = value_at(y, called, Target.BALANCED_ACCURACY)
        assert row.balanced_accuracy == pytest.approx(balanced)
        ppv = value_at(y, called, Target.PPV) if called.any() else None
        assert row.ppv == (None if ppv is None else pytest.approx(ppv))
        npv = float((~y)[~called].mean()) if not called.all() else None
        assert row.npv == (None if npv is None else pytest.approx(npv))


@pytest.mark.parametrize("target", MAXIMISED)
def test_the_best_on_the_grid_is_the_first_of_the_largest(target: Target) -> None:
    for seed in range(3):
        y, p = labeled(seed, 60)
        values = [value_at(y, p >= i / 100, target) for i in range(5, 96)]
        first = next(i for i, value in enumerate(values) if value > max(values) - 1e-12)
        best = best_on_grid(y, p, target)
        assert best is not None
        assert best.threshold == (first + 5) / 100


def test_a_coarser_grid_and_its_refusals() -> None:
    y, p = labeled(0, 30)
    assert [row.threshold for row in grid(y, p, 0.3)] == [0.05, 0.35, 0.65, 0.95]
    with pytest.raises(ValueError, match="step"):
        grid(y, p, 0.0)
    with pytest.raises(ValueError, match="maximizes"):
        best_on_grid(y, p, Target.PPV)


def test_a_grid_without_a_class_has_no_best_row() -> None:
    for y in (np.zeros(4, bool), np.ones(4, bool), np.zeros(0, bool)):
        assert best_on_grid(y, np.full(len(y), 0.5), Target.F1) is None
    (row, *_) = grid(np.zeros(4, bool), np.full(4, 0.01))
    assert (row.sensitivity, row.specificity, row.ppv, row.npv) == (None, 1.0, None, 1.0)
    assert (row.f1, row.youden, row.balanced_accuracy) == (None, None, None)


def test_all_findings_are_cut_at_one_goal() -> None:
    labels = LabelSet("two", ("Mass", "Hernia"))
    p = Probabilities(np.linspace(0.1, 0.9, 20)[:, None] * np.ones((1, 2)), labels)
    states = np.array([[1, 0]] * 10 + [[0, 0]] * 9 + [[0, 1]], np.int8)
    mass, hernia = choose_all(p, states, Target.SENSITIVITY, 0.9)
    assert (mass.goal, mass.threshold) == (0.9, pytest.approx(0.1))
    assert (hernia.threshold, hernia.positives) == (None, 1)


def test_the_shared_threshold_has_the_largest_macro_f1_that_was_tried() -> None:
    rng = np.random.default_rng(0)
    labels = LabelSet("three", ("Mass", "Edema", "Hernia"))
    p = rng.beta(1, 3, (400, 3))
    states = (rng.random(p.shape) < p).astype(np.int8)
    states[:, 2] = 0
    states[:5, 0] = LabelState.UNLABELLED
    threshold = choose_shared(Probabilities(p, labels), states)

    def macro_f1(t: float) -> float:
        known = [states[:, c] >= 0 for c in range(2)]
        scores = [f1_score(states[k, c], p[k, c] >= t) for c, k in enumerate(known)]
        return float(np.mean(scores))

    tried = np.quantile(p, np.arange(1, 1000) / 1000)
    assert threshold is not None
    assert macro_f1(threshold) == pytest.approx(max(map(macro_f1, tried)), abs=1e-12)
    assert choose_shared(Probabilities(p, labels), np.zeros_like(states)) is None
