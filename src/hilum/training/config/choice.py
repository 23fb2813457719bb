"""Which epoch is kept, and when to stop."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["ChoiceConfig", "Criterion"]


class Criterion(StrEnum):
    """What the kept epoch is best in, on tune."""

    AUROC = "auroc"
    """Macro AUROC over the findings that have both states on tune."""
    AVERAGE_PRECISION = "average_precision"
    """Macro average precision over the same."""
    LOSS = "loss"
    """The training loss."""


class ChoiceConfig(Part):
    """Which epoch is kept, and when to stop; both on tune."""

    by: Criterion = Criterion.AUROC
    patience: int = Field(default=0, ge=0)
    """Epochs without improvement after which a phase ends early; 0 never stops early."""
