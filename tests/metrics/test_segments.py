"""Sums over runs of films, against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.metrics.resampling import Segments


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(1, 6))
def test_equals_a_loop(seed: int, n: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    films = rng.integers(0, 8, n)
    ends = np.sort(rng.integers(0, n + 1, parts))
    weights, values = rng.integers(0, 4, (3, 9)), rng.normal(size=n)
    starts = [0, *ends[:-1]]
    whole = [weights[:, films[a:b]].sum(axis=1) for a, b in zip(starts, ends, strict=True)]
    assert (Segments(films, ends).sums(weights) == np.stack(whole, axis=1)).all()
    running = Segments(films, ends).running(weights)
    assert (np.diff(running, axis=1) == np.stack(whole, axis=1)).all()
    assert (running[:, 0] == 0).all()
    scaled = Segments(films, ends, values).sums(weights)
    for column, (a, b) in enumerate(zip(starts, ends, strict=True)):
        expected = (weights[:, films[a:b]] * values[a:b]).sum(axis=1)
        assert scaled[:, column] == pytest.approx(expected, abs=1e-12)
