"""evaluation.json: what is known of a model after one split, every number with its interval."""

from __future__ import annotations

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.documents.audit import Leak
from hilum.domain.documents.label_noise import NoisyFinding
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "CONTAMINATED",
    "BrierParts",
    "CalibrationEvaluation",
    "ConstantPredictor",
    "Evaluation",
    "ExpectedCalibrationError",
    "FindingEvaluation",
    "MacroEvaluation",
    "MetadataBaseline",
    "NetBenefitEvaluation",
    "PointEvaluation",
    "Subgroup",
    "SubgroupFinding",
    "SummaryEvaluation",
]


class ExpectedCalibrationError(Document):
    """ECE on 15 bins, and what chance alone gives a perfectly calibrated model here."""

    equal_mass: Interval
    equal_width: Interval
    null_95: float | None
    """95th percentile of equal-mass ECE when y ~ Bernoulli(p)."""
    debiased_l2: Interval
    """Root mean squared gap of the equal-mass bins, less what chance alone adds to it."""


class BrierParts(Document):
    """The Brier score taken apart: miscalibration - discrimination + uncertainty."""

    miscalibration: Interval
    """Part that a monotone recalibration on these very films would remove; 0 is best."""
    discrimination: Interval
    """Gain of the recalibrated model over the prevalence."""
    uncertainty: Interval
    """Brier score of the prevalence: prevalence (1 - prevalence)."""


class CalibrationEvaluation(Document):
    """Calibration of one finding, by the three usual measures."""

    slope: Interval
    """Slope of outcome on logit(p); 1 is right, below 1 means too extreme."""
    intercept: Interval
    """Intercept of outcome on logit(p) at slope 1; 0 is right, above 0 means too low."""
    o_e: Interval
    """Positive films observed over expected (the sum of p); 1 is right."""
    verdict: str
    """"calibrated" only where slope, O/E and ECE all allow it; else how far off, in words."""


class NetBenefitEvaluation(Document):
    """Worth of acting at a threshold, in true positives a film (Vickers and Elkin 2006)."""

    model: Interval
    """TP / n - FP / n * t / (1 - t), acting on films with p >= t."""
    treat_all: float | None
    """The same of acting on every film. Acting on none is worth 0."""


class PointEvaluation(Document):
    """An operating point, frozen before, on the films evaluated."""

    threshold: float | None
    target: str
    goal: float | None
    """The sensitivity, specificity or PPV that was to be reached; None for maximized targets."""
    chosen_on: str
    """The films it was chosen on, in words."""
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval
    f1: Interval


class FindingEvaluation(Document):
    """All numbers of one finding."""

    n: int
    positives: int
    positive_patients: int
    auroc: Interval
    auroc_delong: Interval
    """The same value; the interval from DeLong's formula for clusters, without resampling."""
    average_precision: Interval
    sensitivity_at_specificity: dict[str, Interval]
    """Key: the specificity, such as "0.80"."""
    specificity_at_sensitivity: dict[str, Interval]
    """Key: the sensitivity, such as "0.80"."""
    brier: Interval
    brier_skill: Interval
    """1 - Brier / Brier of the constant predictor."""
    brier_parts: BrierParts
    log_loss: Interval
    ece: ExpectedCalibrationError
    calibration: CalibrationEvaluation
    operating_points: dict[str, PointEvaluation]
    """Key: the target, such as "f1" or "sensitivity 0.90"."""
    net_benefit: dict[str, NetBenefitEvaluation]
    """Key: the threshold acted at, such as "0.05"."""
    within_view: dict[str, Interval]
    """AUROC among films of one view only. Key: the view, such as "AP"."""
    metadata_baseline: Interval
    """AUROC of a model that knows view, sex, age and follow-up number, and sees no film."""


class SummaryEvaluation(Document):
    """Macro (mean over findings) or micro (all entries pooled)."""

    auroc: Interval
    average_precision: Interval
    sensitivity_at_specificity: dict[str, Interval] = {}
    specificity_at_sensitivity: dict[str, Interval] = {}
    brier: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval
    findings_counted: int
    findings_total: int


class MacroEvaluation(SummaryEvaluation):
    """The mean over findings, and whether thresholds of their own serve better than one for all."""

    f1: Interval
    """Each finding called at its first operating point."""
    shared_threshold: float
    """The one threshold for all findings that theirs are compared with."""
    f1_shared: Interval
    """The same findings, all called at the shared threshold."""
    threshold_gain: Interval
    """`f1 - f1_shared`, drawn together."""


class ConstantPredictor(Document):
    """Image-free baseline: predicts each finding's prevalence for every film.

    Its ECE is near zero by construction, which is why a low ECE proves nothing.
    """

    prevalence_from: str
    """Source of the prevalences."""
    auroc: Interval
    """Macro, as are the others but the last: 0.5, whatever the prevalences."""
    average_precision: Interval
    brier: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval
    micro_auroc: Interval
    """Far above 0.5, since common findings are positive more often: why micro numbers flatter."""


class MetadataBaseline(Document):
    """The image-free rival that reads the film's label: view, sex, age, follow-up number.

    What it reaches is no evidence that a network looks at the lung.
    """

    features: str
    """Features it knows and how it was fitted, in words."""
    auroc: Interval
    """Macro, over the findings that have a value."""


class SubgroupFinding(Document):
    """One finding in one subgroup; null below 20 positive films, which would tell nothing."""

    n: int
    positives: int
    positive_patients: int
    auroc: Interval
    o_e: Interval
    sensitivity: Interval
    """At the finding's first operating point, as is the next."""
    specificity: Interval


class Subgroup(Document):
    """The films of one sex, age band, view or visit."""

    attribute: str
    """"sex", "age", "view" or "visit"."""
    group: str
    """Such as "F", "65+", "AP" or "first"; "unknown" holds the rest, without numbers."""
    images: int
    patients: int
    auroc: Interval
    """Macro, over the findings counted."""
    findings_counted: int
    findings: dict[str, SubgroupFinding]


CONTAMINATED = "CONTAMINATED: "
"""Beginning of a note that stands above every number: the network has seen these patients."""


class Evaluation(Document):
    """evaluation.json: a model's numbers on one split, each with its interval."""

    schema_version: int = 2
    notice: str = NOT_A_DEVICE
    model: str
    split: SplitFacts
    labels: str
    level: str = "film"
    """Unit of a row: film, study or patient."""
    policy: dict[str, str] = {}
    """Policy for uncertain, unlabeled and conflicting labels, by the policy's word."""
    look: int | None = None
    """This is evaluation number `look` of the test set; None where nobody counts."""
    interval: str
    """Method of the intervals, in words."""
    seed: int
    resamples: int
    precision: str | None = None
    provenance: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    findings: dict[str, FindingEvaluation]
    macro: MacroEvaluation
    micro: SummaryEvaluation
    constant_predictor: ConstantPredictor
    metadata_baseline: MetadataBaseline
    subgroups: tuple[Subgroup, ...] = ()
    leak: Leak | None = None
    """Certificate of what the evaluated films share with the training films; left out where no
    training films were named."""
    label_noise: dict[str, NoisyFinding] = {}
    """What numbers can be against the truth, by findings whose labels' errors are known; left out
    without a table of them."""

    @model_serializer(mode="wrap")
    def _without_absent(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what nobody wanted: evaluations without it keep their bytes."""
        absent = {"leak"} if self.leak is None else set[str]()
        absent |= set() if self.label_noise else {"label_noise"}
        return {key: value for key, value in write(self).items() if key not in absent}
