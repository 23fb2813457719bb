"""Scores for a whole cohort: what calibration and evaluation work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, counted
from hilum.domain.record import Cohort
from hilum.domain.scores import Logits
from hilum.inference.engine import Engine
from hilum.reading.stack import read_stack

__all__ = ["Scored", "score_cohort"]


@dataclass(frozen=True, eq=False)
class Scored:
    """A cohort's films that could be scored, with their scores, row by row.

    Attributes:
        cohort: the N films that were scored, in the cohort's order.
        logits: (N, L).
        heatmaps: (N, L, h, w) float32.
        shapes: (rows, columns) of each film.
        notes: what was left out, and how many.
    """

    cohort: Cohort
    logits: Logits
    heatmaps: NDArray[np.float32]
    shapes: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]


def score_cohort(
    engine: Engine, cohort: Cohort, advance: Callable[[int, int], None] | None = None
) -> Scored:
    """Read and score every film of a cohort that is on disk.

    Args:
        engine: the network.
        cohort: the films; its label set must be the network's.
        advance: called with (done, total), films read.

    Raises:
        DatasetError: for another label set, or when no film can be read.
    """
    if cohort.labels.findings != engine.labels.findings:
        raise DatasetError(
            f"the cohort's findings must be the network's, in order; {cohort.labels.name} has "
            f"{', '.join(cohort.labels)}; {engine.labels.name} has {', '.join(engine.labels)}"
        )
    present = cohort.select(lambda record: record.path is not None)
    paths = [record.path for record in present.records if record.path is not None]
    stack = read_stack(paths, engine.preprocessing, advance=advance)
    if not stack.kept:
        raise DatasetError(
            f"scoring needs readable films; {cohort.dataset} has "
            f"{counted(len(cohort), 'row')} here and "
            f"{counted(len(present), 'film')} on disk, none readable"
        )
    kept = {present.records[position].image_id for position in stack.kept}
    notes: list[str] = []
    if len(present) < len(cohort):
        notes.append(f"{len(cohort) - len(present)} rows have no film on disk; left out")
    if stack.refused:
        notes.append(f"{counted(len(stack.refused), 'film')} could not be used; left out")
    output = engine.run(stack.rasters)
    scored = present.select(lambda record: record.image_id in kept)
    return Scored(scored, output.logits, output.heatmaps, stack.shapes, tuple(notes))
