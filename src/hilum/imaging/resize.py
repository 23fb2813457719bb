"""Rules of resizing: hilum's own, and those of the libraries that published networks came with.

They differ where it counts: scikit-image's rule moves the logits of a network by 0.45 % of their
range against OpenCV's average over area. Each is what its library gives, to 1e-6.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Resize", "axis_weights", "beside_centers", "enhanced", "resampled", "resized"]


class Resize(StrEnum):
    """Rule by which a film's pixels become those of the square."""

    AREA = "area"
    """OpenCV: a side that shrinks is averaged over area, one that grows is interpolated."""
    SKIMAGE = "skimage"
    """scikit-image's `resize(mode="constant")` of the normalized film, whose outside is 0: a
    Gaussian with deviation (factor - 1) / 2 where a side shrinks, then linear interpolation."""
    PIL_BILINEAR = "pil-bilinear"
    """Pillow's bilinear filter, as torchvision resizes an opened picture."""
    PIL_BICUBIC = "pil-bicubic"
    """Pillow's bicubic filter."""
    NEAREST = "nearest"
    """Pillow's nearest pixel, as Keras's `load_img` resizes by default."""
    OPENCV_LINEAR = "opencv-linear"
    """OpenCV's linear interpolation, the default of `cv2.resize`: nothing is averaged where a side
    shrinks."""


