"""Result of one film, and the notices that accompany every number."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import model_validator

from hilum.domain.documents import Document
from hilum.domain.documents.rule_out import FilmTriage
from hilum.domain.errors import ReasonCode, Status, UsageError
from hilum.domain.radiograph import Sex, ViewPosition

__all__ = [
    "Decision",
    "FindingResult",
    "GrayFacts",
    "ImageResult",
    "ThresholdSource",
]


class ThresholdSource(StrEnum):
    """Source of the thresholds of a film's findings."""

    BUNDLE = "bundle"
    """The bundle's operating points, each chosen on its calibrate split for a target."""
    HAND = "hand"
    """One number for every finding, given by the user. Chosen on nothing: what sensitivity and
    specificity it has is not known."""


class Decision(StrEnum):
    """The call on one finding of one film."""

    POSITIVE = "positive"
    """The probability is at or above the threshold."""
    NEGATIVE = "negative"
    """The probability is below the threshold."""
    ABSTAINED = "abstained"
    """A rule of the bundle forbids a call on this film; `abstention` says which."""
    NOT_CALLED = "not_called"
    """The finding has no threshold, so there is nothing to compare its probability with."""

    @classmethod
    def from_positive(cls, positive: bool | None) -> Decision:
        """Return the decision that schema 1 wrote as true, false or null.

        >>> Decision.from_positive(None).value
        'not_called'
        """
        if positive is None:
            return cls.NOT_CALLED
        return cls.POSITIVE if positive else cls.NEGATIVE


class FindingResult(Document):
    """One finding on one film."""

    probability: float
    threshold: float | None
    """None where the bundle has no operating point for the finding."""
    positive: bool | None
    """probability >= threshold; None where the finding was not called."""
    decision: Decision
    """The same with the reason for a null: no threshold, or an abstention. A result of schema 1
    gets it from `positive`."""
    abstention: str = ""
    """Reason for an abstention; empty for every other decision."""
    calibrated: bool = True
    """False where too little was known to fit a calibrator: the plain sigmoid of the logit."""
    regions: tuple[str, ...] = ()
    """Regions of the film that raised its score, in words, of a finding that is positive or
    whose heatmap was drawn; none where the map is empty."""

    @model_validator(mode="before")
    @classmethod
    def _with_decision(cls, tree: Any) -> Any:
        """Fill in the decision that schema 1 did not write."""
        if isinstance(tree, dict) and "decision" not in tree and "positive" in tree:
            return {**tree, "decision": Decision.from_positive(tree["positive"])}
        return tree

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        called = self.decision in (Decision.POSITIVE, Decision.NEGATIVE)
        expected = Decision.from_positive(self.positive)
        if (called or self.positive is not None) and self.decision is not expected:
            raise ValueError(
                f"decision and positive must agree; got {self.decision} and {self.positive}"
            )
        if bool(self.abstention) is not (self.decision is Decision.ABSTAINED):
            raise ValueError(
                "an abstention must have a reason, and nothing else may have one; got "
                f"{self.decision} with '{self.abstention}'"
            )
        return self

    @classmethod
    def called(cls, probability: float, threshold: float | None, calibrated: bool) -> Self:
        """Compare a probability with a threshold, or with none.

        >>> FindingResult.called(0.4, 0.4, calibrated=True).decision.value
        'positive'
        """
        positive = None if threshold is None else probability >= threshold
        return cls(
            probability=probability,
            threshold=threshold,
            positive=positive,
            decision=Decision.from_positive(positive),
            calibrated=calibrated,
        )

    def at(self, threshold: float) -> Self:
        """Return the same probability, called at a threshold given by hand.

        Raises:
            UsageError: for a threshold outside [0, 1], or that is no number.

        >>> FindingResult.called(0.4, 0.7, calibrated=True).at(0.4).positive
        True
        """
        if not 0.0 <= threshold <= 1.0:
            raise UsageError(f"a threshold must be a number in [0, 1]; got {threshold:g}")
        called = self.called(self.probability, threshold, self.calibrated)
        return called.model_copy(update={"regions": self.regions})


class GrayFacts(Document):
    """Gray levels of a film that was scored, as the network sees it, for `hilum watch`.

    Of the film's part of the network's square, where black is 0 and white 1. No number is of a
    patient, and none judges the film.
    """

    rows: int
    columns: int
    """Size of the film itself, in pixels."""
    mean: float
    spread: float
    """Standard deviation."""
    black: float
    white: float
    """Shares of pixels within one level of 255 of black, and of white."""
    sharpness: float
    """Standard deviation of the Laplacian: edges and noise."""
    border: float
    """Share of the rows, or of the columns if it is more, that are empty."""


class ImageResult(Document):
    """Result of one input. One line of results.jsonl."""

    schema_version: int = 2
    """2 since findings carry a decision; lines of schema 1 are still read."""
    input: str
    """The input as it was listed."""
    image_id: str
    """The file name; with the folders before it that it takes, where several inputs share it."""
    sha256: str | None
    status: Status
    codes: tuple[ReasonCode, ...] = ()
    message: str = ""
    view: ViewPosition = ViewPosition.UNKNOWN
    patient: str = ""
    """Patient of the film: a pseudonym, or the file's own patient id if requested; blank where the
    file has none, or none was requested."""
    age_years: float | None = None
    """Age; None where the file has none, or it was not requested; 90 for all above 89 unless the
    full identity was requested."""
    sex: Sex = Sex.UNKNOWN
    study_instance_uid: str = ""
    """Study of a DICOM film; it, the next two and the accession number are pseudonyms unless the
    full identity was requested, and blank where the file has none or none was requested."""
    series_instance_uid: str = ""
    """Series of the film, shown in the same way."""
    sop_instance_uid: str = ""
    """The DICOM object, shown in the same way."""
    accession_number: str = ""
    """Number of the order, shown in the same way."""
    findings: dict[str, FindingResult] | None = None
    """None unless the status is ok or warn: nothing stands for "not computed"."""
    threshold_source: ThresholdSource = ThresholdSource.BUNDLE
    gray: GrayFacts | None = None
    """Gray levels; None where the film was not scored, or scored by an older hilum."""
    triage: FilmTriage | None = None
    """Ruled out, flagged or referred, with what was bounded; None where the bundle has no rule."""
    heatmaps: dict[str, str] = {}
    """Finding to overlay file, relative to the output folder; empty unless overlays were
    requested."""
    token_shares: dict[str, float] = {}
    """Finding to the share of its logit that the network's class token decided, in [0, 1], which
    no heatmap shows; empty for a network without one."""
    maps: dict[str, str] = {}
    """Finding to the file of its map, a small PNG with alpha that spans the film, relative to the
    output folder."""
    film: str | None = None
    """Preview of the film, relative to the output folder."""
    dicom: dict[str, str] = {}
    """Kind of DICOM object to its file, relative to the output folder; empty unless requested."""
    dicom_missing: str = ""
    """Why a requested object is missing; empty where none is."""
    bundle: str
    """Short id of the bundle that scored."""
    precision: str

    @property
    def positives(self) -> list[str]:
        """Names of the positive findings, most probable first."""
        found = [(f.probability, name) for name, f in (self.findings or {}).items() if f.positive]
        return [name for _, name in sorted(found, key=lambda pair: (-pair[0], pair[1]))]
