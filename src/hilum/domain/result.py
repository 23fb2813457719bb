"""What leaves hilum: the result of one film, the evaluation of one model, and their JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from hilum.domain.errors import ReasonCode, Status
from hilum.domain.radiograph import ViewPosition

__all__ = [
    "NOT_A_DEVICE",
    "ConstantPredictor",
    "Evaluation",
    "ExpectedCalibrationError",
    "FindingEvaluation",
    "FindingResult",
    "ImageResult",
    "Interval",
    "PointEvaluation",
    "SplitFacts",
    "SummaryEvaluation",
]

NOT_A_DEVICE = (
    "hilum is research software, not a medical device. "
    "Not for diagnosis; it does not replace the reading of a radiologist."
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FindingResult(_Frozen):
    """One finding on one film."""

    probability: float
    threshold: float | None
    """None where the bundle has no operating point for the finding."""
    positive: bool | None
    """probability >= threshold; None without a threshold."""
    calibrated: bool = True
    """False where too little was known to fit a calibrator: the plain sigmoid of the logit."""
    regions: tuple[str, ...] = ()
    """Of a positive finding: in words, the regions of the film that raised its score."""


class ImageResult(_Frozen):
    """Everything said of one input. One line of results.jsonl."""

    schema_version: int = 1
    input: str
    """The input as it was listed."""
    image_id: str
    """The file name."""
    sha256: str | None
    status: Status
    codes: tuple[ReasonCode, ...] = ()
    message: str = ""
    view: ViewPosition = ViewPosition.UNKNOWN
    findings: dict[str, FindingResult] | None = None
    """None unless the status is ok or warn: nothing stands for "not computed"."""
    heatmaps: dict[str, str] = {}
    """Finding to overlay file, relative to the output folder."""
    film: str | None = None
    """Preview of the film, relative to the output folder."""
    bundle: str
    """Short id of the bundle that scored."""
    precision: str

    @property
    def positives(self) -> list[str]:
        """Names of the positive findings, most probable first."""
        found = [(f.probability, name) for name, f in (self.findings or {}).items() if f.positive]
        return [name for _, name in sorted(found, key=lambda pair: (-pair[0], pair[1]))]


class Interval(_Frozen):
    """A number with its 95 % interval; or null, with the reason.

    `low` and `high` are null where too few resamples had both classes.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


class SplitFacts(_Frozen):
    """What was evaluated on."""

    name: str
    sha256: str
    """Of the sorted film names, one a line."""
    images: int
    patients: int


class ExpectedCalibrationError(_Frozen):
    """ECE on 15 bins, and what chance alone gives a perfectly calibrated model here."""

    equal_mass: Interval
    equal_width: Interval
    null_95: float | None
    """95th percentile of equal-mass ECE when y ~ Bernoulli(p)."""


class PointEvaluation(_Frozen):
    """An operating point, frozen before, on the films evaluated."""

    threshold: float | None
    target: str
    sensitivity: Interval
    specificity: Interval
    ppv: Interval


class FindingEvaluation(_Frozen):
    """All numbers of one finding."""

    n: int
    positives: int
    positive_patients: int
    auroc: Interval
    average_precision: Interval
    sensitivity_at_specificity: dict[str, Interval]
    """Key: the specificity, such as "0.80"."""
    brier: Interval
    brier_skill: Interval
    """1 - Brier / Brier of the constant predictor."""
    log_loss: Interval
    ece: ExpectedCalibrationError
    operating_points: dict[str, PointEvaluation]


class SummaryEvaluation(_Frozen):
    """Macro (mean over findings) or micro (all entries pooled)."""

    auroc: Interval
    average_precision: Interval
    sensitivity_at_specificity: dict[str, Interval] = {}
    brier: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval
    findings_counted: int
    findings_total: int


class ConstantPredictor(_Frozen):
    """The image-free rival: each finding's prevalence, said of every film.

    Its ECE is near zero by construction, which is why a low ECE proves nothing.
    """

    prevalence_from: str
    """Where the prevalences were learned."""
    auroc: Interval
    """Macro, as are the others but the last: 0.5, whatever the prevalences."""
    average_precision: Interval
    brier: Interval
    ece_equal_mass: Interval
    ece_equal_width: Interval
    micro_auroc: Interval
    """Far above 0.5, since common findings are positive more often: why micro numbers flatter."""


class Evaluation(_Frozen):
    """evaluation.json: a model's numbers on one split, each with its interval."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    split: SplitFacts
    labels: str
    interval: str
    """How intervals were made, in words."""
    seed: int
    resamples: int
    precision: str | None = None
    provenance: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    findings: dict[str, FindingEvaluation]
    macro: SummaryEvaluation
    micro: SummaryEvaluation
    constant_predictor: ConstantPredictor
