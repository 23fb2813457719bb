"""Holm's rule by its definition, paired differences, and p-values that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.metrics.comparison import bootstrap_p, holm, paired_interval

P = st.lists(st.floats(0, 1) | st.none(), max_size=12)


def test_values_of_rs_manual_way() -> None:
    # by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04 raised to the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([None, 0.02]) == [None, 0.02]


@settings(max_examples=50, deadline=None)
@given(P)
def test_rejects_what_holms_steps_reject(p_values: list[float | None]) -> None:
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        remaining = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
        rejected: set[int] = set()
        while remaining and remaining[0][0] * len(remaining) <= level:
            rejected.add(remaining.pop(0)[1])
        assert {i for i, p in enumerate(adjusted) if p is not None and p <= level} == rejected


@settings(max_examples=50, deadline=None)
@given(P)
def test_laws_of_adjusting(p_values: list[float | None]) -> None:
    adjusted = holm(p_values)
    m = sum(p is not None for p in p_values)
    for before, after in zip(p_values, adjusted, strict=True):
        assert (before is None) == (after is None)
        if before is not None and after is not None:
            assert before <= after <= min(1.0, m * before)
    assert holm(p_values[::-1]) == adjusted[::-1]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="p-values must lie"):
        holm([0.5, wrong])


def test_a_paired_interval_is_narrower_than_two_of_its_own() -> None:
    rng = np.random.default_rng(0)
    films = rng.normal(0.8, 0.03, 2000)
    a, b = films + rng.normal(0, 0.005, 2000), films + 0.02 + rng.normal(0, 0.005, 2000)
    found = paired_interval(a, b, 0.8, 0.82)
    assert found.value == pytest.approx(0.02)
    assert (found.low, found.high) == (
        pytest.approx(np.percentile(b - a, 2.5)),
        pytest.approx(np.percentile(b - a, 97.5)),
    )
    assert found.low is not None
    assert found.low > 0
    turned = paired_interval(b, a, 0.82, 0.8)
    assert turned.high == pytest.approx(-found.low)
    alone = paired_interval(a, rng.permutation(b), 0.8, 0.82)
    assert alone.low is not None
    assert alone.low < 0


def test_a_resample_counts_when_both_models_have_a_value() -> None:
    a, b = np.linspace(0, 1, 100), np.linspace(0, 1, 100)
    a[:3], b[3:5] = np.nan, np.nan
    assert paired_interval(a, b, 0.5, 0.5).reason == "5 of 100 resamples have no value"
    b[5] = np.nan
    assert paired_interval(a, b, 0.5, 0.5).low is None
    missing = paired_interval(a, b, 0.5, float("nan"))
    assert (missing.value, missing.reason) == (None, "the number does not exist for both models")
    with pytest.raises(ValueError, match="paired"):
        paired_interval(a, b[:3], 0.5, 0.5)


def test_p_values_by_counting() -> None:
    assert bootstrap_p(np.array([-1.0, 1.0, 1.0])) == 1.0
    assert bootstrap_p(np.array([-1.0, *[1.0] * 98])) == pytest.approx(2 * 2 / 100)
    assert bootstrap_p(np.zeros(50)) == 1.0
    assert bootstrap_p(np.ones(1999)) == pytest.approx(0.001)
    assert bootstrap_p(-np.ones(1999)) == pytest.approx(0.001)
    assert bootstrap_p(np.array([])) is None
    assert bootstrap_p(np.array([*[1.0] * 94, *[np.nan] * 6])) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(-3, 3))
def test_the_p_value_agrees_with_the_interval(seed: int, shift: float) -> None:
    gaps = np.random.default_rng(seed).normal(shift, 1, 999)
    p = bootstrap_p(gaps)
    assert p is not None
    low, high = np.percentile(gaps, [2.5, 97.5])
    if p < 0.049:
        assert low > 0 or high < 0
    if p > 0.055:
        assert low < 0 < high


def test_equal_models_are_called_different_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(1)
    ps = [
        bootstrap_p(rng.choice(sample, (499, 60)).mean(axis=1))
        for sample in rng.normal(size=(300, 60))
    ]
    assert 0.01 < np.mean([p is not None and p < 0.05 for p in ps]) < 0.1
