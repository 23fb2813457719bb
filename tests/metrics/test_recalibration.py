"""Slope, intercept and O/E: scikit-learn's and SciPy's estimates, the bootstrap's errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from hilum.domain.documents import Interval
from hilum.metrics.recalibration import CLIP, slope_and_intercept
from hilum.metrics.resampling import patient_resamples

Case = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.str_]]


def clustered(seed: int, patients: int = 400, slope: float = 0.8, shift: float = -0.3) -> Case:
    """Films of several patients whose outcomes and scores depend on the patient."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), 1 + rng.poisson(2, patients))
    logits = (rng.normal(-1.5, 1.2, patients) + rng.normal(0, 0.2, patients))[patient]
    logits = logits + rng.normal(0, 0.4, len(patient))
    y = rng.random(len(patient)) < expit(shift + slope * logits)
    return y, expit(logits), np.array([f"p{i}" for i in patient])


def alone(n: int) -> NDArray[np.str_]:
    return np.array([f"p{i}" for i in range(n)])


def error_of(found: Interval) -> float:
    assert found.low is not None
    assert found.high is not None
    return (found.high - found.low) / (2 * 1.959963984540054)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_estimates_equal_scikit_learn_and_scipy(seed: int) -> None:
    y, p, patients = clustered(seed, 80)
    line = slope_and_intercept(y, p, patients)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, solver="newton-cholesky")
    theirs.fit(logit(p)[:, None], y)
    assert line.slope.value == pytest.approx(theirs.coef_[0, 0], rel=1e-6)
    root = brentq(lambda a: (y - expit(a + logit(p))).sum(), -20, 20, xtol=1e-14)
    assert line.intercept.value == pytest.approx(root, abs=1e-9)
    assert line.clipped == 0


def test_independent_films_have_the_white_sandwich() -> None:
    y, p, _ = clustered(1)
    n, x = len(y), np.column_stack([logit(p), np.ones(len(y))])
    line = slope_and_intercept(y, p, alone(n))
    fit = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(x[:, :1], y)
    q = fit.predict_proba(x[:, :1])[:, 1]
    bread = np.linalg.inv((x.T * (q * (1 - q))) @ x)
    white = bread @ ((x.T * (y - q) ** 2) @ x) @ bread * n / (n - 1)
    assert error_of(line.slope) == pytest.approx(np.sqrt(white[0, 0]), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_standard_errors_are_those_of_the_patient_bootstrap(seed: int) -> None:
    y, p, patients = clustered(seed)
    line = slope_and_intercept(y, p, patients)
    slopes: list[float] = []
    intercepts: list[float] = []
    (weights,) = patient_resamples(patients, 250, np.random.default_rng(0))
    for row in weights:
        again = np.repeat(np.arange(len(y)), row)
        found = slope_and_intercept(y[again], p[again], patients[again])
        slopes.append(found.slope.value or 0.0)
        intercepts.append(found.intercept.value or 0.0)
    assert 0.85 < error_of(line.slope) / np.std(slopes, ddof=1) < 1.15
    assert 0.85 < error_of(line.intercept) / np.std(intercepts, ddof=1) < 1.15


def test_intervals_of_clustered_films_are_wider_than_of_films_taken_alone() -> None:
    y, p, patients = clustered(0)
    again = np.tile(np.arange(len(y)), 4)
    once = slope_and_intercept(y, p, patients)
    copied = slope_and_intercept(y[again], p[again], patients[again])
    naive = slope_and_intercept(y[again], p[again], alone(len(again)))
    assert copied.slope.value == pytest.approx(once.slope.value, rel=1e-9)
    assert error_of(copied.slope) == pytest.approx(error_of(once.slope), rel=1e-6)
    assert error_of(naive.slope) < 0.6 * error_of(copied.slope)


def test_calibrated_probabilities_are_covered_as_promised() -> None:
    covered = np.zeros(2)
    for seed in range(200):
        y, p, patients = clustered(seed, 120, slope=1.0, shift=0.0)
        line = slope_and_intercept(y, p, patients)
        for index, (found, truth) in enumerate(((line.slope, 1.0), (line.intercept, 0.0))):
            assert found.low is not None
            assert found.high is not None
            covered[index] += found.low <= truth <= found.high
    assert (covered / 200 > 0.90).all()


def test_known_distortions_are_found() -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(1, 4, 60_000)
    y = rng.random(len(p)) < p
    doubled, shifted = expit(2 * logit(p)), expit(logit(p) + 0.7)
    names = alone(len(p))
    assert slope_and_intercept(y, doubled, names).slope.value == pytest.approx(0.5, abs=0.02)
    assert slope_and_intercept(y, shifted, names).intercept.value == pytest.approx(-0.7, abs=0.05)
    assert slope_and_intercept(y, 1 - p, names).slope.value == pytest.approx(-1, abs=0.04)


def test_zeros_and_ones_are_clipped_and_counted() -> None:
    y, p, patients = clustered(3)
    p[:3] = [0.0, 1.0, 1e-9]
    line = slope_and_intercept(y, p, patients)
    moved = slope_and_intercept(y, np.clip(p, CLIP, 1 - CLIP), patients)
    assert (line.slope, line.intercept) == (moved.slope, moved.intercept)
    assert (line.clipped, moved.clipped) == (3, 0)


@pytest.mark.parametrize(
    ("y", "p", "slope", "intercept"),
    [
        ([], [], "no film is positive", "no film is positive"),
        ([0, 0], [0.2, 0.4], "no film is positive", "no film is positive"),
        ([1, 1], [0.2, 0.4], "no film is negative", "no film is negative"),
        ([1, 0, 0], [0.3, 0.3, 0.3], "every film has the same probability", ""),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], "a threshold separates the classes", ""),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], "a threshold separates the classes", ""),
        ([0, 1, 0, 1], [0.1, 0.2, 0.2, 0.4], "a threshold separates the classes", ""),
    ],
)
def test_what_does_not_exist_has_a_reason(
    y: list[int], p: list[float], slope: str, intercept: str
) -> None:
    line = slope_and_intercept(np.array(y, bool), np.array(p), alone(len(y)))
    assert line.slope.value is None
    assert line.slope.reason.startswith(slope)
    assert line.intercept.reason == intercept
    assert (line.intercept.value is None) == bool(intercept)


