"""comparison.json: whether one model is better than another on the same films."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents.base import NOT_A_DEVICE, Document, Interval, SplitFacts

__all__ = ["Comparison", "ModelNumbers", "Pair", "PairDifference", "PairVerdict"]


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


class PairDifference(Document):
    """The second model's number less the first one's, drawn together."""

    difference: Interval
    p: float | None
    """Two-sided, of the paired patient bootstrap; null where there is none."""
    p_holm: float | None
    """The same after Holm's correction over the findings (macro: over the pairs)."""
    verdict: PairVerdict


class Pair(Document):
    """One model against another."""

    first: str
    second: str
    macro_auroc: PairDifference
    macro_average_precision: PairDifference
    auroc: dict[str, PairDifference]
    average_precision: dict[str, PairDifference]
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
    chosen: str | None = None
    """The model with the highest macro AUROC on the films that may choose; null on test films."""
    chosen_on: str = ""
    """Films used for selection, in words, and a warning where they were test films."""
    notes: tuple[str, ...] = ()
