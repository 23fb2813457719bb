"""How films come to the network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["DataConfig"]


class DataConfig(Part):
    """How films come to the network."""

    sampler: str = "shuffled"
    """A member of the samplers: shuffled, balanced, inverse_frequency or repeat_factor."""
    repeat_threshold: float = Field(default=0.05, gt=0.0, le=1.0)
    """Of repeat_factor: findings rarer than this fraction of the films are repeated."""
    workers: int = Field(default=1, ge=1)
    """Threads that prepare batches ahead of the network; the result does not depend on it."""
    augment_on: Literal["cpu", "device"] = "cpu"
    """device: films go to it as they are, and are changed there, in whole batches."""
