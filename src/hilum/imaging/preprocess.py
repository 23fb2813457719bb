"""The one way from a film to a network's input, and back from its heatmap to the film.

What trained is what is served: a `Preprocessing` travels unchanged through configuration,
checkpoint and bundle, and its hash is bound into every operating point. A thumbnail is not for the
network: it is the small square at which films are compared with each other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hilum.domain.radiograph import Radiograph

__all__ = ["THUMBNAIL_SIDE", "Fit", "Placement", "Preprocessing", "thumbnail"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Fit(StrEnum):
    """Placement of an oblong film in the network's square input."""

    PAD = "pad"
    """Keep the film's aspect and center it between black bars. The heart keeps its shape."""
    STRETCH = "stretch"
    """Fill the square; the aspect is lost, as in most published training scripts."""


@dataclass(frozen=True)
class Placement:
    """The film's rectangle inside the square, in the square's pixels.

    Attributes:
        top, left: of the film's first row and column.
        height, width: of the film, at least 1.
    """

    top: int
    left: int
    height: int
    width: int


class Preprocessing(BaseModel):
    """The steps from a film to a network's input; frozen, hashed, and invertible to the film.

    Two steps, so that training can cache the first and augment between the two: `raster` does the
    geometry and ends in 8 bits, `normalize` does the arithmetic. The film is reduced by area
    averaging, as a sparse sample of a 1024-px film would alias ribs and vessels.

    Example:
        >>> film = Radiograph(np.ones((200, 100), np.float32), source="tall.png")
        >>> prep = Preprocessing(size=64)
        >>> prep.placement(film.shape)
        Placement(top=0, left=16, height=64, width=32)
        >>> batch = prep.normalize(prep.raster(film)[None])
        >>> batch.shape, batch.dtype
        ((1, 3, 64, 64), dtype('float32'))
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: Annotated[int, Field(ge=32)] = 224
    """Side of the square, in pixels."""
    fit: Fit = Fit.PAD
    channels: Literal[1, 3] = 3
    """Channels of the network's input; the gray film is repeated in each."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Subtracted from each channel, on the scale where white is 1. Default: ImageNet's."""
    std: tuple[Annotated[float, Field(gt=0.0)], ...] = IMAGENET_STD
    """Each channel is divided by it, after the mean. Default: ImageNet's."""
    clahe_clip: Annotated[float, Field(ge=0.0, le=40.0)] = 0.0
    """Clip limit of contrast-limited adaptive histogram equalization of the film, in 8 x 8 tiles;
    0 leaves the contrast as it is. Being here, it is done in serving too."""
    version: Literal[1] = 1
    """Version of these rules; a different version has a different geometry or arithmetic."""

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(
                    f"preprocessing.{name} must have one value for each of the {self.channels} "
                    f"channels; got {len(values)}"
                )
        return self

    def placement(self, shape: tuple[int, int]) -> Placement:
        """Return the rectangle of a film of (rows, columns) inside the square.

        >>> Preprocessing(size=100).placement((1000, 2000))
        Placement(top=25, left=0, height=50, width=100)
        """
        rows, columns = shape
        if self.fit is Fit.STRETCH:
            return Placement(0, 0, self.size, self.size)
        scale = self.size / max(rows, columns)
        height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
        return Placement((self.size - height) // 2, (self.size - width) // 2, height, width)

    def raster(self, film: Radiograph) -> NDArray[np.uint8]:
        """Return the film in the square: (S, S) uint8, black outside the film.

        A side that shrinks is averaged over area, one that grows is interpolated; then
        `round(255 x)`, and CLAHE within the film where `clahe_clip` asks for it.
        """
        import cv2

        place = self.placement(film.shape)
        pixels = film.pixels
        reduced = (min(place.width, film.shape[1]), min(place.height, film.shape[0]))
        if reduced != (film.shape[1], film.shape[0]):
            pixels = cv2.resize(pixels, reduced, interpolation=cv2.INTER_AREA)
        if reduced != (place.width, place.height):
            size = (place.width, place.height)
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        square = np.zeros((self.size, self.size), np.uint8)
        inside = square[place.top : place.top + place.height, place.left : place.left + place.width]
        inside[...] = np.clip(np.rint(pixels * np.float32(255.0)), 0.0, 255.0)
        if self.clahe_clip > 0.0:
            inside[...] = cv2.createCLAHE(self.clahe_clip, (8, 8)).apply(inside)
        return square

    def normalize(self, rasters: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's input: (B, S, S) uint8 to (B, C, S, S) float32.

        `(x / 255 - mean[c]) / std[c]`, through a table of 256 values a channel.

        Raises:
            ValueError: for another shape or type.
        """
        if rasters.ndim != 3 or rasters.dtype != np.uint8 or rasters.shape[1:] != (self.size,) * 2:
            raise ValueError(
                f"rasters must be (B, {self.size}, {self.size}) uint8; "
                f"got {rasters.shape} {rasters.dtype}"
            )
        import cv2

        levels = np.arange(256) / 255.0
        batch = np.empty((len(rasters), self.channels, self.size, self.size), np.float32)
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            table = ((levels - mean) / std).astype(np.float32)
            for film, raster in zip(batch, rasters, strict=True):
                film[channel] = cv2.LUT(raster, table)  # a quarter of the time of table[rasters]
        return batch

    def to_film(
        self,
        heatmap: NDArray[np.float32],
        shape: tuple[int, int],
        size: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Resample a map over the square onto the film: (h, w) to (H, W) float32.

        Bilinear, with cells as areas (`align_corners=False`); what lies on the black bars is
        dropped. Values keep their scale, so that two findings' maps stay comparable.

        Args:
            heatmap: (h, w), any size, spanning the whole square.
            shape: (rows, columns) of the film.
            size: (rows, columns) of the result, which spans the whole film; None for `shape`. The
                film's own placement counts, which is rounded to pixels of the square: that of a
                smaller picture of the film may be half a pixel beside it.

        Raises:
            ValueError: for a map that is not two-dimensional or is empty.
        """
        if heatmap.ndim != 2 or heatmap.size == 0:
            raise ValueError(f"a heatmap must be a non-empty (h, w) array; got {heatmap.shape}")
        place = self.placement(shape)
        high, wide = size or shape
        rows = _bilinear(high, place.top, place.height, self.size, heatmap.shape[0])
        columns = _bilinear(wide, place.left, place.width, self.size, heatmap.shape[1])
        return _product(rows, heatmap, columns)

    def peak_on_film(self, heatmap: NDArray[np.float32], shape: tuple[int, int]) -> float:
        """Return the largest value of `to_film(heatmap, shape)`, without making it.

        Between the centers of four cells the map is linear in each direction, so that its largest
        value there is at one of the four film pixels nearest to these centers.

        >>> cells = np.zeros((7, 7), np.float32)
        >>> cells[2, 3] = 1.0
        >>> round(Preprocessing().peak_on_film(cells, (2000, 1000)), 3)
        0.998
        """
        place = self.placement(shape)
        rows = _bilinear(shape[0], place.top, place.height, self.size, heatmap.shape[0])
        columns = _bilinear(shape[1], place.left, place.width, self.size, heatmap.shape[1])
        rows, columns = rows[_beside_centers(rows)], columns[_beside_centers(columns)]
        return float(_product(rows, heatmap, columns).max())

    def sha256(self) -> str:
        """Return the hash of all fields: equal hashes give equal inputs from equal films.

        `clahe_clip` counts only where it is on: operating points are bound to this hash, and those
        of older bundles knew no CLAHE.
        """
        off = set[str]() if self.clahe_clip else {"clahe_clip"}
        tree = self.model_dump(mode="json", exclude=off)
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=64)
def _bilinear(film: int, start: int, extent: int, square: int, cells: int) -> NDArray[np.float32]:
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


def _product(
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


def _beside_centers(weights: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the film pixels of an axis on either side of each cell's center, and the two ends."""
    first = np.argmax(weights > 0.0, axis=1)
    turns = np.flatnonzero(np.diff(first))
    return np.unique(np.concatenate([[0], turns, turns + 1, [len(weights) - 1]]))


THUMBNAIL_SIDE = 256
"""Side in px of the square."""


def thumbnail(film: Radiograph) -> NDArray[np.uint8]:
    """Return the film as a (256, 256) square of bytes, its sides squeezed to fit.

    >>> thumbnail(Radiograph(np.ones((2, 3), np.float32), source="a.png")).max()
    np.uint8(255)
    """
    import cv2

    small = cv2.resize(film.pixels, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    return np.rint(np.asarray(small) * 255.0).astype(np.uint8)
