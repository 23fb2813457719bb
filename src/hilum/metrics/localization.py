"""Whether a heatmap points to the finding, and whether it beats a guess made without the film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BOX_LEVELS",
    "box_overlaps",
    "energy_share",
    "film_interval",
    "heatmap_boxes",
    "hit",
    "otsu_region",
    "part_boxes",
    "pointing_game",
    "position_prior",
    "prior_box",
    "region_iou",
]

BOX_LEVELS = (60, 180)
"""Thresholds of 255 at which Wang et al. cut a heatmap and put boxes around what is left."""


def _checked(heatmap: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    heat = np.asarray(heatmap, np.float64)
    if heat.ndim != 2 or heat.shape != np.shape(mask):
        raise ValueError(
            f"heatmap and mask must both be (H, W); got {heat.shape} and {np.shape(mask)}"
        )
    if not np.isfinite(heat).all() or (heat < 0).any():
        raise ValueError("a heatmap must be finite and not negative")
    return heat


def pointing_game(heatmap: NDArray[np.floating], mask: NDArray[np.bool_]) -> bool | None:
    """Return whether the hottest pixel lies on the finding, without tolerance.

    Of equally hot pixels the first in row-major order counts. A hit says that the region raised the
    score, not that the finding's outline was drawn; large findings are hit by chance, so print the
    score of `position_prior` beside it.

    Args:
        heatmap: (H, W) evidence, >= 0, on the mask's grid.
        mask: (H, W) where the finding is.

    Returns:
        None where the map is empty (no evidence) or the mask is.

    Source: the hit rate of CheXlocalize (Saporta et al. 2022); Zhang et al. 2018.

    >>> pointing_game(np.array([[0.0, 2.0], [1.0, 2.0]]), np.array([[False, True], [False, False]]))
    True
    """
    heat = _checked(heatmap, mask)
    if heat.max(initial=0.0) == 0.0 or not mask.any():
        return None
    return bool(mask.ravel()[int(np.argmax(heat))])


def energy_share(heatmap: NDArray[np.floating], mask: NDArray[np.bool_]) -> float | None:
    """Return the share of the heatmap's total that lies on the finding, in [0, 1].

    Args:
        heatmap: (H, W) evidence, >= 0.
        mask: (H, W) where the finding is.

    Returns:
        None where the map or the mask is empty. A uniform map gets the mask's share of the film.

    >>> energy_share(np.array([[1.0, 3.0]]), np.array([[False, True]]))
    0.75
    """
    heat = _checked(heatmap, mask)
    total = float(heat.sum())
    if total == 0.0 or not mask.any():
        return None
    return float(heat[mask].sum()) / total


def position_prior(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return for each film the mean mask of all others: where the finding usually is.

    A heatmap that looks at no film at all. On NIH's boxes it points right in 99 % of cardiomegaly,
    so localization counts only as gain over it. Empty (zeros) for a single film.

    Args:
        masks: (N, H, W) where the finding is on each film, on one grid.

    Returns:
        (N, H, W) in [0, 1].

    >>> position_prior(np.array([[[True, False]], [[True, True]]]))[0]
    array([[1., 1.]], dtype=float32)
    """
    total = masks.sum(axis=0, dtype=np.float32)
    others = max(1, len(masks) - 1)
    return (total - masks.astype(np.float32)) / np.float32(others)


def hit(heatmap: NDArray[np.floating], mask: NDArray[np.bool_]) -> bool | None:
    """Return CheXlocalize's hit: whether the map's largest value lies on the finding.

    It differs from `pointing_game` for an empty map, whose largest value is its first pixel.

    Returns:
        None where the mask is empty.

    Source: `eval.py` of https://github.com/rajpurkarlab/cheXlocalize, `get_hit_rates`.

    >>> hit(np.zeros((1, 2)), np.array([[True, False]]))
    True
    """
    heat = _checked(heatmap, mask)
    return bool(mask.ravel()[int(np.argmax(heat))]) if mask.any() else None


