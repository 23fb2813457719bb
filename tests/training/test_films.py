"""Films that belong together, and rows of a stack on disk that are not copied."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.training.data.films import Films, Rasters

STORE = np.random.default_rng(0).integers(0, 256, (5, 8, 8)).astype(np.uint8)
STATES = np.zeros((3, 2), np.int8)
NAMES = ("a", "b", "c")


def test_rows_of_a_store_are_indexed_as_an_array_is() -> None:
    rows = np.array([4, 0, 3])
    lazy, plain = Rasters(STORE, rows), STORE[rows]
    assert (len(lazy), lazy.shape, lazy.dtype) == (3, (3, 8, 8), np.uint8)
    for index in (1, slice(1, 3), slice(None), np.array([2, 2, 0])):
        np.testing.assert_array_equal(lazy[index], plain[index])
    assert np.shares_memory(lazy[1], STORE)


def test_films_know_their_number_and_side() -> None:
    for rasters in (STORE[:3], Rasters(STORE, np.array([4, 0, 3]))):
        films = Films(NAMES, rasters, STATES)
        assert (len(films), films.side) == (3, 8)


@pytest.mark.parametrize(
    ("names", "rasters", "states"),
    [
        (NAMES[:2], STORE[:3], STATES),
        (NAMES, STORE, STATES),
        (NAMES, STORE[:3, :4], STATES),
        (NAMES, STORE[:3].astype(np.float32), STATES),
        (NAMES, STORE[:3], STATES.astype(np.int64)),
        (NAMES, STORE[:3], STATES[:, 0]),
        (NAMES, Rasters(STORE, np.arange(2)), STATES),
    ],
)
def test_what_does_not_belong_together_is_refused(names, rasters, states) -> None:
    with pytest.raises(ValueError, match=r"N names, \(N, S, S\) uint8 rasters"):
        Films(names, rasters, states)
