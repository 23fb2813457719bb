"""Net benefit, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.metrics.decision import net_benefit


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_equals_a_count_of_films(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.random(n) < 0.3, rng.random(n).round(1)
    thresholds = np.array([0.0, 0.05, 0.1, 0.3, 0.5, 0.9])
    found = net_benefit(y, p, thresholds)
    for index, t in enumerate(thresholds):
        called = p >= t
        worth = t / (1 - t)
        expected = (called & y).sum() / n - (called & ~y).sum() / n * worth
        assert found.model[index] == pytest.approx(expected, abs=1e-12)
        everyone = y.mean() - (1 - y.mean()) * worth
        assert found.treat_all[index] == pytest.approx(everyone, abs=1e-12)
        assert found.treat_none[index] == 0.0


def test_laws() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(1, 5, 5000)
    y = rng.random(5000) < p
    found = net_benefit(y, p, np.array([0.0, 1e-9]))
    assert found.treat_all == pytest.approx(y.mean(), abs=1e-8)
    assert found.model == pytest.approx(y.mean(), abs=1e-8)
    thresholds = np.linspace(0.01, 0.6, 30)
    calibrated = net_benefit(y, p, thresholds)
    rivals = np.maximum(calibrated.treat_all, 0.0)
    assert (calibrated.model >= rivals - 0.002).all()
    assert (net_benefit(y, y.astype(float), thresholds).model == y.mean()).all()
    twice = net_benefit(np.tile(y, 2), np.tile(p, 2), thresholds)
    assert twice.model == pytest.approx(calibrated.model, abs=1e-12)
    reversed_model = net_benefit(y, 1 - p, np.array([0.9]))
    assert reversed_model.model[0] < 0.0


def test_films_are_needed_and_thresholds_stay_below_one() -> None:
    none = np.array([], bool), np.array([], np.float64)
    assert np.isnan(net_benefit(*none, np.array([0.1])).model).all()
    for wrong in ([1.0], [-0.1], [np.nan], 0.5):
        with pytest.raises(ValueError, match="thresholds"):
            net_benefit(np.array([True]), np.array([0.5]), np.array(wrong))
