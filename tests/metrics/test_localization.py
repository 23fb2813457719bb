"""Pointing game, energy, CheXlocalize's numbers, boxes, and the position prior."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from hilum.metrics.localization import (
    box_overlaps,
    energy_share,
    film_interval,
    heatmap_boxes,
    hit,
    otsu_region,
    part_boxes,
    pointing_game,
    position_prior,
    prior_box,
    region_iou,
)


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


# CheXlocalize, by its own code, with sets and loops where it is short


def blobs(seed: int, rows: int = 40, columns: int = 30) -> np.ndarray:
    noise = np.random.default_rng(seed).random((5, 4)).astype(np.float32)
    heat = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.maximum(heat - 0.35, 0), np.float32)


def published_segmentation(cam: np.ndarray) -> np.ndarray:
    """`cam_to_segmentation` of CheXlocalize, without torch."""
    mask = cam - cam.min()
    mask = mask / mask.max()
    mask = np.uint8(255 * mask)
    threshold = cv2.threshold(mask, 0, int(mask.max()), cv2.THRESH_OTSU)[1]
    found = cv2.findContours(threshold, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    drawn = Image.new("1", (mask.shape[1], mask.shape[0]))
    for contour in found:
        if len(contour) > 1:
            points = [(int(p[0][0]), int(p[0][1])) for p in contour]
            ImageDraw.Draw(drawn).polygon(points, outline=1, fill=1)
    return np.array(drawn, dtype="int")


def otsu_by_brute_force(gray: np.ndarray) -> int:
    """The threshold of the largest variance between the two classes."""
    best, chosen = -1.0, 0
    for threshold in range(255):
        low, high = gray[gray <= threshold].astype(float), gray[gray > threshold].astype(float)
        if len(low) and len(high):
            between = len(low) * len(high) * (low.mean() - high.mean()) ** 2
            if between > best * (1 + 1e-12):
                best, chosen = between, threshold
    return chosen


@pytest.mark.parametrize("seed", range(8))
def test_otsu_region_is_chexlocalizes(seed: int) -> None:
    heat = blobs(seed)
    region = otsu_region(heat)
    assert np.array_equal(region, published_segmentation(heat) == 1)
    gray = np.uint8(255 * (heat - heat.min()) / (heat - heat.min()).max())
    hot = gray > otsu_by_brute_force(gray)
    assert hot[~region].sum() <= 3  # single pixels
    assert not (region & ~hot & ~published_segmentation(heat).astype(bool)).any()


def test_a_constant_map_has_no_region_and_a_ring_is_filled() -> None:
    assert not otsu_region(np.zeros((6, 6))).any()
    assert not otsu_region(np.full((6, 6), 3.0)).any()
    ring = np.zeros((9, 9))
    ring[2:7, 2:7] = 1.0
    ring[4, 4] = 0.0
    assert int(otsu_region(ring).sum()) == 25


def test_a_single_hot_pixel_is_no_region_as_published() -> None:
    heat = np.zeros((6, 6))
    heat[2, 3] = 1.0
    assert not otsu_region(heat).any()


@given(
    region=hnp.arrays(np.bool_, (5, 4)),
    mask=hnp.arrays(np.bool_, (5, 4)),
)
@settings(max_examples=50, deadline=None)
def test_region_iou_is_that_of_sets(region: np.ndarray, mask: np.ndarray) -> None:
    p, g = (set(zip(*np.nonzero(part), strict=True)) for part in (region, mask))
    exact = len(p & g) / len(p | g) if p | g else None
    assert region_iou(region, mask, true_positives_only=True) == (exact if p and g else None)
    assert region_iou(region, mask, true_positives_only=False) == (exact if g else None)


def test_the_hit_of_an_empty_map_is_its_first_pixel() -> None:
    mask = square(0, 0)
    assert hit(np.zeros((8, 8)), mask) is True
    assert hit(np.zeros((8, 8)), square(4, 4)) is False
    assert hit(np.ones((8, 8)), np.zeros((8, 8), bool)) is None
    heat = np.zeros((8, 8))
    heat[4, 5] = 1.0
    assert hit(heat, square(4, 4)) is True


def test_film_interval_takes_the_25th_and_the_975th_of_1000() -> None:
    values = np.array([0.2, np.nan, 0.9, 0.4, 0.5])
    rng = np.random.default_rng(0)
    rows = rng.integers(5, size=(1000, 5))
    draws = np.stack([np.bincount(row, minlength=5) for row in rows]).astype(np.int32)
    means = sorted(np.nanmean(values[row]) for row in rows)
    assert film_interval(values, draws) == pytest.approx((means[24], means[974]))


# boxes


def flooded(region: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Boxes of the parts, by flood fill."""
    left = {(int(r), int(c)) for r, c in np.argwhere(region)}
    boxes: list[tuple[int, int, int, int]] = []
    while left:
        part, todo = set(), [min(left)]
        while todo:
            row, column = todo.pop()
            if (row, column) in left:
                left.remove((row, column))
                part.add((row, column))
                todo += [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        rows, columns = zip(*part, strict=True)
        boxes.append((min(rows), min(columns), max(rows) + 1, max(columns) + 1))
    return sorted(boxes)


@given(region=hnp.arrays(np.bool_, (7, 6)))
@settings(max_examples=50, deadline=None)
def test_part_boxes_are_those_of_a_flood(region: np.ndarray) -> None:
    assert sorted(map(tuple, part_boxes(region).tolist())) == flooded(region)


def test_crumbs_get_no_box() -> None:
    region = np.zeros((8, 8), bool)
    region[0:4, 0:5] = region[7, 7] = True
    assert part_boxes(region, 0.15).tolist() == [[0, 0, 4, 5]]
    assert len(part_boxes(region, 0.05)) == 2


@pytest.mark.parametrize("seed", range(4))
def test_heatmap_boxes_are_cut_at_60_and_180_of_255(seed: int) -> None:
    heat = blobs(seed)
    scaled = heat.astype(float) / heat.max() * 255
    wanted = flooded(scaled > 60) + flooded(scaled > 180)
    assert sorted(map(tuple, heatmap_boxes(heat).tolist())) == sorted(wanted)
    assert heatmap_boxes(np.zeros((3, 3))).shape == (0, 4)


corners = st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(1, 4)] * 2)


