"""calibration_effect.json: what calibration did to probabilities, on films that did not fit it."""

from __future__ import annotations

from hilum.domain.documents.base import NOT_A_DEVICE, Document, Interval, SplitFacts

__all__ = ["Believed", "CalibrationEffect", "EffectChange", "FindingEffect"]


class Believed(Document):
    """Calibration of one finding's probabilities."""

    mean_probability: Interval
    """Right where it is the prevalence."""
    brier: Interval
    log_loss: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval
    slope: Interval
    intercept: Interval
    o_e: Interval


class EffectChange(Document):
    """After less before, on the same resamples: below 0 is better, above 0 worse."""

    brier: Interval
    log_loss: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval


class FindingEffect(Document):
    """One finding before and after."""

    n: int
    positives: int
    prevalence: float | None
    before: Believed
    after: Believed
    change: EffectChange


class CalibrationEffect(Document):
    """Every finding before and after calibration, and the mean change."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    split: SplitFacts
    before: str
    """Source of the probabilities before, in words."""
    after: str
    interval: str
    seed: int
    resamples: int
    findings: dict[str, FindingEffect]
    macro_change: EffectChange
    """The mean over findings with both classes."""
