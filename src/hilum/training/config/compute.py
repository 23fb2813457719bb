"""Where and how the numbers are computed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["ComputeConfig"]


class ComputeConfig(Part):
    """Where and how the numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of convolutions; weights stay float32. auto: bfloat16 where the hardware computes in it.
    float16 scales its loss, and needs a GPU."""
    threads: int = Field(default=2, ge=1)
    """Pinned on a CPU, since results depend on it."""
    channels_last: bool = True
    """Channels last in memory: what fast convolutions want."""
    compile: bool = False
    """Through torch.compile: minutes of waiting first, faster steps after."""
    deterministic: bool = True
    """Only algorithms that give the same bits again. A CPU always does; a GPU is slower by it.
    float32 is never rounded to TF32."""
    checkpoint_minutes: float = Field(default=10.0, gt=0.0)
    """Minutes after which the state is written within a long epoch too; it always is after one."""
