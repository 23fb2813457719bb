"""Brier score, log loss and calibration error, against others' code and toy values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from hilum.metrics.reliability import (
    Binning,
    bins_of,
    brier,
    brier_skill,
    debiased_l2,
    ece,
    ece_null_95,
    log_loss,
)


def drawn(seed: int, n: int = 200) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 3.0, n)
    return rng.random(n) < p**1.3, p


def equal_mass_by_hand(y: NDArray[np.bool_], p: NDArray[np.float64], bins: int) -> float:
    """Kumar et al.'s `get_ece_em`, written out: cut the sorted films, bisect with the midpoints."""
    parts = np.array_split(np.sort(p), min(bins, len(p)))
    edges = [(a[-1] + b[0]) / 2 for a, b in pairwise(parts)]
    bin_of = np.searchsorted(sorted(set(edges)), p, side="left")
    return sum(
        float((bin_of == b).mean() * abs(p[bin_of == b].mean() - y[bin_of == b].mean()))
        for b in np.unique(bin_of)
    )


@pytest.mark.parametrize("seed", range(5))
def test_losses_equal_scikit_learn(seed: int) -> None:
    y, p = drawn(seed)
    p[:2] = [0.0, 1.0]
    assert brier(y, p) == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert log_loss(y, p) == pytest.approx(sklearn_log_loss(y, p, labels=[0, 1]), abs=1e-12)


def test_the_prevalence_has_no_brier_skill() -> None:
    y, _ = drawn(0)
    share = float(y.mean())
    assert brier_skill(y, np.full(len(y), share), share) == 0.0
    assert brier_skill(y, y.astype(np.float64), share) == 1.0
    assert brier_skill(np.zeros(3, bool), np.full(3, 0.1), 0.0) is None


@pytest.mark.parametrize(
    ("p", "y", "bins", "expected"),
    [
        ([0.1, 0.7, 0.5, 0.9], [0, 1, 0, 1], 2, 0.25),
        ([0.1, 0.7, 0.5, 0.9], [0, 1, 0, 1], 4, 0.25),
        ([0.6, 0.7, 0.8, 0.9], [0, 0, 1, 1], 2, 0.4),
        ([0.5, 0.5, 0.5, 0.6, 0.5, 0.6, 0.6, 0.6, 0.6], [0, 1, 0, 1, 0, 1, 1, 1, 0], 15, 2 / 9),
        # four tied films stay together: 0.8 |0.1 - 0.25| + 0.2 |0.7 - 1|
        ([0.1, 0.1, 0.1, 0.1, 0.7], [0, 1, 0, 0, 1], 2, 0.18),
        ([0.1, 0.2], [0, 0], 15, 0.15),
    ],
)
def test_toy_values_of_verified_calibration(
    p: list[float], y: list[int], bins: int, expected: float
) -> None:
    for binning in Binning:
        if binning is Binning.EQUAL_WIDTH and bins != 15:
            continue
        value = ece(np.array(y, bool), np.array(p), bins, binning)
        assert value == pytest.approx(expected, abs=1e-12)


