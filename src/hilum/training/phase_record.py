"""What a phase was proved to have done, for run.json."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["PhaseRecord"]


class PhaseRecord(BaseModel):
    """What a phase was proved to have done: every trained tensor changed, no frozen one did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: str
    rates: dict[str, float]
    """Part to its peak learning rate."""
    trained: dict[str, int]
    """Part to the number of its tensors that trained."""
    frozen: int
    """Number of parameters and buffers that stayed as they were, to the bit."""
    backbone_before: str
    """Hash of the backbone's parameters and buffers at the phase's start."""
    backbone_after: str
    head_before: str
    """Hash of the findings' linear layer, at the phase's start."""
    head_after: str
