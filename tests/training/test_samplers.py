"""The contract of a sampler for each of them, and the formulas of their papers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from hilum.domain.errors import UsageError
from hilum.domain.members import members
from hilum.runs.recipe_parts import DataConfig
from hilum.training.data.samplers import classes, sampler
from hilum.training.data.samplers.inverse_frequency import weights
from hilum.training.data.samplers.repeat_factor import factors

CONFIG = DataConfig()
some_states = arrays(
    np.int8, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.integers(-2, 1)
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def labeled(*counts: int) -> np.ndarray:
    """So many films of the first finding alone, of the second, ...; the last count has none."""
    states = np.zeros((sum(counts), len(counts) - 1), np.int8)
    which = np.repeat(np.arange(len(counts)), counts)
    for finding in range(len(counts) - 1):
        states[which == finding, finding] = 1
    return states


# the contract


@pytest.fixture(params=members("hilum.training.data.samplers"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@given(some_states, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_an_order_has_rows_of_the_films_and_one_length(states: np.ndarray, seed: int) -> None:
    for name in members("hilum.training.data.samplers"):
        order = sampler(name).order(states, CONFIG, rng(seed))
        assert order.dtype == np.intp
        assert len(order) >= len(states)
        assert 0 <= order.min() <= order.max() < len(states)
        assert len(sampler(name).order(states, CONFIG, rng(seed + 1))) == len(order)
        np.testing.assert_array_equal(order, sampler(name).order(states, CONFIG, rng(seed)))


def test_another_seed_gives_another_order(name: str) -> None:
    orders = [sampler(name).order(labeled(5, 30, 65), CONFIG, rng(seed)) for seed in (0, 1)]
    assert orders[0].tolist() != orders[1].tolist()


def test_findings_never_seen_disturb_nothing(name: str) -> None:
    seen = labeled(5, 30, 65)
    unseen = np.column_stack([seen, np.full((100, 2), (0, -2), np.int8)])
    orders = [sampler(name).order(states, CONFIG, rng()) for states in (seen, unseen)]
    np.testing.assert_array_equal(*orders)


def test_without_labels_every_film_has_its_turn(name: str) -> None:
    states = np.full((200, 3), -2, np.int8)
    rows = np.concatenate([sampler(name).order(states, CONFIG, rng(s)) for s in range(10)])
    assert len(np.unique(rows)) == 200


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no sampler 'ballanced'.* Did you mean 'balanced'\?"):
        sampler("ballanced")


# shuffled


def test_shuffled_shows_every_film_once() -> None:
    order = sampler("shuffled").order(labeled(3, 7), CONFIG, rng())
    assert sorted(order) == list(range(10))


# balanced: Shen et al. 2016


def test_balanced_shows_every_class_equally_often() -> None:
    order = sampler("balanced").order(labeled(2, 10, 88), CONFIG, rng())
    which = np.repeat([0, 1, 2], [2, 10, 88])[order]
    assert sorted(np.bincount(which)) == [33, 33, 34]


def test_balanced_shows_the_films_of_a_class_in_rounds() -> None:
    order = sampler("balanced").order(labeled(7, 93), CONFIG, rng())
    of_rare = order[order < 7]
    for start in range(0, len(of_rare) - 6, 7):
        assert sorted(of_rare[start : start + 7]) == list(range(7))
    of_common = order[order >= 7]
    assert len(np.unique(of_common)) == len(of_common)


def test_balanced_has_the_expected_frequencies_with_several_findings_a_film() -> None:
    states = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0]], np.int8)
    member = classes(states).astype(float)
    expected = (member / member.sum(axis=0) / member.shape[1]).sum(axis=1)
    epochs = [sampler("balanced").order(states, CONFIG, rng(seed)) for seed in range(2000)]
    counts = np.bincount(np.concatenate(epochs), minlength=5)
    # drawn in rounds, the counts spread less than independent draws would: never too far
    assert chisquare(counts, expected * counts.sum()).pvalue > 0.01


# inverse frequency


def test_weights_of_single_findings_give_every_class_the_same_share() -> None:
    share = weights(labeled(2, 10, 88))
    by_class = [share[:2].sum(), share[2:12].sum(), share[12:].sum()]
    np.testing.assert_allclose(by_class, 1 / 3)


@given(some_states)
@settings(max_examples=40, deadline=None)
def test_every_class_has_at_least_its_share(states: np.ndarray) -> None:
    member, share = classes(states), weights(states)
    assert share.sum() == pytest.approx(1.0)
    assert (member.T @ share >= 1 / member.shape[1] - 1e-12).all()


def test_films_are_drawn_as_their_weights_say() -> None:
    states = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0], [0, 0], [0, 0]], np.int8)
    by_hand = np.array([1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])
    epochs = [sampler("inverse_frequency").order(states, CONFIG, rng(s)) for s in range(2000)]
    counts = np.bincount(np.concatenate(epochs), minlength=7)
    assert chisquare(counts, by_hand / by_hand.sum() * counts.sum()).pvalue > 0.01


# repeat factor: Gupta et al. 2019


def by_lvis(states: np.ndarray, threshold: float) -> list[float]:
    """Section B.2 as it reads, in exact fractions until the root."""
    count = len(states)
    frequency = [Fraction(int((column == 1).sum()), count) for column in states.T]
    return [
        max(
            (
                max(1.0, (threshold / float(frequency[c])) ** 0.5)
                for c, state in enumerate(film)
                if state == 1
            ),
            default=1.0,
        )
        for film in states
    ]


@given(some_states, st.floats(0.001, 1.0))
@settings(max_examples=40, deadline=None)
def test_factors_are_those_of_lvis(states: np.ndarray, threshold: float) -> None:
    np.testing.assert_allclose(factors(states, threshold), by_lvis(states, threshold))


def test_factors_are_rounded_at_random_and_hold_on_average() -> None:
    states, config = labeled(3, 17, 80), DataConfig(repeat_threshold=0.3)
    factor = factors(states, 0.3)
    epochs = [sampler("repeat_factor").order(states, config, rng(s)) for s in range(3000)]
    counts = np.array([np.bincount(rows, minlength=100) for rows in epochs])
    assert {len(rows) for rows in epochs} == {int(factor.sum())}
    assert (counts >= np.floor(factor) - 1).all()  # - 1: the row that the length leaves out
    assert (counts <= np.ceil(factor)).all()
    error = 4 * 0.5 / 3000**0.5 + 1 / len(states)
    np.testing.assert_allclose(counts.mean(axis=0), factor, atol=error)


def test_frequent_findings_are_not_repeated() -> None:
    order = sampler("repeat_factor").order(labeled(50, 50), CONFIG, rng())
    assert sorted(order) == list(range(100))
