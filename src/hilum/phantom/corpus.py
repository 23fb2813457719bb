"""A whole synthetic corpus as a value: its films are planned at once and drawn one by one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np

from hilum.domain.errors import UsageError
from hilum.phantom.film import Drawing, draw_film
from hilum.phantom.plan import FilmPlan, Lesion, patient_plans

__all__ = ["Drawing", "FilmPlan", "Lesion", "PhantomCorpus"]

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
    severities alone (`hilum.phantom.severity`).

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
        """Every film's plan, by patient and follow-up."""
        return _planned(self.patients, self.seed, self.enrichment)

    def draw(self, plan: FilmPlan) -> Drawing:
        """One film. Depends on the seed, the size and the plan only: draw in any order."""
        return draw_film(plan, self.seed, self.size)

    def drawings(self, workers: int = 1) -> Iterator[Drawing]:
        """Every film, in the order of `films()`.

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
        """The patients of the official test list: one in five, at least one when there are two."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, 0x7E57)))
        count = round(_TEST_SHARE * self.patients) or int(self.patients > 1)
        chosen = rng.permutation(self.patients)[:count] + 1
        return frozenset(str(number) for number in chosen.tolist())


@cache
def _planned(patients: int, seed: int, enrichment: float) -> tuple[FilmPlan, ...]:
    numbers = range(1, patients + 1)
    return tuple(plan for number in numbers for plan in patient_plans(number, seed, enrichment))
