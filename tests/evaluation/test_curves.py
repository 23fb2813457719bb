"""Curves against scikit-learn, and what was thinned is still on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.curves import POINTS, Curves, FindingCurves, curves_of, round_up

LABELS = LabelSet("two", ("Effusion", "Mass"))


def curves(states: np.ndarray, scores: np.ndarray, seed: int = 0, **cohort: bool) -> Curves:
    records = tuple(
        Record(f"{i}.png", f"p{i // 2}", tuple(LabelState(s) for s in row))
        for i, row in enumerate(states.tolist())
    )
    return curves_of(
        Probabilities(scores, LABELS), Cohort("drawn", LABELS, records, **cohort), seed
    )


def drawn(n: int, seed: int = 0, rate: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(rate, 1.0, (n, 2))
    return (rng.random((n, 2)) < scores).astype(np.int8), scores


def one(positives: list[bool], scores: list[float]) -> FindingCurves:
    states = np.column_stack([positives, positives]).astype(np.int8)
    return curves(states, np.column_stack([scores, scores])).findings["Mass"]


SCORES = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        arrays(bool, n),
        arrays(np.float64, n, elements=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 1.0])),
    )
)


@given(SCORES)
@settings(max_examples=25, deadline=None)
def test_short_curves_are_scikit_learns(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    positives, scores = drawn
    found = one(positives.tolist(), scores.tolist())
    if positives.all() or not positives.any():
        assert found.roc is found.precision_recall is None
        return
    assert found.roc is not None
    assert found.precision_recall is not None
    x, y, _ = roc_curve(positives, scores, drop_intermediate=False)
    corners = {(round(a, 9), round(b, 9)) for a, b in zip(x, y, strict=True)}
    assert {(round(a, 9), round(b, 9)) for a, b in found.roc.tolist()} <= corners
    assert np.trapezoid(found.roc[:, 1], found.roc[:, 0]) == pytest.approx(
        roc_auc_score(positives, scores), abs=1e-12
    )
    precision, recall, _ = precision_recall_curve(positives, scores)
    theirs = {(round(a, 9), round(b, 9)) for a, b in zip(recall, precision, strict=True)}
    assert {(round(a, 9), round(b, 9)) for a, b in found.precision_recall.tolist()} <= theirs


def test_long_curves_are_thinned_to_points_of_the_whole_one() -> None:
    states, scores = drawn(6000)
    found = curves(states, scores).findings["Effusion"]
    assert found.roc is not None
    assert found.precision_recall is not None
    x, y, _ = roc_curve(states[:, 0], scores[:, 0], drop_intermediate=False)
    whole = {(round(a, 12), round(b, 12)) for a, b in zip(x, y, strict=True)}
    assert len(found.roc) <= POINTS
    assert len(found.precision_recall) <= POINTS
    assert {(round(a, 12), round(b, 12)) for a, b in found.roc.tolist()} <= whole
    assert found.roc[[0, -1]].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    area = np.trapezoid(found.roc[:, 1], found.roc[:, 0])
    assert area == pytest.approx(roc_auc_score(states[:, 0], scores[:, 0]), abs=2e-3)
    precision, recall, _ = precision_recall_curve(states[:, 0], scores[:, 0])
    whole = {(round(a, 12), round(b, 12)) for a, b in zip(recall, precision, strict=True)}
    kept = {(round(a, 12), round(b, 12)) for a, b in found.precision_recall.tolist()}
    assert kept <= whole
    assert found.precision_recall[-1, 0] == 1.0


def test_a_rare_finding_whose_scores_lie_below_the_grid_can_be_explored() -> None:
    rng = np.random.default_rng(1)
    scores = np.column_stack([rng.beta(1, 300, 2000)] * 2)
    states = (rng.random((2000, 2)) < scores).astype(np.int8)
    found = curves(states, scores).findings["Mass"]
    assert scores.max() < 0.05
    below = [row for row in found.thresholds if row.threshold < 0.05]
    assert len(below) >= 99
    called = np.array([row.called for row in below])
    assert np.abs(np.diff(called)).max() <= 0.03 * 2000
    assert all(row.called == 0 for row in found.thresholds if row.threshold >= 0.05)
    assert found.histogram.edges[-1] < 0.05


def test_every_threshold_counts_what_it_says() -> None:
    states, scores = drawn(700)
    found = curves(states, scores).findings["Mass"]
    y, p = states[:, 1].astype(bool), scores[:, 1]
    thresholds = [row.threshold for row in found.thresholds]
    assert thresholds == sorted(set(thresholds))
    assert {round(0.05 + k / 100, 2) for k in range(91)} <= set(thresholds)
    for row in (*found.thresholds, found.at(1 / 3)):
        called = p >= row.threshold
        assert row.called == called.sum()
        assert row.sensitivity == pytest.approx(called[y].mean(), abs=1e-12)
        assert row.specificity == pytest.approx((~called[~y]).mean(), abs=1e-12)


def test_the_histogram_holds_every_film_or_says_how_many_lie_beyond() -> None:
    states, scores = drawn(900, rate=0.05)
    found = curves(states, scores).findings["Mass"]
    bins = found.histogram
    inside = scores[:, 1] <= bins.edges[-1]
    assert bins.positives.sum() == (inside & (states[:, 1] == 1)).sum()
    assert bins.negatives.sum() == (inside & (states[:, 1] == 0)).sum()
    assert bins.beyond == (~inside).sum() <= 0.005 * 900
    assert found.tail == np.quantile(scores[:, 1], 0.995) <= bins.edges[-1]


def test_only_labeled_films_count_and_findings_do_not_disturb_each_other() -> None:
    states, scores = drawn(400)
    states[::3, 0] = LabelState.UNCERTAIN
    states[1::3, 0] = LabelState.UNLABELLED
    found = curves(states, scores).findings["Effusion"]
    assert found.n == 133
    assert found.found == (states[2::3, 0] == 1).sum()
    other = states.copy()
    other[:, 1] = LabelState.NEGATIVE
    again = curves(other, scores).findings["Effusion"]
    assert found.reliability is not None
    assert again.reliability is not None
    assert (found.reliability.low == again.reliability.low).all()


def test_the_seed_decides_the_bands_and_nothing_else() -> None:
    states, scores = drawn(300)
    first, second = (curves(states, scores, seed).findings["Mass"] for seed in (0, 1))
    assert first.reliability is not None
    assert second.reliability is not None
    assert (first.reliability.observed == second.reliability.observed).all()
    assert (first.reliability.high != second.reliability.high).any()


def test_nothing_labeled_has_no_curves() -> None:
    states, scores = drawn(10)
    empty = curves(np.full_like(states, LabelState.UNLABELLED), scores, synthetic=True)
    found = empty.findings["Mass"]
    assert (found.n, found.thresholds, found.reliability, found.decision) == (0, (), None, None)
    assert empty.synthetic


@given(st.floats(0.001, 1.0))
@settings(max_examples=50, deadline=None)
def test_axes_end_at_the_next_round_number(value: float) -> None:
    end = round_up(value)
    assert value * (1 - 1e-9) <= end <= min(1.0, value * 1.6)
    leading = end / 10 ** math.floor(math.log10(end) + 1e-9)
    assert min(abs(leading - digit) for digit in (1, 1.5, 2, 3, 4, 5, 6, 8, 10)) < 1e-6
