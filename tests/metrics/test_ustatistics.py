"""U-statistics of readers and cases: against loops over all pairs, and exact expectations.

The raw ratings of Van Dyke's study are not in this repository, so iMRMC's figures of it cannot be
compared; brute force stands in their place.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hilum.metrics.ranking import auroc
from hilum.metrics.ustatistics import auroc_kernel, u_moments, u_test

Numbers = NDArray[np.float64]


def by_loops(terms: Numbers, present: NDArray[np.bool_]) -> float:
    """Variance by its definition: every pair of terms, grouped by what they share."""
    places = [place for place in product(*map(range, terms.shape)) if present[place]]
    groups: dict[tuple[bool, ...], list[float]] = {}
    for one, other in product(places, places):
        shared = tuple(a == b for a, b in zip(one, other, strict=True))
        groups.setdefault(shared, []).append(terms[one] * terms[other])
    apart = groups[(False,) * terms.ndim]
    square = sum(map(sum, groups.values())) / len(places) ** 2
    return square - sum(apart) / len(apart)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 3), st.integers(2, 4), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_moments_are_those_of_loops(readers: int, up: int, down: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = rng.normal(size=(readers, up, down))
    full = np.ones(terms.shape, np.bool_)
    assert u_moments(terms).variance == pytest.approx(by_loops(terms, full), abs=1e-9)
    read = rng.random((readers, up + down)) < 0.8  # an arbitrary design: some cases are skipped
    present = read[:, :up, None] & read[:, None, up:]
    try:
        found = u_moments(terms, present)
    except ValueError:
        return
    assert found.variance == pytest.approx(by_loops(terms, present), abs=1e-9)
    assert found.mean == pytest.approx(terms[present].mean())
    assert sum(found.weights.values()) == pytest.approx(1.0)


def test_the_variance_is_unbiased_to_1e_9() -> None:
    """All samples of two readers and two cases of each kind from a small world, each as likely.

    Readers, positive and negative cases are drawn independently, so every sample has the same
    chance. The mean of the estimates is the variance of the estimate over all samples.
    """
    rng = np.random.default_rng(8)
    world = np.round(rng.normal(size=(3, 3, 2)), 1)  # the term of each reader and pair of cases
    means, variances = [], []
    for r in product(range(3), repeat=2):
        for p in product(range(3), repeat=3):
            for n in product(range(2), repeat=2):
                found = u_moments(world[np.ix_(r, p, n)])
                means.append(found.mean)
                variances.append(found.variance)
    assert np.mean(variances) == pytest.approx(np.var(means), abs=1e-12)


def test_it_is_unbiased_where_readers_skip_cases() -> None:
    rng = np.random.default_rng(3)
    world = rng.normal(size=(2, 2, 2))
    read = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 1, 1]], np.bool_)  # three positive, two negative
    present = read[:, :3, None] & read[:, None, 3:]
    means, variances = [], []
    for r in product(range(2), repeat=2):
        for p in product(range(2), repeat=3):
            for n in product(range(2), repeat=2):
                found = u_moments(world[np.ix_(r, p, n)], present)
                means.append(found.mean)
                variances.append(found.variance)
    assert np.mean(variances) == pytest.approx(np.var(means), abs=1e-9)


def test_the_kernels_mean_is_the_mean_auroc() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(40) < 0.4
    ratings = rng.integers(1, 6, (3, 40)).astype(np.float64)
    areas = [auroc(truth, row) or 0.0 for row in ratings]
    kernel = auroc_kernel(truth, ratings)
    assert kernel.mean(axis=(1, 2)) == pytest.approx(areas)
    assert u_moments(kernel).mean == pytest.approx(np.mean(areas))
    ratings[0, 0] = np.nan
    assert np.isnan(auroc_kernel(truth, ratings)).any()


def test_fixed_readers_of_one_case_axis_are_the_usual_variance() -> None:
    values = np.random.default_rng(1).normal(size=30)
    assert u_moments(values).variance == pytest.approx(values.var(ddof=1) / 30)


def test_two_of_each_are_needed() -> None:
    for shape in ((1, 3, 3), (2, 1, 3), (2, 3, 1), (1,)):
        with pytest.raises(ValueError, match="two readers and two cases of each kind"):
            u_moments(np.zeros(shape))
    same = u_test(np.full((2, 4), 0.5))
    assert same.p is None  # no spread at all: nothing to test by
    assert same.mean == 0.5


def rejected(repetitions: int, readers: int = 5, cases: int = 40) -> float:
    """Share of studies that call two equal modalities different."""
    rng = np.random.default_rng(21)
    hits = 0
    truth = np.arange(2 * cases) < cases
    for _ in range(repetitions):
        hard, skill = rng.normal(size=2 * cases), 1.5 + 0.3 * rng.normal(size=(2, readers, 1))
        noise = rng.normal(size=(2, readers, 2 * cases))
        ratings = skill * truth + 0.7 * hard + 0.7 * noise
        first, second = (auroc_kernel(truth, one) for one in ratings)
        p = u_test(second - first).p
        hits += p is not None and p < 0.05
    return hits / repetitions


def test_equal_modalities_are_called_different_in_one_of_twenty() -> None:
    repetitions = 150
    assert rejected(repetitions) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repetitions)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_equal_modalities_in_4000_studies() -> None:
    assert rejected(4000) == pytest.approx(0.05, abs=0.02)
