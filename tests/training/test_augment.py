"""Augmentation: drawn within its bounds, the same for the same seed, and never a mirror."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.training.augment import Change, apply, draw
from hilum.training.config import AugmentConfig

NOTHING = Change(0, 1, 0, 0, 0, 1, 1, 0, 0, 0)
STILL = dict.fromkeys(AugmentConfig.model_fields, 0.0)
FILM = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)


def test_no_change_changes_nothing() -> None:
    np.testing.assert_array_equal(apply(FILM, NOTHING), FILM)
    drawn = draw(AugmentConfig(**STILL), np.random.default_rng(0))
    np.testing.assert_array_equal(apply(FILM, drawn), FILM)


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_change_stays_within_its_bounds(seed: int) -> None:
    config = AugmentConfig(blur_sigma_px=1.5, noise=0.1)
    change = draw(config, np.random.default_rng(seed))
    assert abs(change.angle_degrees) <= config.rotation_degrees
    assert abs(change.scale - 1) <= config.scale
    assert max(abs(change.shift_x), abs(change.shift_y)) <= config.shift
    assert abs(change.brightness) <= config.brightness
    assert abs(change.contrast - 1) <= config.contrast
    assert abs(change.gamma - 1) <= config.gamma
    assert 0 <= change.blur_sigma_px <= config.blur_sigma_px
    assert 0 <= change.noise <= config.noise


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_film(seed: int) -> None:
    config = AugmentConfig(blur_sigma_px=1.5, noise=0.1)
    films = [apply(FILM, draw(config, np.random.default_rng(seed))) for _ in range(2)]
    np.testing.assert_array_equal(*films)
    assert (films[0].shape, films[0].dtype) == (FILM.shape, FILM.dtype)
    other = apply(FILM, draw(config, np.random.default_rng(seed + 1)))
    assert (other != films[0]).any()


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_left_stays_left(seed: int) -> None:
    film = np.zeros((64, 64), np.uint8)
    film[16:48, 8:16] = 200
    changed = apply(film, draw(AugmentConfig(), np.random.default_rng(seed)))
    left, right = changed[:, :32].mean(), changed[:, 32:].mean()
    assert left > right


def test_the_film_itself_is_left_alone() -> None:
    before = FILM.copy()
    apply(FILM, replace(NOTHING, angle_degrees=5, noise=0.1, blur_sigma_px=1))
    np.testing.assert_array_equal(FILM, before)


@pytest.mark.parametrize(
    ("change", "grey"),
    [
        ({"brightness": 0.2}, 151),  # 100 + 0.2 * 255
        ({"contrast": 0.5}, 114),  # (100 / 255 - 0.5) * 0.5 + 0.5, of 255
        ({"gamma": 2.0}, 39),  # (100 / 255) ** 2, of 255
        ({"brightness": 1.0}, 255),
        ({"brightness": -1.0}, 0),
    ],
)
def test_grey_levels_by_hand(change: dict[str, float], grey: int) -> None:
    film = np.full((8, 8), 100, np.uint8)
    np.testing.assert_array_equal(apply(film, replace(NOTHING, **change)), grey)


def test_a_shift_moves_right_and_down_and_fills_with_black() -> None:
    moved = apply(FILM, replace(NOTHING, shift_x=0.25, shift_y=0.125))
    np.testing.assert_array_equal(moved[8:, 16:], FILM[:-8, :-16])
    assert not moved[:8].any()
    assert not moved[:, :16].any()


def test_noise_has_the_spread_asked_for() -> None:
    film = np.full((256, 256), 128, np.uint8)
    noisy = apply(film, replace(NOTHING, noise=0.05, noise_seed=3)).astype(float)
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.05)
    assert noisy.mean() == pytest.approx(127.5, abs=0.3)  # cut to whole levels, not rounded


def test_blur_smooths() -> None:
    assert apply(FILM, replace(NOTHING, blur_sigma_px=1.5)).std() < 0.5 * FILM.std()