@given(one=corners, two=corners)
@settings(max_examples=50, deadline=None)
def test_box_overlaps_are_counts_of_pixels(
    one: tuple[int, int, int, int], two: tuple[int, int, int, int]
) -> None:
    def pixels(corner: tuple[int, int, int, int]) -> set[tuple[int, int]]:
        row, column, height, width = corner
        return {(row + i, column + j) for i in range(height) for j in range(width)}

    boxes = [np.array([[r, c, r + h, c + w]], np.int32) for r, c, h, w in (one, two)]
    iou, iobb = box_overlaps(*boxes)
    p, g = pixels(one), pixels(two)
    assert iou[0, 0] == pytest.approx(len(p & g) / len(p | g))
    assert iobb[0, 0] == pytest.approx(len(p & g) / len(p))


def test_no_box_overlaps_with_nothing() -> None:
    none = np.zeros((0, 4), np.int32)
    assert box_overlaps(none, np.array([[0, 0, 1, 1]], np.int32))[0].shape == (0, 1)
    assert prior_box(np.zeros((3, 3))).shape == (0, 4)


BOXES = Path(__file__).resolve().parents[3] / "shared" / "data" / "tables" / "BBox_List_2017.csv.gz"

KNOWN = {
    # finding: films, prior's pointing, energy, its box's IoU > 0.1, 0.3, 0.5, IoBB > 0.1
    "Atelectasis": (180, 0.178, 0.106, 0.356, 0.072, 0.033, 0.361),
    "Cardiomegaly": (146, 0.986, 0.686, 1.000, 0.993, 0.849, 1.000),
    "Effusion": (153, 0.359, 0.167, 0.529, 0.046, 0.000, 0.542),
    "Infiltrate": (123, 0.504, 0.243, 0.789, 0.260, 0.081, 0.805),
    "Mass": (85, 0.306, 0.117, 0.306, 0.071, 0.024, 0.306),
    "Nodule": (79, 0.000, 0.021, 0.000, 0.000, 0.000, 0.000),
    "Pneumothorax": (98, 0.316, 0.137, 0.459, 0.092, 0.000, 0.469),
}


@pytest.mark.skipif(not BOXES.is_file(), reason="NIH's box list is not here")
@pytest.mark.parametrize("finding", KNOWN)
def test_the_prior_has_its_known_numbers_on_nihs_boxes(finding: str) -> None:
    """To the rounding of a grid of 256: the known numbers are of another."""
    with gzip.open(BOXES, "rt") as file:
        rows = [row for row in list(csv.reader(file))[1:] if row[1] == finding]
    center = (np.arange(256) + 0.5) * 4
    masks = np.stack(
        [
            ((center >= y) & (center <= y + h))[:, None] & ((center >= x) & (center <= x + w))[None]
            for x, y, w, h in ([float(side) for side in row[2:6]] for row in rows)
        ]
    )
    priors = position_prior(masks)
    found: list[list[float]] = []
    for prior, mask in zip(priors, masks, strict=True):
        iou, iobb = (o[0, 0] for o in box_overlaps(prior_box(prior), part_boxes(mask)))
        pointed = pointing_game(prior, mask) is True
        energy = energy_share(prior, mask) or 0.0
        found.append([pointed, energy, iou > 0.1, iou > 0.3, iou > 0.5, iobb > 0.1])
    films, *known = KNOWN[finding]
    assert len(masks) == films
    assert np.abs(np.mean(found, axis=0) - known).max() < 0.03
