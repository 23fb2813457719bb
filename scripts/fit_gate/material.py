"""Labeled squares to fit the gate's network on, each made from its own random stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.imaging.gate.picture import SIDE, seen
from scripts.fit_gate.pictures import MAKERS, jigsaw, symmetric
from scripts.fit_gate.spoiling import Labels, collage, exposed, padded, spoilt, turned

__all__ = ["LABELS", "Material", "Squares", "halves", "joined", "photographs", "small"]

Field = NDArray[np.float32]
LABELS = ("kind", "turn", "inverted", "photographed", "incomplete")
_OTHER = Labels(kind=1, photographed=0)
_COLLAGE = Labels(kind=2, photographed=0)
_SOURCES = {"nih": 0.66, "covid": 0.2, "phantom": 0.14}
"""Share of each source among the chest films drawn."""


@dataclass(frozen=True, eq=False)
class Squares:
    """(K, 64, 64) float16 squares, and (K, 5) labels in the order of `LABELS`; -1 is not asked."""

    pixels: NDArray[np.float16]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Material:
    """What squares are made from: reduced chest films by source, and photographs."""

    films: dict[str, list[Field]]
    photographs: list[Field]

    def squares(self, count: int, seed: int) -> Squares:
        """Labeled squares: 50 % chest films, 11 % collages, the rest no chest."""
        pixels = np.empty((count, SIDE, SIDE), np.float16)
        labels = np.empty((count, len(LABELS)), np.int64)
        for row in range(count):
            rng = np.random.default_rng((seed, row))
            picture, said = self._one(rng)
            pixels[row] = seen(picture)
            labels[row] = [getattr(said, name) for name in LABELS]
        return Squares(pixels, labels)

    def _film(self, rng: np.random.Generator) -> Field:
        source = str(rng.choice(list(_SOURCES), p=list(_SOURCES.values())))
        return self.films[source][rng.integers(len(self.films[source]))]

    def _one(self, rng: np.random.Generator) -> tuple[Field, Labels]:
        draw = rng.random()
        if draw < 0.5:
            return spoilt(self._film(rng), rng)
        if draw < 0.61:
            films = [exposed(self._film(rng), rng) for _ in range(int(rng.integers(1, 7)))]
            if rng.random() < 0.1:
                films[0] = self._other(rng)
            made = collage(films, rng)
            return (1 - made if rng.random() < 0.1 else made), _COLLAGE
        made = self._other(rng)
        made = symmetric(made, rng) if rng.random() < 0.2 else made
        made = padded(made, rng) if rng.random() < 0.15 else made
        return np.clip(made, 0, 1), _OTHER

    def _other(self, rng: np.random.Generator) -> Field:
        draw = rng.random()
        if draw < 0.25 and self.photographs:
            photo = self.photographs[rng.integers(len(self.photographs))]
            side = int(min(photo.shape) * rng.uniform(0.4, 1))
            y, x = (int(rng.integers(0, extent - side + 1)) for extent in photo.shape)
            made = turned(photo[y : y + side, x : x + side], int(rng.integers(8)))
            made = small(made)
            return 1 - made if rng.random() < 0.3 else exposed(made, rng)
        if draw < 0.4:
            return jigsaw(exposed(self._film(rng), rng), rng)
        maker = list(MAKERS.values())[rng.integers(len(MAKERS))]
        made = turned(maker(rng), int(rng.integers(8)))
        return exposed(made, rng, hard=0.05) if rng.random() < 0.5 else made


def joined(parts: Sequence[Squares]) -> Squares:
    """Several sets of squares as one, in order."""
    return Squares(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def small(film: Field, side: int = 192) -> Field:
    """At most `side` px on the longer side, by area averaging."""
    scale = side / max(film.shape)
    if scale >= 1:
        return np.ascontiguousarray(film)
    size = (round(film.shape[1] * scale), round(film.shape[0] * scale))
    return np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA), np.float32)


def photographs() -> dict[str, Field]:
    """Pictures that come with scikit-image, scikit-learn and matplotlib, by name; gray, [0, 1]."""
    import matplotlib
    import skimage
    import sklearn

    folders = (
        Path(skimage.__file__).parent / "data",
        Path(sklearn.__file__).parent / "datasets" / "images",
        Path(matplotlib.__file__).parent / "mpl-data" / "sample_data",
    )
    found: dict[str, Field] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".png", ".jpg"):
                continue
            gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            twin = path.name in ("motorcycle_left.png", "chessboard_RGB.png")
            if gray is not None and min(gray.shape) >= 128 and not twin:
                found[path.name] = gray.astype(np.float32) / np.float32(255)
    return found


def halves(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Every second name, in order, and the others."""
    ordered = sorted(names)
    return ordered[::2], ordered[1::2]