def otsu_region(heatmap: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Segment a heatmap as CheXlocalize does: what is hotter than Otsu's threshold, filled.

    The map m becomes `(m - min) / max(m - min)`, then 8 bits by cutting decimals off; Otsu's
    threshold on these splits it in two; the outlines of the hot parts are drawn again as filled
    polygons, so holes close and single pixels go. A constant map has no region.

    Args:
        heatmap: (H, W), at the film's size: bilinear, `align_corners=False`.

    Returns:
        (H, W).

    Source: `heatmap_to_segmentation.py` of https://github.com/rajpurkarlab/cheXlocalize.

    >>> int(otsu_region(np.pad(np.ones((3, 3)), 2)).sum())
    9
    """
    import cv2
    from PIL import Image, ImageDraw

    heat = np.asarray(heatmap, np.float32)
    heat = heat - heat.min()
    if not (peak := heat.max()) > 0.0:
        return np.zeros(heat.shape, np.bool_)
    gray = (np.float32(255.0) * (heat / peak)).astype(np.uint8)
    _, hot = cv2.threshold(gray, 0, 255, cv2.THRESH_OTSU)
    # of nested outlines the outer one, filled, covers the inner ones
    outlines, _ = cv2.findContours(hot, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    region = Image.new("1", (heat.shape[1], heat.shape[0]))
    for outline in outlines:
        if len(outline) > 1:
            points = [(int(x), int(y)) for x, y in outline[:, 0]]
            ImageDraw.Draw(region).polygon(points, outline=1, fill=1)
    return np.asarray(region, np.bool_)


def region_iou(
    region: NDArray[np.bool_], mask: NDArray[np.bool_], true_positives_only: bool
) -> float | None:
    """Return CheXlocalize's intersection over union of a region and the finding: |P∧G| / |P∨G|.

    Args:
        region: (H, W) predicted.
        mask: (H, W) where the finding is.
        true_positives_only: leave out films where either is empty, not only those without finding.

    Returns:
        None where the film is left out.

    Source: `eval.py` of https://github.com/rajpurkarlab/cheXlocalize, `calculate_iou`.

    >>> region_iou(np.array([[True, True]]), np.array([[True, False]]), True)
    0.5
    """
    if not mask.any() or (true_positives_only and not region.any()):
        return None
    return float((region & mask).sum() / (region | mask).sum())


def film_interval(values: NDArray[np.float64], draws: NDArray[np.int32]) -> tuple[float, float]:
    """Return CheXlocalize's 95 % interval of a mean: films are resampled, not patients.

    Of the sorted means, those at `int(0.025 R) - 1` and `int(0.975 R) - 1` (1,000 resamples: the
    25th and 975th). Where patients have several films it is too narrow.

    Args:
        values: (N,) a film each; NaN where it is left out.
        draws: (R, N) how often each film stands in each resample.

    Returns:
        Lower and upper end; NaN where no resample has a value.

    Source: `eval.py` of https://github.com/rajpurkarlab/cheXlocalize, `compute_cis`.

    >>> film_interval(np.array([0.0, 1.0]), np.array([[2, 0], [1, 1], [0, 2]] * 40, np.int32))
    (0.0, 1.0)
    """
    there = ~np.isnan(values)
    counts = draws[:, there].sum(axis=1)
    total = draws[:, there] @ values[there]
    means = np.sort(np.divide(total, counts, out=np.full(len(draws), np.nan), where=counts > 0))
    low, high = (max(0, int(share * len(means)) - 1) for share in (0.025, 0.975))
    return float(means[low]), float(means[high])


def part_boxes(region: NDArray[np.bool_], least_share: float = 0.0) -> NDArray[np.int32]:
    """Return a box around each isolated part: (n, 4) top, left, bottom, right, half open.

    Args:
        region: (H, W). Pixels that touch at a corner belong together.
        least_share: parts of a smaller area, beside the largest part's, are crumbs and left out.

    >>> part_boxes(np.array([[True, False, True], [True, False, False]])).tolist()
    [[0, 0, 2, 1], [0, 2, 1, 3]]
    """
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    left, top, width, height, area = np.asarray(stats[1:], np.int32).T
    boxes = np.stack([top, left, top + height, left + width], axis=1)
    return boxes[area >= least_share * area.max(initial=0)]


def heatmap_boxes(
    heatmap: NDArray[np.floating], levels: tuple[int, ...] = BOX_LEVELS
) -> NDArray[np.int32]:
    """Return boxes around the isolated hot parts of a heatmap, as in Wang et al. 2017.

    The map's own maximum becomes 255; it is cut at each level in turn, and every part above it
    gets a box.

    Args:
        heatmap: (H, W) evidence, >= 0.
        levels: of 255.

    Returns:
        (n, 4) top, left, bottom, right, half open; none for an empty map.

    >>> heatmap_boxes(np.array([[0.0, 1.0, 4.0]])).tolist()
    [[0, 1, 1, 3], [0, 2, 1, 3]]
    """
    heat = np.asarray(heatmap, np.float32)
    peak = heat.max(initial=0.0)
    if not peak > 0.0:
        return np.zeros((0, 4), np.int32)
    parts = [part_boxes(heat > np.float32(level / 255.0) * peak) for level in levels]
    return np.concatenate(parts)


def box_overlaps(
    found: NDArray[np.int32], reference: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return IoU and IoBB of every found box with every reference box.

    `IoU = |P∩G| / |P∪G|` and `IoBB = |P∩G| / |P|`: a box around a coarse heatmap is mostly larger
    than the finding, so Wang et al. 2017 ask for one or the other.

    Args:
        found: (n, 4) top, left, bottom, right, half open.
        reference: (m, 4).

    Returns:
        Two (n, m) arrays in [0, 1].

    >>> iou, iobb = box_overlaps(np.array([[0, 0, 2, 2]]), np.array([[0, 1, 2, 4]]))
    >>> float(iou[0, 0]), float(iobb[0, 0])
    (0.25, 0.5)
    """
    corners = np.maximum(found[:, None, :2], reference[None, :, :2])
    ends = np.minimum(found[:, None, 2:], reference[None, :, 2:])
    both = np.clip(ends - corners, 0, None).prod(axis=2, dtype=np.float64)
    area = (found[:, 2:] - found[:, :2]).prod(axis=1, dtype=np.float64)[:, None]
    wanted = (reference[:, 2:] - reference[:, :2]).prod(axis=1, dtype=np.float64)[None, :]
    return both / (area + wanted - both), both / area


def prior_box(prior: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return the one box of a position prior: around all places with at least half of its peak.

    On NIH's boxes it has an IoU above 0.5 in 84 % of cardiomegaly, and looks at no film.

    Args:
        prior: (H, W), as of `position_prior`.

    Returns:
        (1, 4) top, left, bottom, right, half open; (0, 4) for an empty prior.

    >>> prior_box(np.array([[0.1, 0.4, 0.0, 0.8]])).tolist()
    [[0, 1, 1, 4]]
    """
    usual = (prior >= prior.max() / 2) & (prior > 0.0)
    rows, columns = np.flatnonzero(usual.any(axis=1)), np.flatnonzero(usual.any(axis=0))
    if not len(rows):
        return np.zeros((0, 4), np.int32)
    return np.array([[rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]], np.int32)
