"""Zone words: the patient's right is on the left of the film."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.domain.radiograph import ViewPosition
from hilum.explain.region import regions


def spot(*at: tuple[int, int, float]) -> np.ndarray:
    heat = np.zeros((90, 60), np.float32)
    for row, column, value in at:
        heat[row, column] = value
    return heat


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (0, 0, "right upper zone"),
        (45, 5, "right mid zone"),
        (89, 0, "right lower zone"),
        (10, 30, "central upper zone"),
        (45, 30, "central zone"),
        (80, 30, "central lower zone"),
        (0, 59, "left upper zone"),
        (45, 59, "left mid zone"),
        (89, 59, "left lower zone"),
    ],
)
def test_nine_zones(row: int, column: int, words: str) -> None:
    assert regions(spot((row, column, 3.0)), ViewPosition.PA) == (words,)
    assert regions(spot((row, column, 3.0)), ViewPosition.UNKNOWN) == (words,)


def test_both_sides_are_named_strongest_first_and_weak_ones_are_not() -> None:
    heat = spot((45, 5, 0.8), (45, 55, 1.0), (5, 5, 0.7))
    assert regions(heat, ViewPosition.AP) == ("left mid zone", "right mid zone")


def test_no_more_than_three_zones() -> None:
    assert len(regions(np.ones((9, 9), np.float32), ViewPosition.PA)) == 3


def test_a_lateral_has_no_sides() -> None:
    assert regions(spot((89, 0, 1.0), (89, 59, 1.0)), ViewPosition.LL) == ("lower zone",)


def test_no_evidence_names_nothing() -> None:
    assert regions(spot(), ViewPosition.PA) == ()


@given(row=st.integers(0, 89), column=st.integers(0, 59))
@settings(max_examples=25, deadline=None)
def test_the_mirrored_map_is_named_for_the_other_side(row: int, column: int) -> None:
    heat = spot((row, column, 1.0))
    swap = {"right": "left", "left": "right", "central": "central"}
    (name,) = regions(heat, ViewPosition.PA)
    (mirrored,) = regions(heat[:, ::-1], ViewPosition.PA)
    side, _, rest = name.partition(" ")
    assert mirrored == f"{swap[side]} {rest}"
