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
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hilum.domain.radiograph import Radiograph
from hilum.imaging.resize import (
    Resize,
    axis_weights,
    beside_centers,
    enhanced,
    resampled,
    resized,
)

__all__ = ["THUMBNAIL_SIDE", "Depth", "Fit", "Placement", "Preprocessing", "thumbnail"]

_LATEST = ("equalize", "blur", "fill")
"""Fields that version 2 writes only where they are not the default, since it once had none."""
_LATER = ("resize", "depth", "shorter_side", *_LATEST)
"""Fields that version 1 does not have."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Fit(StrEnum):
    """Placement of an oblong film in the network's square input."""

    PAD = "pad"
    """Keep the film's aspect and center it between black bars. The heart keeps its shape."""
    STRETCH = "stretch"
    """Fill the square; the aspect is lost, as in most published training scripts."""
    CROP = "crop"
    """Keep the aspect and fill the square: what is beyond it at the longer sides is not seen."""
    CORNER = "corner"
    """Keep the aspect and put the film into the upper left corner of the square."""


class Depth(StrEnum):
    """Numbers of the raster between the geometry and the arithmetic."""

    EIGHT = "8"
    """Rounded to 256 levels."""
    FLOAT = "float"
    """Not rounded: float32 in [0, 1]."""


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

    Version 2 has the rules of published networks beside these: a crop, the resizing of other
    libraries, and rasters that are not rounded. With version 1 all of that is off.

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
    version: Literal[1, 2] = 1
    """Version of these rules; a different version has a different geometry or arithmetic."""
    resize: Resize = Resize.AREA
    """Rule of resizing (version 2)."""
    depth: Depth = Depth.EIGHT
    """Numbers of the raster (version 2)."""
    shorter_side: Annotated[int, Field(ge=32)] | None = None
    """Side in pixels to which the film's shorter side is resized before the crop (version 2). None
    cuts the largest centered square out of the film, and resizes that."""
    equalize: bool = False
    """Equalize the histogram of the whole film in 256 levels, before it is resized (version 2)."""
    blur: Literal[0, 3, 5, 7] = 0
    """Side in pixels of OpenCV's Gaussian blur of the whole film, before it is resized; 0 for no
    blur (version 2)."""
    fill: Annotated[int, Field(ge=0, le=255)] = 0
    """Gray level of the square beyond the film (version 2)."""

    @model_validator(mode="after")
    def _rules_of_version(self) -> Self:
        later = self.fit in (Fit.CROP, Fit.CORNER) or any(
            getattr(self, name) != type(self).model_fields[name].default for name in _LATER
        )
        if later and self.version == 1:
            raise ValueError(
                "preprocessing.version must be 2 for fit crop and corner, resize, depth, "
                "shorter_side, equalize, blur and fill; got version 1"
            )
        if self.shorter_side is not None and not (
            self.fit is Fit.CROP and self.shorter_side >= self.size
        ):
            raise ValueError(
                f"preprocessing.shorter_side belongs to fit crop and is at least the size "
                f"{self.size}; got {self.shorter_side} with fit {self.fit.value}"
            )
        if (self.clahe_clip or self.equalize or self.blur) and self.depth is Depth.FLOAT:
            raise ValueError(
                "preprocessing.clahe_clip, equalize and blur need 8 bits; depth is float"
            )
        return self

    @model_serializer(mode="wrap")
    def _of_version(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the rules that a version's older files and hashes do not know."""
        tree: dict[str, Any] = dump(self)
        fields = type(self).model_fields
        for name in _LATER if self.version == 1 else _LATEST:
            if self.version == 1 or getattr(self, name) == fields[name].default:
                tree.pop(name, None)
        return tree

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
        if self.fit is Fit.CROP:
            return self._beyond(rows, columns)
        if self.fit is Fit.CORNER:
            short = max(1, round(self.size / (max(shape) / min(shape))))
            sides = (self.size, short) if rows >= columns else (short, self.size)
            return Placement(0, 0, *sides)
        scale = self.size / max(rows, columns)
        height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
        return Placement((self.size - height) // 2, (self.size - width) // 2, height, width)

    def _beyond(self, rows: int, columns: int) -> Placement:
        """Return the rectangle of a film that is cropped: it begins before the square."""
        least = min(rows, columns)
        if self.shorter_side is None:
            scale = self.size / least
            top, left = (side // 2 - least // 2 for side in (rows, columns))
            height, width = (max(1, round(side * scale)) for side in (rows, columns))
            return Placement(-round(top * scale), -round(left * scale), height, width)
        # as torchvision does: the longer side is cut to whole pixels, the crop's start is rounded
        height, width = (int(self.shorter_side * side / least) for side in (rows, columns))
        top, left = (round((side - self.size) / 2.0) for side in (height, width))
        return Placement(-top, -left, height, width)

    @property
    def dtype(self) -> type[np.uint8] | type[np.float32]:
        """Type of the rasters."""
        return np.uint8 if self.depth is Depth.EIGHT else np.float32

    def raster(self, film: Radiograph) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return the film in the square: (S, S) uint8 or float32, `fill` outside the film.

        A side that shrinks is averaged over area, one that grows is interpolated, unless `resize`
        names a different rule; then `round(255 x)`, and CLAHE within the film where `clahe_clip`
        asks for it. With `depth` float nothing is rounded.
        """
        place = self.placement(film.shape)
        pixels, size = film.pixels, (place.height, place.width)
        if self.equalize or self.blur:
            pixels = enhanced(pixels, self.equalize, self.blur)
        if self.fit is Fit.CROP and self.shorter_side is None:
            least = min(film.shape)
            top, left = (side // 2 - least // 2 for side in film.shape)
            pixels, size = pixels[top : top + least, left : left + least], (self.size, self.size)
        rounded = self.depth is Depth.EIGHT
        made: Any = resized(pixels, size, self.resize, self.mean[0], rounded)
        if rounded:
            made = np.clip(np.rint(made * np.float32(255.0)), 0.0, 255.0).astype(np.uint8)
        if self.fit is Fit.CROP:
            top, left = (-place.top, -place.left) if self.shorter_side is not None else (0, 0)
            return np.ascontiguousarray(made[top : top + self.size, left : left + self.size])
        if self.clahe_clip > 0.0:
            import cv2

            made = cv2.createCLAHE(self.clahe_clip, (8, 8)).apply(made)
        beyond = self.fill if rounded else self.fill / 255.0
        square: Any = np.full((self.size, self.size), beyond, self.dtype)
        square[place.top : place.top + place.height, place.left : place.left + place.width] = made
        return square

    def normalize(self, rasters: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's input: (B, S, S) rasters to (B, C, S, S) float32.

        `(x / 255 - mean[c]) / std[c]`, through a table of 256 values a channel; without the 255
        for rasters of floats.

        Raises:
            ValueError: for another shape or type.
        """
        wanted = np.dtype(self.dtype)
        if rasters.ndim != 3 or rasters.dtype != wanted or rasters.shape[1:] != (self.size,) * 2:
            raise ValueError(
                f"rasters must be (B, {self.size}, {self.size}) {wanted}; "
                f"got {rasters.shape} {rasters.dtype}"
            )
        import cv2

        levels = np.arange(256) / 255.0
        batch = np.empty((len(rasters), self.channels, self.size, self.size), np.float32)
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            if self.depth is Depth.FLOAT:
                batch[:, channel] = (rasters - np.float32(mean)) / np.float32(std)
                continue
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
        dropped. Values keep their scale, so that two findings' maps stay comparable. Where a crop
        left the film unseen (`seen`), the map is 0.

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
        rows = axis_weights(high, place.top, place.height, self.size, heatmap.shape[0])
        columns = axis_weights(wide, place.left, place.width, self.size, heatmap.shape[1])
        film = resampled(rows, heatmap, columns)
        if self.fit is Fit.CROP:
            top, left, height, width = self.seen(shape)
            down, across = high / shape[0], wide / shape[1]
            film[: round(top * down)] = film[round((top + height) * down) :] = 0.0
            film[:, : round(left * across)] = film[:, round((left + width) * across) :] = 0.0
        return film

    def peak_on_film(self, heatmap: NDArray[np.float32], shape: tuple[int, int]) -> float:
        """Return the largest value of `to_film(heatmap, shape)`, without making it.

        Between the centers of four cells the map is linear in each direction, so that its largest
        value there is at one of the four film pixels nearest to these centers. What a crop leaves
        out repeats the values at its edge, and adds none.

        >>> cells = np.zeros((7, 7), np.float32)
        >>> cells[2, 3] = 1.0
        >>> round(Preprocessing().peak_on_film(cells, (2000, 1000)), 3)
        0.998
        """
        place = self.placement(shape)
        rows = axis_weights(shape[0], place.top, place.height, self.size, heatmap.shape[0])
        columns = axis_weights(shape[1], place.left, place.width, self.size, heatmap.shape[1])
        rows, columns = rows[beside_centers(rows)], columns[beside_centers(columns)]
        return float(resampled(rows, heatmap, columns).max())

    def seen(self, shape: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the part of a film of (rows, columns) that the network sees.

        Returns:
            Top, left, height and width, in the film's pixels: all of it unless `fit` is crop.

        >>> Preprocessing(fit=Fit.CROP, version=2).seen((100, 60))
        (20, 0, 60, 60)
        """
        if self.fit is not Fit.CROP:
            return 0, 0, *shape
        place = self.placement(shape)
        found: list[tuple[int, int]] = []
        for side, start, extent in zip(
            shape, (place.top, place.left), (place.height, place.width), strict=True
        ):
            scale = side / extent
            begin = max(0, round(-start * scale))
            found.append((begin, min(side, round((self.size - start) * scale)) - begin))
        (top, height), (left, width) = found
        return top, left, height, width

    def sha256(self) -> str:
        """Return the hash of all fields: equal hashes give equal inputs from equal films.

        `clahe_clip` counts only where it is on: operating points are bound to this hash, and those
        of older bundles knew no CLAHE.
        """
        tree = self.model_dump(mode="json")
        if not self.clahe_clip:
            del tree["clahe_clip"]
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


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
