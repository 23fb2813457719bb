"""Numbers about scores, as pure functions of arrays. Nothing here knows of models or files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.metrics.decision import net_benefit
    from hilum.metrics.ranking import (
        auroc,
        average_precision,
        sensitivity_at_specificity,
        specificity_at_sensitivity,
    )
    from hilum.metrics.reliability import brier, brier_skill, ece, log_loss
    from hilum.metrics.resampling import patient_resamples

__all__ = [
    "auroc",
    "average_precision",
    "brier",
    "brier_skill",
    "ece",
    "log_loss",
    "net_benefit",
    "patient_resamples",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
]

_FILES = ("decision", "ranking", "reliability", "resampling")


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing one metric does not load all."""
    if name in __all__:
        for file in _FILES:
            module = importlib.import_module(f"{__name__}.{file}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
