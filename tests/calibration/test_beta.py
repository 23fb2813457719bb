"""Beta calibration: its authors' curve, where there is one; refused where there is none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from betacal import BetaCalibration
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hilum.calibration import fit
from hilum.calibration.curves import FitRefusedError, sigmoid_of
from hilum.calibration.curves.beta import Beta
from hilum.calibration.curves.platt import Platt
from hilum.domain.findings import LabelSet
from hilum.domain.scores import Logits


def films(seed: int, n: int = 2000) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits too sure of positives and too meek about negatives: two slopes, as beta has."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1.0, 1.5, n)
    return np.where(truth > 0, 2.0 * truth, 0.7 * truth), rng.random(n) < sigmoid_of(truth)


def mean_log_loss(p: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    return float(-np.mean(np.log(np.where(y, p, 1 - p))))


# betacal's own fit stops where the gradient is 1e-4, which is what its answer is good for
OF_BETACAL = 5e-4


def by_betacal(z: NDArray[np.float64], y: NDArray[np.bool_]) -> BetaCalibration:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return BetaCalibration("abm").fit(sigmoid_of(z), y)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, 2.0), (0.5, 2.5)])
def test_beta_equals_betacal(seed: int, scale: float, shift: float) -> None:
    z, y = films(seed)
    z = scale * z + shift
    oracle, curve = by_betacal(z, y), Beta.fit(z, y)
    grid = np.linspace(z.min(), z.max(), 200)
    theirs = oracle.predict(sigmoid_of(grid))
    assert curve.apply(grid) == pytest.approx(theirs, abs=OF_BETACAL)
    # theirs sees the logit through 1 - s, rounded, so that it can be luckier by a hair
    their_loss = mean_log_loss(oracle.predict(sigmoid_of(z)), y)
    assert mean_log_loss(curve.apply(z), y) <= their_loss + 1e-8


def test_beta_equals_a_logistic_regression_on_both_ends() -> None:
    z, y = films(4)
    s = sigmoid_of(z)
    oracle = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
    oracle.fit(np.stack([np.log(s), -np.log1p(-s)], axis=1), y)
    curve = Beta.fit(z, y)
    assert [curve.a, curve.b] == pytest.approx(list(np.ravel(oracle.coef_)), rel=1e-5)
    assert curve.c == pytest.approx(float(np.ravel(oracle.intercept_)[0]), rel=1e-5)


@pytest.mark.parametrize("which", ["a", "b"])
def test_a_negative_slope_is_dropped_as_betacal_drops_it(which: str) -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(0.0, 2.0, 3000)
    # the share of positives turns around at one end
    line = np.where(z > 0, 2 * z, -0.3 * z) if which == "a" else np.where(z < 0, 2 * z, -0.3 * z)
    y = rng.random(len(z)) < sigmoid_of(line - 1.0)
    curve, oracle = Beta.fit(z, y), by_betacal(z, y)
    assert getattr(curve, which) == 0.0
    assert oracle.calibrator_.map_[0 if which == "a" else 1] == 0
    assert curve.apply(z) == pytest.approx(oracle.predict(sigmoid_of(z)), abs=OF_BETACAL)


def test_beta_has_the_least_log_loss() -> None:
    z, y = films(5)
    best = Beta.fit(z, y)
    here = mean_log_loss(best.apply(z), y)
    for name in ("a", "b", "c"):
        for step in (-0.01, 0.01):
            other = best.model_copy(update={name: getattr(best, name) + step})
            assert mean_log_loss(other.apply(z), y) > here


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 5.0), st.floats(-5.0, 5.0))
def test_beta_with_equal_slopes_is_platt(slope: float, intercept: float) -> None:
    z = np.linspace(-30.0, 30.0, 301)
    beta = Beta(a=slope, b=slope, c=intercept)
    assert beta.apply(z) == pytest.approx(Platt(slope=slope, intercept=intercept).apply(z))


def test_beta_finds_the_two_slopes() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(0.0, 3.0, 200_000)
    truth = Beta(a=0.6, b=1.7, c=-0.8)
    found = Beta.fit(z, rng.random(len(z)) < truth.apply(z))
    assert [found.a, found.b, found.c] == pytest.approx([0.6, 1.7, -0.8], abs=0.05)


def test_separated_films_are_left_to_platt() -> None:
    z = np.linspace(-3, 3, 100)
    y = z > 1.0
    with pytest.raises(FitRefusedError, match="separates the films perfectly"):
        Beta.fit(z, y)
    logits = Logits(z[:, None], LabelSet("one", ("Mass",)))
    mass = fit("beta", logits, y.astype(np.int8)[:, None]).findings["Mass"]
    assert (mass.method, mass.calibrated) == ("platt", True)


def test_beta_fits_logits_that_have_one_end_only() -> None:
    rng = np.random.default_rng(1)
    z = -800.0 - rng.exponential(20.0, 500)
    curve = Beta.fit(z, rng.random(500) < sigmoid_of(0.1 * (z + 820.0)))
    assert curve.b == 0.0
    assert curve.a == pytest.approx(0.1, abs=0.05)


def test_a_flat_curve_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="a or b must be positive"):
        Beta(a=0.0, b=0.0, c=1.0)