def test_toy_values_equal_the_package_they_come_from() -> None:
    from calibration.utils import plugin_ce

    from calibration import get_ece_em

    for p, y, bins in (
        ([0.1, 0.7, 0.5, 0.9], [0, 1, 0, 1], 2),
        ([0.6, 0.7, 0.8, 0.9], [0, 0, 1, 1], 2),
        ([0.1, 0.1, 0.1, 0.1, 0.7], [0, 1, 0, 0, 1], 2),
    ):
        theirs = get_ece_em(np.array(p), np.array(y), num_bins=bins)
        assert ece(np.array(y, bool), np.array(p), bins) == pytest.approx(theirs, abs=1e-12)
    # the root mean square of two bins, before chance is taken off, with which ours starts
    assert plugin_ce([[(0.3, 1.0)], [(0.6, 0.0)]], 2) == pytest.approx(0.6519202405, abs=1e-10)
    assert debiased_l2(np.array([True, False]), np.array([0.3, 0.6]), 2) == 0.0
    halves = np.array([0.5] * 4 + [0.6] * 5), np.array([0, 1, 0, 0, 1, 1, 1, 1, 0])
    bins = [[(0.5, y) for y in halves[1][:4]], [(0.6, y) for y in halves[1][4:]]]
    assert plugin_ce(bins, 1) == pytest.approx(2 / 9)
    assert plugin_ce(bins, 2) == pytest.approx(0.2236, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("digits", [2, 16])
def test_equal_mass_equals_uncertainty_calibration(seed: int, digits: int) -> None:
    from calibration import get_ece_em, lower_bound_scaling_ce

    y, p = drawn(seed, 2000)
    p = p.round(digits)
    theirs = get_ece_em(p, y.astype(int), num_bins=15)
    assert ece(y, p, 15) == pytest.approx(theirs, abs=1e-6)
    squared = lower_bound_scaling_ce(p, y.astype(int), p=2, debias=True, num_bins=15)
    assert debiased_l2(y, p, 15) == pytest.approx(squared, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.filterwarnings("ignore")
def test_equal_width_equals_netcal(seed: int) -> None:
    from netcal.metrics import ECE

    y, p = drawn(seed)
    theirs = ECE(15).measure(p, y.astype(int))
    assert ece(y, p, 15, Binning.EQUAL_WIDTH) == pytest.approx(theirs, abs=1e-6)


def test_the_debiased_error_of_a_calibrated_model_is_about_zero_and_of_others_is_theirs() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(1, 4, 1000)
    draws = [rng.random(1000) < p for _ in range(100)]
    zero = [debiased_l2(y, p) for y in draws]
    plain = [ece(y, p) for y in draws]
    assert 0.3 < np.mean([value == 0.0 for value in zero]) < 0.7
    assert min(value or 0.0 for value in plain) > 0.0
    shifted = np.clip(p + 0.1, 0, 1)
    assert debiased_l2(draws[0], shifted) == pytest.approx(0.1, abs=0.03)


def test_copies_of_every_film_leave_point_estimates_alone() -> None:
    # fifteen bins of equal mass are only cut at the same films where they divide their number
    y, p = drawn(4, 195)
    twice = np.tile(np.arange(len(y)), 2)
    for measure in (brier, log_loss, ece):
        assert measure(y[twice], p[twice]) == pytest.approx(measure(y, p), abs=1e-12)
    wide = [ece(y[films], p[films], 15, Binning.EQUAL_WIDTH) for films in (twice, slice(None))]
    assert wide[0] == pytest.approx(wide[1], abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 20))
def test_equal_mass_equals_kumar_written_out(seed: int, n: int, bins: int) -> None:
    y, p = drawn(seed, n)
    for rounded in (p, p.round(1)):
        expected = equal_mass_by_hand(y, rounded, bins)
        assert ece(y, rounded, bins) == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_equal_width_equals_torchmetrics(seed: int) -> None:
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import binary_calibration_error

    y, p = drawn(seed)
    p = p.astype(np.float32).astype(np.float64)
    target = torch.from_numpy(y.astype(np.int64))
    theirs = binary_calibration_error(torch.from_numpy(p), target, n_bins=15, norm="l1")
    assert ece(y, p, 15, Binning.EQUAL_WIDTH) == pytest.approx(float(theirs), abs=1e-6)


def test_the_prevalence_has_no_calibration_error_which_is_why_none_proves_nothing() -> None:
    y, _ = drawn(1)
    for binning in Binning:
        value = ece(y, np.full(len(y), y.mean()), 15, binning)
        assert value == pytest.approx(0.0, abs=1e-12)


def test_the_error_does_not_depend_on_the_order_of_rows() -> None:
    y, p = drawn(2)
    p = p.round(1)
    shuffled = np.random.default_rng(0).permutation(len(y))
    assert ece(y[shuffled], p[shuffled]) == pytest.approx(ece(y, p), abs=1e-12)


def test_a_film_on_an_edge_falls_above_it() -> None:
    sixths = np.arange(16) / 15
    assert bins_of(sixths, 15, Binning.EQUAL_WIDTH).tolist() == [*range(15), 14]


def test_the_null_band_covers_calibrated_models_and_not_others() -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(1.0, 4.0, 1000)
    band = ece_null_95(p, np.random.default_rng(0))
    assert band is not None
    calibrated = [ece(rng.random(1000) < p, p) or 0.0 for _ in range(100)]
    assert 0.88 <= np.mean([value <= band for value in calibrated]) <= 1.0
    assert (ece(rng.random(1000) < p, np.sqrt(p)) or 0.0) > band
    assert band == ece_null_95(p, np.random.default_rng(0))


def test_what_is_no_probability_is_refused() -> None:
    y = np.array([True, False])
    for wrong in ([0.5, 1.5], [-0.1, 0.5], [np.nan, 0.5]):
        with pytest.raises(ValueError, match="must lie in"):
            brier(y, np.array(wrong))
    with pytest.raises(ValueError, match="must both be"):
        ece(y, np.array([0.5]))


def test_no_films_have_no_number() -> None:
    none = np.array([], bool), np.array([], np.float64)
    assert brier(*none) is None
    assert log_loss(*none) is None
    assert ece(*none) is None
    assert debiased_l2(*none) is None
    assert ece_null_95(none[1], np.random.default_rng(0)) is None
