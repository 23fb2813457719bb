"""How alike two heatmaps are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["normalized", "rank_correlation", "structural_similarity"]

CELL_PX = 8
"""Pixels a cell, each way, that maps are compared at: SSIM's window then spans a cell and more."""
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def normalized(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map as a picture in [0, 1] at 8 px a cell, by its own minimum and maximum; 0 if constant.

    >>> normalized(np.array([[0.0, 2.0]], np.float32)).shape
    (8, 16)
    """
    import cv2

    span = float(heatmap.max()) - float(heatmap.min())
    unit = (heatmap - heatmap.min()) / np.float32(span) if span > 0.0 else np.zeros_like(heatmap)
    size = (heatmap.shape[1] * CELL_PX, heatmap.shape[0] * CELL_PX)
    return np.asarray(cv2.resize(unit, size, interpolation=cv2.INTER_LINEAR), np.float32)


def structural_similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """SSIM of two maps (Wang et al. 2004), mean over the picture, in [-1, 1]; 1 for the same.

    With local means m, variances v and covariance c in a Gaussian window of sigma 1.5 px,
    `(2 m1 m2 + C1)(2 c + C2) / ((m1² + m2² + C1)(v1 + v2 + C2))`, C1 = 0.01² and C2 = 0.03².
    Where both maps are 0 they count as alike, so SSIM has to be read beside a baseline.

    Args:
        first: (h, w), a cell an entry; compared as `normalised`.
        second: of the same shape.

    >>> heat = np.arange(16, dtype=np.float32).reshape(4, 4)
    >>> structural_similarity(heat, 5 * heat)
    1.0
    """
    import cv2

    def smooth(values: NDArray[np.float32]) -> NDArray[np.float64]:
        made = cv2.GaussianBlur(
            values.astype(np.float64), (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT_101
        )
        return np.asarray(made, np.float64)

    one, two = normalized(first), normalized(second)
    mean_one, mean_two = smooth(one), smooth(two)
    spread_one = smooth(one * one) - mean_one**2
    spread_two = smooth(two * two) - mean_two**2
    shared = smooth(one * two) - mean_one * mean_two
    top = (2.0 * mean_one * mean_two + _C1) * (2.0 * shared + _C2)
    below = (mean_one**2 + mean_two**2 + _C1) * (spread_one + spread_two + _C2)
    return float(np.mean(top / below))


def rank_correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Spearman's rank correlation of two maps' cells, in [-1, 1]; equal cells share their rank.

    0 where a map is constant: its ranks say nothing.

    >>> heat = np.arange(4, dtype=np.float32).reshape(2, 2)
    >>> rank_correlation(heat, heat**3), rank_correlation(heat, np.ones_like(heat))
    (1.0, 0.0)
    """
    from scipy.stats import rankdata

    one, two = (np.asarray(rankdata(heat, axis=None), np.float64) for heat in (first, second))
    one, two = one - one.mean(), two - two.mean()
    norm = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / norm if norm > 0.0 else 0.0
