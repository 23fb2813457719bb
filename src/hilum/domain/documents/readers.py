"""readers.json: a model beside readers of the same cases."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "AidedTest",
    "FindingReaders",
    "Kappa",
    "MajorityWithout",
    "PanelTest",
    "Place",
    "ReaderNumbers",
    "ReaderStudy",
    "UStatistics",
]


class Place(StrEnum):
    """Where a reader lies beside the model's curve, paired by case."""

    ABOVE = "above"
    """More sensitive than the model at the reader's own specificity: the interval is above 0."""
    ON = "on"
    """Not separable from the curve on these cases. That is no proof of equality."""
    BELOW = "below"
    """Less sensitive than the model at the reader's own specificity: the interval is below 0."""
    UNKNOWN = "unknown"
    """A class is absent among the reader's cases, or there is no interval."""


class Kappa(Document):
    """Agreement of two readers, or of a reader and the model, on the cases both have."""

    first: str
    second: str
    kappa: float | None
    n: int


class MajorityWithout(Document):
    """The majority of the readers, all or without one."""

    without: str
    """Empty for the majority of all."""
    n: int
    sensitivity: Interval
    specificity: Interval


class ReaderNumbers(Document):
    """One reader on one finding."""

    n: int
    positives: int
    patients: int
    skipped: int
    """Cases with truth and prediction that the reader did not read."""
    sensitivity: Interval
    specificity: Interval
    model_sensitivity: Interval
    """The model's sensitivity at the reader's own specificity, on the reader's cases."""
    difference: Interval
    """Reader less model, paired by case."""
    place: Place
    auroc: Interval
    """Area of the reader's ratings; null where the reader gave decisions."""
    model_auroc: Interval
    """Area of the model's scores, on the reader's cases."""


class UStatistics(Document):
    """The same difference by U-statistics (Gallas), readers and cases random."""

    difference: float | None = None
    """Over every case that a reader read, not only those that all read."""
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    df: float | None = None
    """Null where readers do not differ, and the test is normal."""
    p: float | None = None
    moments: dict[str, float] = {}
    """Mean product of two terms, by what they share: r reader, p positive and n negative case (or
    c case), `-` what they do not."""
    reason: str = ""


class PanelTest(Document):
    """The mean reader less the model, readers and cases random."""

    what: str
    readers: int
    n: int
    """Cases that all readers read."""
    difference: float | None
    low: float | None = None
    high: float | None = None
    df: float | None = None
    """Hillis' degrees of freedom; null where readers do not differ, and the test is normal."""
    p: float | None = None
    margin: float | None = None
    """How much less sensitive (or lower in AUROC) than the mean reader a model may be and still
    counts as no worse; stated before looking."""
    no_worse: bool | None = None
    """Whether the model is shown to be no worse than the mean reader by the margin."""
    better: bool | None = None
    """Whether the model is shown to be better than the mean reader."""
    readers_needed: int | None = None
    """Readers, and cases for each, of a panel that would show it to be no worse in 80 % of cases if
    the measured difference is the true one; null where it is shown, or no panel would."""
    cases_needed: int | None = None
    u_statistics: UStatistics | None = None
    """Null where the number is none of pairs or of cases alone."""
    reason: str = ""


class AidedTest(Document):
    """The same readers with less without, on the same cases: second less first."""

    what: str
    readers: int
    n: int
    """Cases that all of them read both ways."""
    first: float | None = None
    """Mean over readers without."""
    second: float | None = None
    """Mean over readers with."""
    difference: float | None
    low: float | None = None
    high: float | None = None
    df: float | None = None
    """Hillis' degrees of freedom; null where readers do not differ, and the test is normal."""
    p: float | None = None
    fixed_low: float | None = None
    """The same interval where these readers are all that matter, and cases are random."""
    fixed_high: float | None = None
    fixed_p: float | None = None
    margin: float | None = None
    no_worse: bool | None = None
    """Whether readers are shown to be no worse with than without, by the margin."""
    better: bool | None = None
    """Whether they are shown to be better."""
    readers_needed: int | None = None
    """Panel that would show them to be no worse in 80 % of cases if the measured difference is the
    true one; null where it is shown, or no panel would."""
    cases_needed: int | None = None
    better_readers_needed: int | None = None
    """The same, to show that they are better."""
    better_cases_needed: int | None = None
    u_statistics: UStatistics | None = None
    reason: str = ""


class FindingReaders(Document):
    """One finding: each reader beside the model."""

    n: int
    positives: int
    readers: dict[str, ReaderNumbers]
    above: int
    on: int
    below: int
    kappas: tuple[Kappa, ...]
    majority: tuple[MajorityWithout, ...]
    sensitivity_test: PanelTest
    auroc_test: PanelTest
    aided: tuple[AidedTest, ...] = ()
    """AUROC, sensitivity and specificity, where readers also read with the model's help."""


class ReaderStudy(Document):
    """A model beside a panel of readers."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    split: SplitFacts
    readers: tuple[str, ...]
    called_at: float
    """Rating from which on a reader calls a finding positive."""
    findings: dict[str, FindingReaders]
    interval: str
    resamples: int
    seed: int
    provenance: dict[str, str]
    aided: tuple[str, ...] = ()
    """Readers who also read with the model's help."""
    notes: tuple[str, ...] = ()
