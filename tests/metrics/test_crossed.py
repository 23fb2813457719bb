"""Seeds and patients apart: a nested simulation with known variances, and laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hilum.metrics.crossed import CrossedNumber, RunNumbers, run_resamples
from hilum.metrics.resampling import patient_resamples

PATIENTS, RESAMPLES, STUDIES = 80, 200, 500


@dataclass(frozen=True)
class Truth:
    """Standard deviations: of a run's own effect, of a patient's, of the two together."""

    seeds: float
    patients: float
    both: float


def numbers(
    rng: np.random.Generator, truth: Truth, runs: int, weights: NDArray[np.int32]
) -> RunNumbers:
    """Runs' means over patients, in a world where their variances are known."""
    own = rng.normal(0.0, truth.seeds, (runs, 1))
    patients = rng.normal(0.0, truth.patients, PATIENTS)
    values = own + patients + rng.normal(0.0, truth.both, (runs, PATIENTS))
    resampled = values @ (weights / weights.sum(axis=1, keepdims=True)).T
    drawn = run_resamples(runs, len(weights), rng)
    return RunNumbers(np.concatenate([values.mean(axis=1)[:, None], resampled], axis=1), drawn)


def studies(truth: Truth, runs: int) -> list[CrossedNumber]:
    """Differences of two sides that are equal in truth."""
    rng = np.random.default_rng(5)
    names = np.arange(PATIENTS).astype(str)
    found = []
    for _ in range(STUDIES):
        (weights,) = patient_resamples(names, RESAMPLES, rng)
        sides = [numbers(rng, truth, runs, weights) for _ in range(2)]
        found.append(CrossedNumber.between(*sides))
    return found


@pytest.mark.parametrize(
    "truth",
    [Truth(0.3, 1.0, 0.5), Truth(0.1, 0.3, 1.0), Truth(0.0, 1.0, 1.0), Truth(0.4, 0.1, 0.1)],
    ids=["both", "mostly chance", "no seeds", "mostly seeds"],
)
@pytest.mark.parametrize("runs", [3, 5])
def test_a_nested_simulation_recovers_both_variances(truth: Truth, runs: int) -> None:
    found = studies(truth, runs)
    seeds = np.array([one.by_seeds for one in found])
    patients = np.array([one.by_patients for one in found])
    true_seeds = 2 * truth.seeds**2 / runs
    true_patients = 2 * (truth.patients**2 + truth.both**2 / runs) / PATIENTS
    # the seeds' part is cut at 0, which lifts its mean where there is little to find
    lift = 0.6 * 2 * truth.both**2 / PATIENTS / runs
    error = seeds.std() / np.sqrt(STUDIES)
    assert true_seeds - 3 * error <= seeds.mean() <= true_seeds + lift + 3 * error
    error = patients.std() / np.sqrt(STUDIES)
    # the bootstrap's own bias is (n - 1) / n
    assert patients.mean() == pytest.approx(true_patients * (1 - 1 / PATIENTS), abs=4 * error)


@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("truth", [Truth(0.3, 1.0, 0.5), Truth(0.4, 0.1, 0.1)])
def test_the_interval_includes_seeds_and_patients(truth: Truth, runs: int) -> None:
    """95 % of intervals hold the truth; those of patients alone do not, so the test can fail."""
    found = studies(truth, runs)
    error = np.sqrt(0.05 * 0.95 / STUDIES)
    crossed = np.mean([covers(one.draws) for one in found])
    assert crossed >= 0.95 - 3 * error
    alone = np.mean(
        [abs(one.value) < 1.96 * np.sqrt(one.by_patients) for one in found]  # seeds left out
    )
    assert alone < 0.95 - 3 * error


def covers(draws: NDArray[np.float64]) -> bool:
    low, high = np.percentile(draws, [2.5, 97.5])
    return bool(low <= 0.0 <= high)


def test_draws_have_the_variance_of_a_mean_of_runs() -> None:
    truth = Truth(0.5, 0.0, 0.0)
    rng = np.random.default_rng(0)
    weights = np.ones((20_000, PATIENTS), np.int32)
    one = numbers(rng, truth, 4, weights)
    assert one.seed_variance == pytest.approx(one.values[:, 0].var(ddof=1))
    assert one.draws.var() == pytest.approx(one.values[:, 0].var(ddof=1) / 4, rel=0.05)


def test_one_run_a_side_is_the_paired_bootstrap() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(1, 101)) for _ in range(2))
    drawn = run_resamples(1, 100, rng)
    found = CrossedNumber.between(RunNumbers(first, drawn), RunNumbers(second, drawn))
    np.testing.assert_array_equal(found.draws, second[0, 1:] - first[0, 1:])
    assert found.by_seeds is None
    assert found.of_one_run is None


def test_a_side_of_one_run_leaves_seeds_unknown() -> None:
    rng = np.random.default_rng(0)
    one = RunNumbers(rng.normal(size=(1, 101)), run_resamples(1, 100, rng))
    five = RunNumbers(rng.normal(size=(5, 101)), run_resamples(5, 100, rng))
    assert CrossedNumber.between(one, five).by_seeds is None
    assert CrossedNumber.alone(five).by_seeds is not None


def test_resamples_without_a_value_stay_without() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 51))
    values[:, 7] = np.nan
    found = CrossedNumber.alone(RunNumbers(values, run_resamples(3, 50, rng)))
    assert np.flatnonzero(np.isnan(found.draws)).tolist() == [6]
    assert not np.isnan(found.by_patients)


@given(st.integers(2, 6), st.integers(0, 2**16), st.floats(-3.0, 3.0), st.floats(0.1, 5.0))
def test_moving_and_scaling_move_and_scale_both_parts(
    runs: int, seed: int, shift: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    values, drawn = rng.normal(size=(runs, 41)), run_resamples(runs, 40, rng)
    one = CrossedNumber.alone(RunNumbers(values, drawn))
    moved = CrossedNumber.alone(RunNumbers(shift + scale * values, drawn))
    assert one.by_seeds is not None
    assert moved.by_seeds == pytest.approx(scale**2 * one.by_seeds, rel=1e-6, abs=1e-9)
    assert moved.by_patients == pytest.approx(scale**2 * one.by_patients, rel=1e-6)
    np.testing.assert_allclose(moved.draws, shift + scale * one.draws, atol=1e-6)


@given(st.permutations(range(4)))
def test_the_order_of_runs_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(1)
    values, drawn = rng.normal(size=(4, 31)), run_resamples(4, 30, rng)
    one, other = RunNumbers(values, drawn), RunNumbers(values[order], drawn[:, order])
    np.testing.assert_allclose(one.draws, other.draws, atol=1e-12)
    assert one.seed_variance == pytest.approx(other.seed_variance)


def test_different_numbers_of_resamples_are_refused() -> None:
    one = RunNumbers(np.zeros((1, 3)), np.ones((2, 1)))
    two = RunNumbers(np.zeros((1, 4)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="paired resamples must both be"):
        CrossedNumber.between(one, two)
