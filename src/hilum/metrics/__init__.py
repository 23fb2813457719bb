"""Numbers about scores, as pure functions of arrays. Nothing here knows of models or files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.metrics.comparison import holm
    from hilum.metrics.corp import reliability_curve
    from hilum.metrics.decision import net_benefit
    from hilum.metrics.kappa import cohen_kappa
    from hilum.metrics.localization import energy_share, pointing_game, region_iou
    from hilum.metrics.ranking import (
        auroc,
        average_precision,
        sensitivity_at_specificity,
        specificity_at_sensitivity,
    )
    from hilum.metrics.recalibration import slope_and_intercept
    from hilum.metrics.reliability import (
        Binning,
        brier,
        brier_skill,
        debiased_l2,
        ece,
        ece_null_95,
        log_loss,
    )
    from hilum.metrics.resampling import patient_resamples

__all__ = [
    "Binning",
    "auroc",
    "average_precision",
    "brier",
    "brier_skill",
    "cohen_kappa",
    "debiased_l2",
    "ece",
    "ece_null_95",
    "energy_share",
    "holm",
    "log_loss",
    "net_benefit",
    "patient_resamples",
    "pointing_game",
    "region_iou",
    "reliability_curve",
    "sensitivity_at_specificity",
    "slope_and_intercept",
    "specificity_at_sensitivity",
]

_PLACES = {
    "Binning": "hilum.metrics.reliability",
    "auroc": "hilum.metrics.ranking",
    "average_precision": "hilum.metrics.ranking",
    "brier": "hilum.metrics.reliability",
    "brier_skill": "hilum.metrics.reliability",
    "cohen_kappa": "hilum.metrics.kappa",
    "debiased_l2": "hilum.metrics.reliability",
    "ece": "hilum.metrics.reliability",
    "ece_null_95": "hilum.metrics.reliability",
    "energy_share": "hilum.metrics.localization",
    "holm": "hilum.metrics.comparison",
    "log_loss": "hilum.metrics.reliability",
    "net_benefit": "hilum.metrics.decision",
    "patient_resamples": "hilum.metrics.resampling",
    "pointing_game": "hilum.metrics.localization",
    "region_iou": "hilum.metrics.localization",
    "reliability_curve": "hilum.metrics.corp",
    "sensitivity_at_specificity": "hilum.metrics.ranking",
    "slope_and_intercept": "hilum.metrics.recalibration",
    "specificity_at_sensitivity": "hilum.metrics.ranking",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing one metric does not load all."""
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)
