"""audit.json: what became of each claim, and what is wrong with the table it stands on."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "Audit",
    "ClaimMetric",
    "ClaimResult",
    "ClaimVerdict",
    "ExpertClaim",
    "ExpertFinding",
    "ExpertVerdict",
    "Leak",
    "LeakVerdict",
    "Reason",
    "Remark",
    "RemarkKind",
]


class ClaimMetric(StrEnum):
    """Metrics that a claim may be about."""

    AUROC = "auroc"
    AVERAGE_PRECISION = "ap"
    ECE = "ece"
    """On 15 bins of equal width, as the field quotes it."""
    ECE_EQUAL_MASS = "ece_mass"
    BRIER = "brier"
    F1 = "f1"
    """At a threshold, `f1@0.5`: a film is positive when its score is >= the threshold."""
    SENSITIVITY = "sensitivity"
    """At a specificity, `sensitivity@0.8`."""
    ACCURACY = "accuracy"
    """At a threshold, 0.5 unless another is named. It is checked, not recommended."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a model boasts of a large value.

        >>> ClaimMetric.AUROC.higher_is_better, ClaimMetric.ECE.higher_is_better
        (True, False)
        """
        return self not in (ClaimMetric.ECE, ClaimMetric.ECE_EQUAL_MASS, ClaimMetric.BRIER)

    @property
    def needs_probabilities(self) -> bool:
        """Whether scores must be probabilities; the others only rank films."""
        return self not in (
            ClaimMetric.AUROC,
            ClaimMetric.AVERAGE_PRECISION,
            ClaimMetric.SENSITIVITY,
        )

    @property
    def of_calibration(self) -> bool:
        """Whether fitting a calibrator on the very rows makes it look better than it is."""
        return self in (ClaimMetric.ECE, ClaimMetric.ECE_EQUAL_MASS, ClaimMetric.BRIER)


class ClaimVerdict(StrEnum):
    """Outcome of a claim. Every claim gets exactly one."""

    REPRODUCED = "reproduced"
    """The number computed again rounds to the claim."""
    INSIDE = "inside the interval"
    """Other patients of the same kind could have given the claim."""
    OUTSIDE = "outside the interval"
    """They could hardly have."""
    MEANINGLESS = "meaningless"
    """True or not, the number is no evidence; the reasons say why."""
    NOT_COMPUTABLE = "not computable"
    """The table or the labels do not have what it takes."""


class Reason(StrEnum):
    """Reasons why a claim proves nothing."""

    CONSTANT = "a constant predictor does as well"
    BELOW_CHANCE = "smaller than chance allows"
    IN_SAMPLE = "in-sample"
    NOT_PROBABILITIES = "scores are not probabilities"
    NOT_FINITE = "scores are not finite"
    PERMUTED = "columns are not in the order of their names"
    LEAK = "training patients are evaluated"
    TRUTH = "scores are the labels"


class RemarkKind(StrEnum):
    """Possible faults of a table of predictions. The words are stable."""

    UNNAMED_COLUMNS = "UNNAMED_COLUMNS"
    PERMUTED_COLUMNS = "PERMUTED_COLUMNS"
    INVERTED_SCORES = "INVERTED_SCORES"
    CONSTANT_SCORES = "CONSTANT_SCORES"
    IDENTICAL_COLUMNS = "IDENTICAL_COLUMNS"
    NOT_FINITE = "NOT_FINITE"
    LOGITS = "LOGITS"
    PERCENTAGES = "PERCENTAGES"
    DECISIONS = "DECISIONS"
    PILE_AT_HALF = "PILE_AT_HALF"
    IN_SAMPLE_STEPS = "IN_SAMPLE_STEPS"
    REPEATED_FILMS = "REPEATED_FILMS"
    EQUAL_TO_LABELS = "EQUAL_TO_LABELS"
    OFFICIAL_SPLIT = "OFFICIAL_SPLIT"
    KNOWN_SPLIT = "KNOWN_SPLIT"
    OTHER_FAMILY = "OTHER_FAMILY"
    LEAK = "LEAK"
    NO_LEAK_FOUND = "NO_LEAK_FOUND"
    LEAK_NOT_CHECKED = "LEAK_NOT_CHECKED"


class Remark(Document):
    """One thing that a reader of the table must know."""

    kind: RemarkKind
    findings: tuple[str, ...] = ()
    """The findings it is about; none where it is about the table."""
    words: str


class ClaimResult(Document):
    """One claim, its number computed again, and the verdict."""

    claim: str
    """Text of the claim, as written."""
    metric: ClaimMetric
    of: str
    """`macro`, `micro` or a finding."""
    claimed: float
    recomputed: Interval
    findings_counted: int
    """Findings that the number is a mean of, or pools."""
    constant: float | None
    """Value of a predictor that gives every film the same score."""
    verdict: ClaimVerdict
    agreement: ClaimVerdict
    """How claim and number compare, whatever they prove: reproduced, inside, outside or not
    computable."""
    reasons: tuple[Reason, ...] = ()
    """Reasons for a meaningless claim, the gravest first."""
    words: str


class LeakVerdict(StrEnum):
    """Answer of a leak certificate. There are exactly three."""

    LEAK = "leak"
    """Films or patients are on both sides."""
    NONE_FOUND = "none found in what was compared"
    """Every evaluated film's patient was compared with every training patient."""
    NOT_CHECKED = "not checked"
    """Nothing was found, but some films or patients could not be compared."""


