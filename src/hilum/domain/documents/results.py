"""What leaves hilum: the result of one film, and the words that every number comes with."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from hilum.domain.documents.base import Document
from hilum.domain.errors import ReasonCode, Status, UsageError
from hilum.domain.radiograph import Sex, ViewPosition

__all__ = [
    "FindingResult",
    "ImageResult",
    "ThresholdSource",
]


class ThresholdSource(StrEnum):
    """Who set the thresholds of a film's findings."""

    BUNDLE = "bundle"
    """The bundle's operating points, each chosen on its calibrate split for a target."""
    HAND = "hand"
    """One number for every finding, given by the user. Chosen on nothing: what sensitivity and
    specificity it has is not known."""


class FindingResult(Document):
    """One finding on one film."""

    probability: float
    threshold: float | None
    """None where the bundle has no operating point for the finding."""
    positive: bool | None
    """probability >= threshold; None without a threshold."""
    calibrated: bool = True
    """False where too little was known to fit a calibrator: the plain sigmoid of the logit."""
    regions: tuple[str, ...] = ()
    """In words, the regions of the film that raised its score, of a finding that is positive or
    whose heatmap was drawn; none where the map is empty."""

    def at(self, threshold: float) -> Self:
        """The same probability, called at a threshold given by hand.

        Raises:
            UsageError: for a threshold outside [0, 1], or that is no number.

        >>> FindingResult(probability=0.4, threshold=0.7, positive=False).at(0.4).positive
        True
        """
        if not 0.0 <= threshold <= 1.0:
            raise UsageError(f"a threshold must be a number in [0, 1]; got {threshold:g}")
        return self.model_copy(
            update={"threshold": threshold, "positive": self.probability >= threshold}
        )


class ImageResult(Document):
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
    patient: str = ""
    """Whose film it is: a pseudonym, or the file's own patient id if that was asked for; blank
    where the file says none, or none was wanted."""
    age_years: float | None = None
    """None where the file does not say, or it was not wanted; 90 for all above 89 unless the full
    identity was asked for."""
    sex: Sex = Sex.UNKNOWN
    findings: dict[str, FindingResult] | None = None
    """None unless the status is ok or warn: nothing stands for "not computed"."""
    threshold_source: ThresholdSource = ThresholdSource.BUNDLE
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
