"""calibration_effect.json: what calibration did to probabilities, on films that did not fit it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.result import Interval, SplitFacts

__all__ = ["Believed", "CalibrationEffect", "Change", "FindingEffect"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Believed(_Frozen):
    """How far the probabilities of one finding can be believed."""

    mean_probability: Interval
    """Right where it is the prevalence."""
    brier: Interval
    log_loss: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval
    slope: Interval
    intercept: Interval
    o_e: Interval


class Change(_Frozen):
    """After less before, on the same resamples: below 0 is better, above 0 worse."""

    brier: Interval
    log_loss: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval


class FindingEffect(_Frozen):
    """One finding before and after."""

    n: int
    positives: int
    prevalence: float | None
    before: Believed
    after: Believed
    change: Change


class CalibrationEffect(_Frozen):
    """Every finding before and after calibration, and the mean change."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    split: SplitFacts
    before: str
    """What made the probabilities before, in words."""
    after: str
    interval: str
    seed: int
    resamples: int
    findings: dict[str, FindingEffect]
    macro_change: Change
    """The mean over findings with both classes."""