def resized(
    pixels: NDArray[np.float32],
    size: tuple[int, int],
    rule: Resize,
    outside: float,
    rounded: bool,
) -> NDArray[np.float32]:
    """Return a film of another size: (H, W) in [0, 1] to (h, w), float32.

    Args:
        pixels: the film.
        size: rows and columns.
        rule: of resizing.
        outside: gray value beyond the film's border, for scikit-image's rule.
        rounded: whether the result will be rounded to 8 bits: Pillow then works on 8 bits too.

    >>> resized(np.eye(2, dtype=np.float32), (4, 4), Resize.NEAREST, 0.0, False)[0].tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    if rule is Resize.AREA:
        return _by_area(pixels, size)
    if rule is Resize.SKIMAGE:
        return _by_gaussian(pixels, size, outside)
    if rule is Resize.OPENCV_LINEAR:
        return _by_opencv(pixels, size, rounded)
    from PIL import Image

    rows, columns = size
    filters = {
        Resize.PIL_BILINEAR: Image.Resampling.BILINEAR,
        Resize.PIL_BICUBIC: Image.Resampling.BICUBIC,
        Resize.NEAREST: Image.Resampling.NEAREST,
    }
    if rounded:
        small = Image.fromarray(_levels(pixels)).resize((columns, rows), filters[rule])
        return np.asarray(small).astype(np.float32) / np.float32(255.0)
    small = Image.fromarray(np.ascontiguousarray(pixels)).resize((columns, rows), filters[rule])
    return np.array(small, np.float32)


def enhanced(pixels: NDArray[np.float32], equalize: bool, blur: int) -> NDArray[np.float32]:
    """Return a film with its histogram equalized, then blurred, both by OpenCV in 256 levels.

    Args:
        pixels: (H, W) in [0, 1].
        equalize: whether to equalize the histogram.
        blur: side of the Gaussian kernel in pixels, whose deviation follows from it; 0 for none.

    >>> enhanced(np.array([[0.2, 0.4]], np.float32), True, 0).tolist()
    [[0.0, 1.0]]
    """
    import cv2

    made: Any = _levels(pixels)
    if equalize:
        made = cv2.equalizeHist(made)
    if blur:
        made = cv2.GaussianBlur(made, (blur, blur), 0)
    return made.astype(np.float32) / np.float32(255.0)


def _levels(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(pixels * np.float32(255.0)), 0.0, 255.0).astype(np.uint8)


def _by_opencv(
    pixels: NDArray[np.float32], size: tuple[int, int], rounded: bool
) -> NDArray[np.float32]:
    import cv2

    height, width = size
    given: Any = _levels(pixels) if rounded else pixels
    made: Any = cv2.resize(given, (width, height), interpolation=cv2.INTER_LINEAR)
    return made.astype(np.float32) / np.float32(255.0) if rounded else made


def _by_area(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    import cv2

    rows, columns = pixels.shape
    height, width = size
    filled: Any = pixels
    reduced: Any = (min(width, columns), min(height, rows))
    if reduced != (columns, rows):
        filled = cv2.resize(filled, reduced, interpolation=cv2.INTER_AREA)
    if reduced != (width, height):
        filled = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    return filled


def _by_gaussian(
    pixels: NDArray[np.float32], size: tuple[int, int], outside: float
) -> NDArray[np.float32]:
    rows, columns = pixels.shape
    # with the outside as 0, all that scikit-image does is linear, and one matrix for each axis
    shifted = np.ascontiguousarray(pixels) - np.float32(outside)
    down: Any = _axis(rows, size[0]) @ shifted
    across: Any = _axis(columns, size[1]) @ np.ascontiguousarray(down.T)
    made = np.ascontiguousarray(across.T) + np.float32(outside)
    least, most = float(pixels.min()), float(pixels.max())
    if not least <= outside <= most and made.min() <= outside <= made.max():
        least, most = min(least, outside), max(most, outside)
    return np.clip(made, np.float32(least), np.float32(most))


@lru_cache(maxsize=32)
def _axis(before: int, after: int) -> Any:
    """Return the (after, before) matrix of one axis: a Gaussian, then linear interpolation."""
    from scipy.sparse import csr_matrix

    factor = before / after
    kernel = np.ones(1)
    if factor > 1.0:
        sigma = (factor - 1.0) / 2.0
        reach = int(4.0 * sigma + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        kernel /= kernel.sum()
    half = len(kernel) // 2
    center = (np.arange(after) + 0.5) * factor - 0.5
    lower = np.floor(center).astype(np.intp)
    row, column, value = [], [], []
    for cell, share in ((lower, lower + 1 - center), (lower + 1, center - lower)):
        inside = (cell >= 0) & (cell < before)  # a cell beyond the border is the outside itself
        for step, weight in enumerate(kernel):
            at = cell + step - half
            kept = inside & (at >= 0) & (at < before)
            row.append(np.flatnonzero(kept))
            column.append(at[kept])
            value.append((share * weight)[kept])
    entries = (np.concatenate(value), (np.concatenate(row), np.concatenate(column)))
    made: Any = csr_matrix(entries, shape=(after, before))
    return made.astype(np.float32)


@lru_cache(maxsize=64)
def axis_weights(
    film: int, start: int, extent: int, square: int, cells: int
) -> NDArray[np.float32]:
    """Return (film, cells) weights of one axis, of the cells around each film pixel's center."""
    center = start + (np.arange(film) + 0.5) * extent / film
    position = np.clip(center * cells / square - 0.5, 0.0, cells - 1.0)
    lower = np.minimum(position.astype(np.intp), max(cells - 2, 0))
    weights = np.zeros((film, cells), np.float32)
    row = np.arange(film)
    weights[row, lower] = 1.0 - (position - lower)
    weights[row, np.minimum(lower + 1, cells - 1)] += position - lower
    weights.flags.writeable = False
    return weights


_NOTHING = np.empty((0, 0), np.float32)
"""What a product adds nothing to."""


def resampled(
    rows: NDArray[np.float32], heatmap: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return `rows @ heatmap @ columns.T`.

    By OpenCV: NumPy's BLAS starts its threads for products as small as these, and on a busy machine
    they cost a hundred times the product itself.
    """
    import cv2

    cells = np.ascontiguousarray(heatmap, np.float32)
    high = cv2.gemm(rows, cells, 1.0, _NOTHING, 0.0)
    wide = cv2.gemm(high, columns, 1.0, _NOTHING, 0.0, flags=cv2.GEMM_2_T)
    return np.asarray(wide, np.float32)


def beside_centers(weights: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the film pixels of an axis on either side of each cell's center, and the two ends."""
    first = np.argmax(weights > 0.0, axis=1)
    turns = np.flatnonzero(np.diff(first))
    return np.unique(np.concatenate([[0], turns, turns + 1, [len(weights) - 1]]))
