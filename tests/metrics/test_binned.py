"""Calibration errors of resampled patients equal those of the repeated films."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.metrics.binned import Binned
from hilum.metrics.reliability import Binning, debiased_l2, ece


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 300),
    st.integers(1, 40),
    st.sampled_from(["all differ", "ties", "one tie", "constant"]),
)
@settings(max_examples=25, deadline=None)
def test_errors_are_those_of_the_films_repeated(seed: int, n: int, people: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    if kind == "ties":
        p = np.round(p, 1)
    elif kind != "all differ":
        p = np.where((rng.random(n) < 0.5) | (kind == "constant"), 0.2, p)
    y, patients = rng.random(n) < p, rng.integers(people, size=n)
    times = rng.multinomial(people, np.full(people, 1 / people), size=5)
    times[0] = 0
    mass, width, debiased = Binned.of(y, p, patients).errors(times)
    for r, weights in enumerate(times[:, patients]):
        again = np.repeat(np.arange(n), weights)
        if not len(again):
            assert np.isnan([mass[r], width[r], debiased[r]]).all()
            continue
        repeated = y[again], p[again]
        assert mass[r] == pytest.approx(ece(*repeated), abs=1e-12)
        assert width[r] == pytest.approx(ece(*repeated, binning=Binning.EQUAL_WIDTH), abs=1e-12)
        # a root makes an error of 1e-16 one of 1e-8
        assert debiased[r] == pytest.approx(debiased_l2(*repeated), abs=1e-7)


def test_no_film_has_no_error() -> None:
    nobody = Binned.of(np.zeros(0, bool), np.zeros(0), np.zeros(0, np.intp))
    assert all(np.isnan(errors).all() for errors in nobody.errors(np.ones((2, 3), np.int32)))
