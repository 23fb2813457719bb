"""One stretch of training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["PhaseConfig"]


class PhaseConfig(Part):
    """One stretch of training: what trains in it, and how fast."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    trains: dict[str, Annotated[float, Field(gt=0.0)]] = Field(min_length=1)
    """Part to its peak learning rate; `all`, `head` (the findings' linear layer), `backbone`, or a
    module of the backbone, such as `features.denseblock4`. The longest name that fits a tensor
    rules it. All else, batch-norm statistics too, is proved unchanged by hash."""
    epochs: int = Field(ge=1)
    freeze_statistics: bool = False
    """Keep the batch-norm statistics of the trained parts too, as small batches call for."""
