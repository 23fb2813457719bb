"""The CORP decomposition and curve: scikit-learn's isotonic regression, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from hilum.metrics.corp import Decomposition, corp, corp_resampled, reliability_curve


def drawn(seed: int, n: int = 200) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 3.0, n)
    return rng.random(n) < p**1.3, p


def by_scikit_learn(y: NDArray[np.bool_], p: NDArray[np.float64]) -> Decomposition:
    recalibrated = IsotonicRegression().fit(p, y).predict(p)
    base = float(((y.mean() - y) ** 2).mean())
    best = float(((recalibrated - y) ** 2).mean())
    return Decomposition(float(((p - y) ** 2).mean()) - best, base - best, base)


def parts(found: Decomposition | None) -> list[float]:
    assert found is not None
    return [found.miscalibration, found.discrimination, found.uncertainty]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 80), st.sampled_from([1, 2, 16]))
def test_equals_scikit_learns_isotonic_regression(seed: int, n: int, digits: int) -> None:
    y, p = drawn(seed, n)
    p = p.round(digits)
    found = parts(corp(y, p))
    assert found == pytest.approx(parts(by_scikit_learn(y, p)), abs=1e-12)
    miscalibration, discrimination, uncertainty = found
    whole = miscalibration - discrimination + uncertainty
    assert whole == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert miscalibration >= -1e-15
    assert discrimination >= -1e-15


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 16]))
def test_a_weight_is_a_repeated_film(seed: int, digits: int) -> None:
    y, p = drawn(seed, 30)
    p = p.round(digits)
    weights = np.random.default_rng(seed).integers(0, 3, (4, 30))
    resampled = np.stack(corp_resampled(y, p, weights), axis=1)
    for values, row in zip(resampled, weights, strict=True):
        again = np.repeat(np.arange(30), row)
        assert values == pytest.approx(parts(corp(y[again], p[again])), abs=1e-12)


def test_laws() -> None:
    y, p = drawn(0, 500)
    miscalibration, discrimination, uncertainty = parts(corp(y, p))
    constant = parts(corp(y, np.full(500, y.mean())))
    assert constant == pytest.approx([0.0, 0.0, uncertainty], abs=1e-15)
    assert parts(corp(y, y.astype(float))) == pytest.approx([0.0, uncertainty, uncertainty])
    squared = parts(corp(y, p**2))
    assert squared[1:] == pytest.approx([discrimination, uncertainty], abs=1e-12)
    twice = parts(corp(np.tile(y, 2), np.tile(p, 2)))
    assert twice == pytest.approx([miscalibration, discrimination, uncertainty], abs=1e-12)
    recalibrated = IsotonicRegression().fit(p, y).predict(p)
    assert parts(corp(y, recalibrated)) == pytest.approx([0.0, discrimination, uncertainty])


def test_one_class_and_no_films() -> None:
    assert parts(corp(np.zeros(3, bool), np.array([0.1, 0.2, 0.3]))) == pytest.approx(
        [0.14 / 3, 0.0, 0.0]
    )
    none = np.array([], bool), np.array([], np.float64)
    assert corp(*none) is None
    assert reliability_curve(*none, np.random.default_rng(0)) is None
    for values in corp_resampled(*drawn(0, 3), np.zeros((2, 3), int)):
        assert np.isnan(values).all()


def test_the_curve_is_isotonic_regression_at_seen_probabilities() -> None:
    y, p = drawn(3, 3000)
    curve = reliability_curve(y, p, np.random.default_rng(0), draws=20)
    assert curve is not None
    assert len(curve.probabilities) <= 200
    assert np.isin(curve.probabilities, p).all()
    assert (curve.probabilities[0], curve.probabilities[-1]) == (p.min(), p.max())
    theirs = IsotonicRegression().fit(p, y).predict(curve.probabilities)
    assert curve.observed == pytest.approx(theirs, abs=1e-12)
    assert (np.diff(curve.observed) >= 0).all()
    # the rare high ones are drawn too
    assert (curve.probabilities > np.quantile(p, 0.98)).sum() > 15


def test_the_band_holds_calibrated_models_and_not_others() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(1.0, 4.0, 1500)
    inside: list[float] = []
    for _ in range(20):
        curve = reliability_curve(rng.random(1500) < p, p, rng, draws=100)
        assert curve is not None
        held = (curve.low <= curve.observed) & (curve.observed <= curve.high)
        inside.append(float(held.mean()))
    assert 0.84 < np.mean(inside) < 0.97
    bent = reliability_curve(rng.random(1500) < p**2, p, rng, draws=100)
    assert bent is not None
    assert (bent.observed < bent.low).mean() > 0.3


def test_the_same_generator_draws_the_same_band() -> None:
    y, p = drawn(0)
    one, two = (reliability_curve(y, p, np.random.default_rng(5)) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.low == two.low).all()
    assert (one.high == two.high).all()
