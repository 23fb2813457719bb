"""comparison.json and calibration_effect.json: differences of numbers on the same resamples.

A comparison is of models on the same films; the effect of calibration is of one model's
probabilities before and after, on films that did not fit it.
"""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "Believed",
    "CalibrationEffect",
    "Comparison",
    "EffectChange",
    "FindingEffect",
    "ModelNumbers",
    "Pair",
    "PairDifference",
    "PairVerdict",
    "RunSpread",
]


class PairVerdict(StrEnum):
    """Verdict on a paired difference, after Holm's correction."""

    BETTER = "better"
    """The second model is better."""
    WORSE = "worse"
    """The second model is worse."""
    NOT_SEPARABLE = "not separable"
    """These films cannot tell the two apart. That is not proof that they are equal."""
    UNKNOWN = "unknown"
    """The difference does not exist here, or has no interval."""


class RunSpread(Document):
    """Standard errors of a number by source, where every model in it has several runs."""

    seeds: float
    """Standard error that seeds give the mean over the runs."""
    patients: float
    """Standard error that patients give it."""
    one_run: float
    """Standard deviation that seeds would give it with one run a model."""


class PairDifference(Document):
    """The second model's number less the first one's, drawn together."""

    difference: Interval
    p: float | None
    """Two-sided, of the paired patient bootstrap; null where there is none."""
    p_holm: float | None
    """The same after Holm's correction over the findings (macro: over the pairs)."""
    verdict: PairVerdict
    spread: RunSpread | None = None
    """What seeds and patients give it, apart; null where a model has a single run."""


class Pair(Document):
    """One model against another."""

    first: str
    second: str
    macro_auroc: PairDifference
    macro_average_precision: PairDifference
    auroc: dict[str, PairDifference]
    average_precision: dict[str, PairDifference]
    seeds: str = ""
    """Whether seeds were varied, in words."""
    words: str
    """The verdict on macro AUROC in a sentence."""


class ModelNumbers(Document):
    """One model's own macro numbers."""

    auroc: Interval
    average_precision: Interval
    test_auroc: Interval | None = None
    """AUROC on test, where it was evaluated: shown, never used for selection."""
    test_average_precision: Interval | None = None
    facts: dict[str, str] = {}
    """Facts that differ between the models, such as the policy of uncertain labels."""
    runs: dict[str, float] = {}
    """Macro AUROC of each run, by name, where there are several; `auroc` is of their mean."""
    spread: RunSpread | None = None
    """What seeds and patients give `auroc`, apart; null with a single run."""


class Comparison(Document):
    """comparison.json: models on the same films, with paired differences."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    split: SplitFacts
    level: str = "film"
    labels: tuple[str, ...]
    interval: str
    """Method of the intervals and p-values, in words."""
    seed: int
    resamples: int
    models: dict[str, ModelNumbers]
    pairs: tuple[Pair, ...]
    """Every model against the first."""
    seeds: str = ""
    """Whether seeds were varied, in words: without that, intervals are over patients alone."""
    chosen: str | None = None
    """The model with the highest macro AUROC on the films that may choose; null on test films."""
    chosen_on: str = ""
    """Films used for selection, in words, and a warning where they were test films."""
    notes: tuple[str, ...] = ()


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
