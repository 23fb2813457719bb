"""Pointing game, energy and the position prior."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.metrics.localisation import energy_share, pointing_game, position_prior


def square(row: int, column: int, size: int = 8) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[row : row + 2, column : column + 2] = True
    return mask


def test_the_hottest_pixel_decides() -> None:
    heat = np.zeros((8, 8))
    heat[3, 4] = 2.0
    assert pointing_game(heat, square(3, 4)) is True
    assert pointing_game(heat, square(0, 0)) is False


def test_of_equal_pixels_the_first_in_rows_counts() -> None:
    heat = np.zeros((8, 8))
    heat[1, 6] = heat[5, 0] = 1.0
    assert pointing_game(heat, square(1, 6)) is True
    assert pointing_game(heat, square(5, 0)) is False


def test_an_empty_map_or_mask_is_no_evidence() -> None:
    assert pointing_game(np.zeros((8, 8)), square(0, 0)) is None
    assert energy_share(np.zeros((8, 8)), square(0, 0)) is None
    assert pointing_game(np.ones((8, 8)), np.zeros((8, 8), bool)) is None
    assert energy_share(np.ones((8, 8)), np.zeros((8, 8), bool)) is None


def test_a_uniform_map_has_the_masks_share() -> None:
    assert energy_share(np.ones((8, 8)), square(2, 2)) == pytest.approx(4 / 64)


def test_the_prior_never_sees_its_own_film() -> None:
    masks = np.stack([square(0, 0), square(4, 4), square(4, 4)])
    prior = position_prior(masks)
    assert prior.shape == masks.shape
    assert (prior[0] == square(4, 4)).all()
    assert prior[1].max() == 0.5
    assert prior[1][square(4, 4)].min() == 0.5
    # of the two equally usual places the first counts, so the prior misses all three
    hits = [pointing_game(p, m) for p, m in zip(prior, masks, strict=True)]
    assert hits == [False, False, False]


def test_a_single_film_has_no_prior() -> None:
    (prior,) = position_prior(square(0, 0)[None])
    assert pointing_game(prior, square(0, 0)) is None


def test_other_shapes_and_negative_heat_are_refused() -> None:
    with pytest.raises(ValueError, match="must both be"):
        pointing_game(np.ones((4, 4)), square(0, 0))
    with pytest.raises(ValueError, match="not negative"):
        energy_share(np.full((8, 8), -1.0), square(0, 0))
