"""Reference places of findings: readers' boxes, or the masks that a film was drawn with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError
from hilum.domain.radiograph import Radiograph
from hilum.domain.record import Cohort, Record
from hilum.imaging.preprocess import Preprocessing
from hilum.phantom.corpus import FilmPlan, PhantomCorpus

__all__ = ["DrawnMasks", "FilmRead", "ReaderBoxes", "Reference", "reference_of"]

_NOTICE = re.compile(r"^patients (\d+), films \d+, seed (\d+), enrichment ([\d.e+]+), size (\d+)$")


@dataclass(frozen=True, eq=False)
class FilmRead:
    """A film as it was read.

    Attributes:
        record: of the film.
        shape: its rows and columns.
        raster: (S, S) uint8, as the network saw it.
    """

    record: Record
    shape: tuple[int, int]
    raster: NDArray[np.uint8]


class Reference(Protocol):
    """Knows where findings are."""

    @property
    def words(self) -> str:
        """Description of the reference, in words."""
        ...

    def findings(self, record: Record) -> frozenset[str]:
        """Return the findings of a film that have a known place."""
        ...

    def masks(self, film: FilmRead) -> dict[str, NDArray[np.bool_]]:
        """(H, W) for each of them."""
        ...


@dataclass(frozen=True)
class ReaderBoxes:
    """The readers' boxes; a box covers the pixels whose center lies in it."""

    words: str = "reader boxes"

    def findings(self, record: Record) -> frozenset[str]:
        """Those with a box."""
        return frozenset(box.finding for box in record.boxes)

    def masks(self, film: FilmRead) -> dict[str, NDArray[np.bool_]]:
        """Return the union of a finding's boxes."""
        rows = (np.arange(film.shape[0]) + 0.5)[:, None] / film.shape[0]
        columns = (np.arange(film.shape[1]) + 0.5)[None, :] / film.shape[1]
        found: dict[str, NDArray[np.bool_]] = {}
        for box in film.record.boxes:
            inside = (rows >= box.y) & (rows <= box.y + box.height)
            inside = inside & (columns >= box.x) & (columns <= box.x + box.width)
            found[box.finding] = found.get(box.finding, inside) | inside
        return found


@dataclass(frozen=True)
class DrawnMasks:
    """The masks that films were drawn with, drawn again from the corpus's own numbers.

    Attributes:
        corpus: the films.
        preprocessing: of the network, by which a film is recognized.
    """

    corpus: PhantomCorpus
    preprocessing: Preprocessing
    words: str = "drawn masks"

    @cached_property
    def _plans(self) -> dict[str, FilmPlan]:
        return {plan.image_id: plan for plan in self.corpus.films()}

    def findings(self, record: Record) -> frozenset[str]:
        """Those that were drawn."""
        plan = self._plans.get(record.image_id)
        return frozenset(lesion.finding for lesion in plan.lesions) if plan else frozenset()

    def masks(self, film: FilmRead) -> dict[str, NDArray[np.bool_]]:
        """Return the masks that were drawn.

        Raises:
            DatasetError: when the film is not the one that is drawn from these numbers.
        """
        name = film.record.image_id
        drawing = self.corpus.draw(self._plans[name])
        pixels = np.rint(drawing.pixels * np.float32(255.0)) / np.float32(255.0)
        again = Radiograph(pixels.astype(np.float32), name)
        if again.shape != film.shape or (self.preprocessing.raster(again) != film.raster).any():
            raise DatasetError(
                f"a drawn film must be the one that its SYNTHETIC.txt describes; {name} is another "
                "film, so its masks are not known. Draw the corpus again with `hilum phantom`"
            )
        return drawing.masks


def reference_of(place: Path, cohort: Cohort, preprocessing: Preprocessing) -> Reference:
    """Return the masks of a phantom corpus in NIH's layout, or the readers' boxes of others.

    Args:
        place: the dataset's folder.
        cohort: what was read there.
        preprocessing: of the network.
    """
    notice = place / "SYNTHETIC.txt"
    if cohort.synthetic and cohort.dataset == "nih" and notice.is_file():
        for line in notice.read_text("utf-8").splitlines():
            if found := _NOTICE.match(line):
                patients, seed, size = (int(found[part]) for part in (1, 2, 4))
                corpus = PhantomCorpus(patients, seed, float(found[3]), size)
                return DrawnMasks(corpus, preprocessing)
    return ReaderBoxes()
