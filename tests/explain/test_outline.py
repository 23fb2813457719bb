"""Outlines of heatmaps: one part, the one with the peak, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.explain.outline import outline


def test_an_empty_map_has_none() -> None:
    assert outline(np.zeros((8, 8), np.float32)) is None


def test_only_the_part_with_the_peak_is_outlined() -> None:
    heat = np.zeros((10, 20), np.float32)
    heat[1:3, 1:4] = 0.9
    heat[6:9, 12:18] = 1.0
    points = np.array(outline(heat))
    assert points.min(axis=0).tolist() == [12 / 20, 6 / 10]
    assert points.max(axis=0).tolist() == [18 / 20, 9 / 10]


@pytest.mark.parametrize("at", [(0, 0), (7, 7), (3, 4)])
def test_one_hot_pixel_has_an_outline_with_an_area(at: tuple[int, int]) -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[at] = 1.0
    found = outline(heat)
    assert found is not None
    points = np.array(found)
    assert (np.ptp(points, axis=0) == 1 / 8).all()
    assert len(points) == 5


def test_the_level_decides_how_much_is_outlined() -> None:
    rows, columns = np.mgrid[0:64, 0:64]
    heat = np.exp(-((rows - 32) ** 2 + (columns - 32) ** 2) / 200.0).astype(np.float32)
    spans = [float(np.ptp(np.array(outline(heat, level)), axis=0)[0]) for level in (0.2, 0.5, 0.8)]
    assert spans == sorted(spans, reverse=True)
    # half of the peak is at sqrt(200 ln 2) = 11.8 pixels
    assert abs(spans[1] * 64 / 2 - 11.8) < 1.0
