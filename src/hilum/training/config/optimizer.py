"""How weights move: optimiser, schedule, average."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["OptimizerConfig", "Schedule", "ScheduleConfig"]


class OptimizerConfig(Part):
    """The optimiser and what it is fed."""

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=1e-4, ge=0.0)
    """Of kernels and matrices; biases and norms do not decay. Decoupled in adamw, an L2 term in
    adam and sgd, as in torch."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Of sgd, with Nesterov's look ahead."""
    clip_norm: float = Field(default=5.0, ge=0.0)
    """Largest norm of the gradient; 0 clips nothing."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients make one step."""


class Schedule(StrEnum):
    """How the learning rate goes over a phase, after the warm-up."""

    CONSTANT = "constant"
    COSINE = "cosine"
    """Half a cosine down to zero (Loshchilov & Hutter 2017)."""
    PLATEAU = "plateau"
    """Times `factor` when tune has not improved for `patience` epochs."""


class ScheduleConfig(Part):
    """How the learning rate goes over a phase."""

    name: Schedule = Schedule.COSINE
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Fraction of the phase over which the rate rises linearly to its peak."""
    factor: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Of plateau."""
    patience: int = Field(default=2, ge=0)
    """Of plateau: epochs without improvement that are forgiven."""
