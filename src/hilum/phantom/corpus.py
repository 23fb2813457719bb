"""A whole synthetic corpus as a value: its films are planned at once and drawn one by one."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from hilum.domain.errors import UsageError
from hilum.phantom.canvas import Field
from hilum.phantom.film import Drawing, draw_film
from hilum.phantom.plan import FilmPlan, Lesion, patient_plans

__all__ = [
    "Advance",
    "Drawing",
    "FilmPlan",
    "Lesion",
    "PhantomCorpus",
    "drawn",
    "write_film",
    "write_lines",
    "write_notice",
]

_TEST_SHARE = 0.2

_WORTH_WORKERS = 200
"""Films below which starting processes costs more than they save."""


@dataclass(frozen=True)
class PhantomCorpus:
    """Synthetic patients with NIH's findings, at NIH's rates.

    Attributes:
        patients: how many; NIH's mean of 3 to 4 films each, with its long tail.
        seed: everything follows from it.
        enrichment: 1.0 keeps NIH's prevalences; more multiplies the odds of rare findings
            (`hilum.phantom.plan.odds_scaled`), so that a small corpus holds some of each.
        size: side of the square films in pixels.

    Labels are what was drawn: there is no label noise, and difficulty comes from the spread of
    severities alone (`hilum.phantom.plan`).

    Raises:
        UsageError: for fewer than one patient, a size below 32 or an enrichment below 1.

    Example:
        >>> corpus = PhantomCorpus(patients=3, seed=1, size=64)
        >>> films = corpus.films()
        >>> films[0].image_id, corpus.draw(films[0]).pixels.shape
        ('00000001_000.png', (64, 64))
    """

    patients: int
    seed: int
    enrichment: float = 1.0
    size: int = 256

    def __post_init__(self) -> None:
        if self.patients < 1 or self.size < 32 or self.enrichment < 1.0 or self.seed < 0:
            raise UsageError(
                "a phantom corpus needs patients >= 1, seed >= 0, enrichment >= 1 and size >= 32; "
                f"got patients={self.patients}, seed={self.seed}, enrichment={self.enrichment}, "
                f"size={self.size}"
            )

    def films(self) -> tuple[FilmPlan, ...]:
        """Return every film's plan, by patient and follow-up."""
        return _planned(self.patients, self.seed, self.enrichment)

    def draw(self, plan: FilmPlan) -> Drawing:
        """Draw one film. Depends on the seed, the size and the plan only: draw in any order."""
        return draw_film(plan, self.seed, self.size)

    def drawings(self, workers: int = 1) -> Iterator[Drawing]:
        """Yield every film, in the order of `films()`.

        Args:
            workers: processes that draw; the films are the same for any number.
        """
        if workers <= 1 or len(self.films()) < _WORTH_WORKERS:
            yield from map(self.draw, self.films())
            return
        # spawned, not forked: a fork would copy whatever threads the caller already runs
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            yield from pool.map(self.draw, self.films(), chunksize=16)

    def test_patients(self) -> frozenset[str]:
        """Return the official test list's patients: one in five, at least one of two."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, 0x7E57)))
        count = round(_TEST_SHARE * self.patients) or int(self.patients > 1)
        chosen = rng.permutation(self.patients)[:count] + 1
        return frozenset(str(number) for number in chosen.tolist())


@cache
def _planned(patients: int, seed: int, enrichment: float) -> tuple[FilmPlan, ...]:
    numbers = range(1, patients + 1)
    return tuple(plan for number in numbers for plan in patient_plans(number, seed, enrichment))


Advance = Callable[[int, int], None]
"""Called with (films done, films in all) after each film."""

_WORKERS = 4
"""Processes that draw, at most; as many as there are processors below that."""
_ENCODING = {
    # 3 is twice as fast as the default of 6
    ".png": (cv2.IMWRITE_PNG_COMPRESSION, 3),
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
}
"""Encoder options by suffix; fixed, so that the bytes stay the same."""
_NOTICE = """\
Synthetic chest radiographs, drawn by hilum. These are not patients: no film, name, age or label
here belongs to anybody. {layout}

patients {patients}, films {films}, seed {seed}, enrichment {enrichment:g}, size {size}
"""


def drawn(corpus: PhantomCorpus, advance: Advance | None) -> Iterator[tuple[FilmPlan, Drawing]]:
    """Draw every film of a corpus with its plan, in order, in several processes if faster."""
    plans = corpus.films()
    drawings = corpus.drawings(workers=min(_WORKERS, os.cpu_count() or 1))
    for done, pair in enumerate(zip(plans, drawings, strict=True), start=1):
        yield pair
        if advance is not None:
            advance(done, len(plans))


def write_film(path: Path, pixels: Field) -> None:
    """Write pixels in [0, 1] as a gray 8-bit PNG or JPEG, by the path's suffix.

    Raises:
        OSError: when the film cannot be encoded or written.
    """
    gray = np.round(pixels * 255.0).astype(np.uint8)
    fine, encoded = cv2.imencode(path.suffix, gray, _ENCODING[path.suffix])
    if not fine:
        raise OSError(f"cannot encode {path.name}")
    path.write_bytes(encoded.tobytes())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines in UTF-8, each ended by a newline, on every system alike."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def write_notice(folder: Path, corpus: PhantomCorpus, layout: str) -> None:
    """Write the `SYNTHETIC.txt` by which readers know that a folder's films were drawn.

    Args:
        folder: where a reader looks for it: beside the tables.
        corpus: what was drawn.
        layout: what is imitated, and how it differs.
    """
    text = _NOTICE.format(
        layout=layout,
        patients=corpus.patients,
        films=len(corpus.films()),
        seed=corpus.seed,
        enrichment=corpus.enrichment,
        size=corpus.size,
    )
    (folder / "SYNTHETIC.txt").write_text(text, encoding="utf-8", newline="\n")
