"""How the learning rate goes over a phase: a factor on every part's peak."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from hilum.runs.recipe_parts import Criterion, Schedule, ScheduleConfig
from hilum.training.optimisation.choice import Streak

__all__ = ["Plateau", "factor"]


def factor(config: ScheduleConfig, step: int, steps: int, reductions: int = 0) -> float:
    """What every peak rate is multiplied by in one step of a phase.

    With w = floor(warmup * steps): (step + 1) / w while step < w. Then 1 (constant),
    (1 + cos(pi (step - w) / (steps - w))) / 2 (cosine), or factor ** reductions (plateau). Never
    0: a step that is taken moves the weights.

    Args:
        config: of the run.
        step: optimiser steps of the phase that went before, 0 to `steps` - 1.
        steps: of the whole phase.
        reductions: that `Plateau` counts.

    Returns:
        In (0, 1].

    Source: Loshchilov & Hutter 2017 for the cosine, Goyal et al. 2017 for the warm-up; equal to
    torch's LinearLR followed by CosineAnnealingLR.

    Example:
        >>> config = ScheduleConfig(warmup=0.2)
        >>> [round(factor(config, step, 10), 3) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    # 0.29 * 100 is a little less than 29
    warm = math.floor(config.warmup * steps + 1e-9)
    if step < warm:
        return (step + 1) / warm
    if config.name is Schedule.COSINE:
        return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / (steps - warm)))
    if config.name is Schedule.PLATEAU:
        return config.factor**reductions
    return 1.0


class Plateau:
    """Counts how often tune stood still for more than `patience` epochs of a phase.

    Any improvement counts, however small; an epoch that could not be measured says nothing.
    Equal to torch's ReduceLROnPlateau with a threshold of 0.

    Example:
        >>> plateau = Plateau(ScheduleConfig(patience=1), Criterion.AUROC)
        >>> for value in (0.7, 0.6, 0.7, 0.8):
        ...     plateau.offer(value)
        >>> plateau.reductions
        1
    """

    def __init__(self, config: ScheduleConfig, criterion: Criterion) -> None:
        self.config = config
        self.reductions = 0
        self._streak = Streak(criterion)

    def offer(self, value: float | None) -> None:
        """Take what the epoch reached on tune."""
        self._streak.offer(value)
        if self._streak.since > self.config.patience:
            self.reductions += 1
            self._streak.since = 0

    def state(self) -> dict[str, Any]:
        """What `resume` needs, as JSON can hold it."""
        return {
            "reductions": self.reductions,
            "best": self._streak.best,
            "since": self._streak.since,
        }

    @classmethod
    def resume(cls, config: ScheduleConfig, criterion: Criterion, state: Mapping[str, Any]) -> Self:
        """Go on from what `state` gave."""
        plateau = cls(config, criterion)
        plateau.reductions = state["reductions"]
        plateau._streak = Streak(criterion, state["best"], state["since"])
        return plateau