class Leak(Document):
    """Overlap of the evaluated films with the films and patients that trained the model."""

    training: str
    """Source of the training films."""
    training_films: int
    training_patients: int
    training_patients_sha256: str
    """SHA-256 of the sorted patient names, one per line, as is the other."""
    patients_sha256: str
    films_unknown: int
    """Training films whose patient the labels do not tell."""
    shared_films: int
    """Films that are on both sides."""
    leaking_films: int
    """Evaluated films of training patients."""
    leaking_patients: int
    certificate: str
    verdict: LeakVerdict = LeakVerdict.NOT_CHECKED
    """Files of before this field say NO_LEAK_FOUND or LEAK in a remark only."""
    compared: tuple[str, ...] = ()
    """What was compared, with counts: films by name, films by content, patients by id."""
    unchecked: tuple[str, ...] = ()
    """What could not be compared, and why."""


class ExpertVerdict(StrEnum):
    """Verdict on a claim to be as good as readers."""

    SUPPORTED = "supported"
    """The model is shown to be no worse than the mean reader by the stated margin."""
    NOT_SEPARABLE = "not separable"
    """Neither that nor the opposite is shown. That is no proof that they are equal."""
    REFUTED = "refuted"
    """The mean reader is shown to be better, and the model not to be within the margin."""
    UNTESTABLE = "untestable"
    """There are no readers, too few of them, or no truth that experts set."""


class ExpertFinding(Document):
    """The claim on one finding."""

    finding: str
    verdict: ExpertVerdict
    readers: int
    cases: int
    """Cases that all readers read."""
    positives: int
    """Positive cases that a reader or the model could find."""
    difference: Interval
    """Mean sensitivity of the readers less the model's at each reader's own specificity."""
    p_holm: float | None
    """That there is no difference, after Holm's correction over the findings."""
    readers_needed: int | None = None
    """Panel that would show the model to be no worse, in 80 % of cases."""
    cases_needed: int | None = None
    words: str


class ExpertClaim(Document):
    """A claim to be as good as experts, and what a panel of readers says of it."""

    claim: str
    """Text of the claim, as written."""
    of: str
    """`all findings`, or a finding."""
    verdict: ExpertVerdict
    margin: float
    """How much less sensitive than the mean reader counts as no worse."""
    readers: int
    """Size of the panel."""
    truth: str
    """Source of the truth, in words."""
    findings: tuple[ExpertFinding, ...] = ()
    words: str


class Audit(Document):
    """audit.json: every claim with its verdict, and the inspection of the table."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    predictions: str
    predictions_sha256: str
    """SHA-256 of the file's bytes."""
    split: SplitFacts
    findings: tuple[str, ...]
    """Findings that both the table and the labels have."""
    interval: str
    seed: int
    resamples: int
    claims: tuple[ClaimResult, ...]
    remarks: tuple[Remark, ...]
    leak: Leak | None
    notes: tuple[str, ...]
    """Notes on what was left out, and why."""
    experts: tuple[ExpertClaim, ...] = ()
    """Claims to be as good as experts."""
