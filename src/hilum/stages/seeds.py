"""Runs of one recipe that differ in their seed alone, each in a folder named by its seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hilum.domain.errors import UsageError
from hilum.runs.folder import Places, RunFolder
from hilum.stages.films import TrainingRequest

__all__ = ["PlannedRun", "plan_runs"]


@dataclass(frozen=True)
class PlannedRun:
    """One run to train.

    Attributes:
        request: recipe and films.
        places: where it is written.
        finished: whether it was trained before, with this recipe: then it is left as it is.
    """

    request: TrainingRequest
    places: Places
    finished: bool


def plan_runs(
    request: TrainingRequest,
    places: Places,
    seeds: int | None,
    resume: bool,
    main: bool = True,
) -> Sequence[PlannedRun]:
    """Return the runs to train: one in the folder itself, or several in folders below it.

    Several have the seeds that follow the recipe's, the same split, and are named `seed-7`. All
    folders are checked before the first is trained.

    Args:
        request: recipe and films.
        places: the folder of the run, or of the runs.
        seeds: how many; None for a single run.
        resume: whether stopped runs go on.
        main: whether this process writes, and so checks the folders; False for other ranks.

    Raises:
        UsageError: for folders that hold something else, stopped runs that are not to go on, or
            finished ones of a different recipe.
    """
    if seeds is None:
        done = resume and places.run.finished_with(request.config)
        return [_checked(PlannedRun(request, places, done), resume, main)]
    if seeds < 2:
        raise UsageError(f"--seeds must be 2 or more; got {seeds}")
    root = places.run.root
    if (root / "config.yaml").exists() or (root / "run.json").exists():
        raise UsageError(
            f"runs of several seeds are trained in folders of their own; {root} is a run. Name a "
            "different folder with -o"
        )
    planned: list[PlannedRun] = []
    first = request.config.seed
    for seed in range(first, first + seeds):
        own = replace(request, config=request.config.with_seed(seed))
        place = replace(places, run=RunFolder(root / f"seed-{seed}"))
        done = place.run.finished_with(own.config)
        planned.append(_checked(PlannedRun(own, place, done), resume, main))
    return planned


def _checked(planned: PlannedRun, resume: bool, main: bool) -> PlannedRun:
    if main and not planned.finished:
        planned.places.run.refuse_used(resume)
    return planned