def test_overlap_by_one_film_is_enough_for_a_slope() -> None:
    y = np.array([False, False, True, False, True, True])
    line = slope_and_intercept(y, np.linspace(0.1, 0.9, 6), alone(6))
    assert line.slope.value is not None
    assert line.slope.value > 1


def test_one_patient_has_no_interval() -> None:
    y, p = np.array([True, False, True, False]), np.array([0.6, 0.5, 0.3, 0.2])
    line = slope_and_intercept(y, p, np.full(4, "a"))
    assert line.slope.value is not None
    assert (line.slope.low, line.slope.reason) == (
        None,
        "no interval: all films are of one patient",
    )


def test_far_off_probabilities_still_converge() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(500) < 0.5
    line = slope_and_intercept(y, np.where(rng.random(500) < 0.5, 0.0, 1e-5), alone(500))
    assert line.intercept.value is not None
    assert line.intercept.value > 10
    nearly = np.full(500, 0.3)
    nearly[::2] = np.nextafter(0.3, 1)
    assert slope_and_intercept(y, nearly, alone(500)).slope.value is not None


def test_a_film_among_hundreds_of_certainties_still_has_an_intercept() -> None:
    """A step of Newton's that nothing bounds ends where every film's slope is 0 (from a run)."""
    y = np.zeros(500, bool)
    y[0] = True
    p = np.concatenate([np.full(499, 1.0), [0.999]])
    found = slope_and_intercept(y, p, alone(500))
    assert found.intercept.value == pytest.approx(
        brentq(lambda a: (expit(a + logit(np.clip(p, CLIP, 1 - CLIP))) - y).sum(), -40, 0), abs=1e-6
    )


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="patients"):
        slope_and_intercept(np.array([True, False]), np.array([0.1, 0.2]), np.array(["a"]))
