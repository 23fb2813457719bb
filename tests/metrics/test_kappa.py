"""Kappa beside scikit-learn's, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.metrics.kappa import cohen_kappa

sklearn = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("prevalence", [0.02, 0.3, 0.9])
def test_kappa_is_that_of_scikit_learn(prevalence: float) -> None:
    rng = np.random.default_rng(int(100 * prevalence))
    for films in (5, 40, 300):
        one = rng.random(films) < prevalence
        other = np.where(rng.random(films) < 0.8, one, rng.random(films) < prevalence)
        if len({*one, *other}) == 1:
            continue
        expected = sklearn.cohen_kappa_score(one, other)
        assert cohen_kappa(one, other)[0] == pytest.approx(expected, abs=1e-12)


def test_a_resample_has_the_kappa_of_its_films() -> None:
    rng = np.random.default_rng(7)
    one, other = rng.random(60) < 0.4, rng.random(60) < 0.5
    drawn = rng.integers(60, size=(8, 60))
    weights = np.stack([np.bincount(row, minlength=60) for row in drawn])
    expected = [sklearn.cohen_kappa_score(one[row], other[row]) for row in drawn]
    assert cohen_kappa(one, other, weights) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("call", [True, False])
def test_readers_who_call_everything_alike_have_no_kappa(call: bool) -> None:
    calls = np.full(9, call)
    assert np.isnan(cohen_kappa(calls, calls)[0])
    assert np.isnan(cohen_kappa(calls[:0], calls[:0])[0])
    assert cohen_kappa(calls, ~calls)[0] == 0.0
