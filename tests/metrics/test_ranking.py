"""AUROC, average precision and sensitivity at a specificity, against scikit-learn and by law."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from hilum.metrics.ranking import (
    Ranking,
    auroc,
    average_precision,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

ASAH = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tables" / "aSAH.csv"


@st.composite
def scored(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels of both classes, and scores with many ties."""
    n = draw(st.integers(2, 40))
    positives = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    positives[0], positives[-1] = True, False
    scores = draw(st.lists(st.integers(-6, 6), min_size=n, max_size=n))
    return positives, np.array(scores, np.float64) / 4


@settings(max_examples=60, deadline=None)
@given(scored())
def test_equals_scikit_learn(case: tuple[NDArray[np.bool_], NDArray[np.float64]]) -> None:
    y, s = case
    assert auroc(y, s) == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert average_precision(y, s) == pytest.approx(average_precision_score(y, s), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(scored(), st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]))
def test_sensitivity_is_the_best_point_of_scikit_learns_roc_curve(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]], specificity: float
) -> None:
    y, s = case
    false_share, true_share, _ = roc_curve(y, s, drop_intermediate=False)
    negatives = (~y).sum()
    spared = (negatives - np.round(false_share * negatives)) / negatives
    assert sensitivity_at_specificity(y, s, specificity) == pytest.approx(
        true_share[spared >= specificity].max(), abs=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(scored(), st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]))
def test_specificity_is_the_best_point_of_scikit_learns_roc_curve(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]], sensitivity: float
) -> None:
    y, s = case
    false_share, true_share, _ = roc_curve(y, s, drop_intermediate=False)
    found = np.round(true_share * y.sum()) / y.sum()
    assert specificity_at_sensitivity(y, s, sensitivity) == pytest.approx(
        1 - false_share[found >= sensitivity].min(), abs=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(scored(), st.integers(0, 2**32 - 1))
def test_a_weight_is_a_repeated_film(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]], seed: int
) -> None:
    y, s = case
    weights = np.random.default_rng(seed).integers(0, 4, len(y))
    again = np.repeat(np.arange(len(y)), weights)
    for measure in (auroc, average_precision):
        repeated = measure(y[again], s[again])
        expected = None if repeated is None else pytest.approx(repeated, abs=1e-12)
        assert measure(y, s, weights) == expected
    weighted = sensitivity_at_specificity(y, s, 0.8, weights)
    assert weighted == sensitivity_at_specificity(y[again], s[again], 0.8)
    weighted = specificity_at_sensitivity(y, s, 0.8, weights)
    assert weighted == specificity_at_sensitivity(y[again], s[again], 0.8)


@settings(max_examples=25, deadline=None)
@given(scored())
def test_laws(case: tuple[NDArray[np.bool_], NDArray[np.float64]]) -> None:
    y, s = case
    area = auroc(y, s)
    assert area is not None
    assert auroc(y, -s) == pytest.approx(1 - area, abs=1e-12)
    assert auroc(y, np.exp(s)) == pytest.approx(area, abs=1e-12)
    shuffled = np.random.default_rng(0).permutation(len(y))
    assert auroc(y[shuffled], s[shuffled]) == pytest.approx(area, abs=1e-12)
    twice = np.tile(y, 2), np.tile(s, 2)
    for measure in (auroc, average_precision):
        assert measure(*twice) == pytest.approx(measure(y, s), abs=1e-12)
    for reached in (sensitivity_at_specificity, specificity_at_sensitivity):
        assert reached(*twice, 0.8) == pytest.approx(reached(y, s, 0.8), abs=1e-12)
    mirrored = specificity_at_sensitivity(~y, -s, 0.8)
    assert mirrored == pytest.approx(sensitivity_at_specificity(y, s, 0.8), abs=1e-12)


def test_a_constant_score_has_auroc_one_half_and_the_prevalence_as_precision() -> None:
    y = np.array([True, False, False, False])
    s = np.full(4, 0.3)
    assert auroc(y, s) == 0.5
    assert average_precision(y, s) == 0.25
    assert sensitivity_at_specificity(y, s, 0.8) == 0.0
    assert sensitivity_at_specificity(y, s, 0.0) == 1.0
    assert specificity_at_sensitivity(y, s, 0.8) == 0.0
    assert specificity_at_sensitivity(y, s, 0.0) == 1.0


@pytest.mark.parametrize("y", [[True, True], [False, False], []])
def test_one_class_has_no_number(y: list[bool]) -> None:
    labels, s = np.array(y, bool), np.arange(len(y), dtype=np.float64)
    assert auroc(labels, s) is None
    assert average_precision(labels, s) is None
    assert sensitivity_at_specificity(labels, s, 0.8) is None
    assert specificity_at_sensitivity(labels, s, 0.8) is None


def test_nan_scores_and_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        auroc(np.array([True, False]), np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match="must both be"):
        auroc(np.array([True, False]), np.array([0.1]))
    with pytest.raises(ValueError, match="specificity"):
        sensitivity_at_specificity(np.array([True, False]), np.array([0.1, 0.2]), 80)
    with pytest.raises(ValueError, match="sensitivity"):
        specificity_at_sensitivity(np.array([True, False]), np.array([0.1, 0.2]), 80)


def test_resamples_at_once_equal_one_at_a_time() -> None:
    rng = np.random.default_rng(3)
    y, s = rng.random(50) < 0.3, rng.normal(size=50).round(1)
    weights = rng.integers(0, 3, (7, 50))
    counts = Ranking.of(y, s).counts(weights)
    for r in range(7):
        assert auroc(y, s, weights[r]) == pytest.approx(counts.auroc()[r], abs=1e-12)
        one = average_precision(y, s, weights[r])
        assert one == pytest.approx(counts.average_precision()[r], abs=1e-12)


def test_pooled_entries_take_the_weights_of_their_films() -> None:
    y = np.array([True, False, False, True])
    s = np.array([0.9, 0.8, 0.7, 0.1])
    films = np.array([0, 1, 0, 1])
    weights = np.array([[3, 1]])
    pooled = Ranking.of(y, s, films).counts(weights).auroc()[0]
    assert pooled == auroc(y, s, weights[0, films])


@pytest.mark.skipif(not ASAH.exists(), reason="pROC's aSAH table is not beside the checkout")
def test_proc_reference_values() -> None:
    with ASAH.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    poor = np.array([row["poor"] == "1" for row in rows])
    expected = {"wfns": 0.8236788618, "ndka": 0.6119579946, "s100b": 0.7313685637}
    for name, value in expected.items():
        scores = np.array([float(row[name]) for row in rows])
        assert auroc(poor, scores) == pytest.approx(value, abs=1e-10)
