"""comparison.json: whether one model is better than another on the same films."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.result import Interval, SplitFacts

__all__ = ["Comparison", "Difference", "ModelNumbers", "Pair", "Verdict"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Verdict(StrEnum):
    """What a paired difference says, after Holm's correction."""

    BETTER = "better"
    """The second model is better."""
    WORSE = "worse"
    """The second model is worse."""
    NOT_SEPARABLE = "not separable"
    """These films cannot tell the two apart. That is not proof that they are equal."""
    UNKNOWN = "unknown"
    """The difference does not exist here, or has no interval."""


class Difference(_Frozen):
    """The second model's number less the first one's, drawn together."""

    difference: Interval
    p: float | None
    """Two-sided, of the paired patient bootstrap; null where there is none."""
    p_holm: float | None
    """The same after Holm's correction over the findings (macro: over the pairs)."""
    verdict: Verdict


class Pair(_Frozen):
    """One model against another."""

    first: str
    second: str
    macro_auroc: Difference
    macro_average_precision: Difference
    auroc: dict[str, Difference]
    average_precision: dict[str, Difference]
    words: str
    """The verdict on macro AUROC in a sentence."""


class ModelNumbers(_Frozen):
    """One model's own macro numbers."""

    auroc: Interval
    average_precision: Interval
    test_auroc: Interval | None = None
    """Of its evaluation on test, where there is one: shown, never chosen by."""
    test_average_precision: Interval | None = None
    facts: dict[str, str] = {}
    """What sets the model apart, such as its policy of uncertain labels."""


class Comparison(_Frozen):
    """comparison.json: models on the same films, with paired differences."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    split: SplitFacts
    level: str = "film"
    labels: tuple[str, ...]
    interval: str
    """How intervals and p-values were made, in words."""
    seed: int
    resamples: int
    models: dict[str, ModelNumbers]
    pairs: tuple[Pair, ...]
    """Every model against the first."""
    chosen: str | None = None
    """The model with the highest macro AUROC on the films that may choose; null on test films."""
    chosen_on: str = ""
    """Which films chose, in words, and a warning where they were test films."""
    notes: tuple[str, ...] = ()
