"""The network of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["ModelConfig"]


class ModelConfig(Part):
    """The network."""

    backbone: str = "densenet121"
    """A member of the backbones, or `timm/NAME` for any of timm's that has a feature map."""
    options: dict[str, int] = Field(default={})
    """Options of the backbone, such as `growth_rate`."""
    weights: Literal["imagenet"] | Path | None = None
    """Backbone weights to start from: `imagenet` fetches timm's, a path reads .safetensors, .pth,
    .pt, .ckpt or .tar; none starts from random."""
    weights_trained_on: str | None = None
    """What foreign weights have seen: a family of film lists, such as nih-random, or other words,
    such as ImageNet. A run's own checkpoint says it itself."""
    head: Literal["fresh", "inherited"] = "fresh"
    """inherited: the findings that a hilum checkpoint knows by name start from its head too."""
    half: bool = False
    """Store the exported network in float16: half the bytes. Weights are rounded before anything is
    measured, so what is calibrated is what is served; it computes in float32 or bfloat16 still."""
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Stochastic depth of backbones that have it (Huang et al. 2016)."""
