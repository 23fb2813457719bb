"""What a model's numbers would be against the truth, where labels are sometimes wrong."""

from __future__ import annotations

from hilum.domain.documents import Document, Interval

__all__ = ["NoisyFinding", "NoisyNumber", "NoisyPoint", "SharpBounds"]


class SharpBounds(Document):
    """Least and largest value that fit the data, whatever errors of model and labels share."""

    least: float | None
    """Where errors go together as far as they can: the model errs where the label errs."""
    most: float | None
    """Where errors never go together."""
    low: float | None = None
    """Lower end of the least value's 95 % interval; the truth lies above it."""
    high: float | None = None
    """Upper end of the largest value's 95 % interval."""
    reason: str = ""

    def short(self, digits: int = 3) -> str:
        """Return the bounds with the interval around both.

        >>> SharpBounds(least=0.5, most=0.9, low=0.45, high=0.93).short(2)
        '0.50 to 0.90 [0.45, 0.93]'
        """
        if self.least is None or self.most is None:
            return "–"
        ends = (
            "–"
            if self.low is None or self.high is None
            else f"{self.low:.{digits}f}, {self.high:.{digits}f}"
        )
        return f"{self.least:.{digits}f} to {self.most:.{digits}f} [{ends}]"


class NoisyNumber(Document):
    """One number against the labels, and what it can be against the truth."""

    against_labels: Interval
    if_independent: Interval
    """Against the truth, where the model's errors have nothing to do with the labels' errors."""
    bounds: SharpBounds
    """Against the truth, whatever they have to do with each other."""


class NoisyPoint(Document):
    """Calls at an operating point."""

    sensitivity: NoisyNumber
    specificity: NoisyNumber


class NoisyFinding(Document):
    """A finding, or several of which any counts, with labels of known sensitivity and specificity.

    Intervals are by joint resampling: patients of these films, and the label study's own counts.
    """

    findings: tuple[str, ...]
    """Names; of several, a film is positive where any of them is, and scored `1 - prod(1 - p)`."""
    label_sensitivity: float
    label_specificity: float
    positives: float
    """Independent positive cases of the label study: cases by their design effect."""
    negatives: float
    source: str
    n: int
    """Labeled films."""
    labeled_positive: Interval
    """Share of these films that are labeled positive."""
    prevalence: Interval
    """Share that truly is (Rogan and Gladen)."""
    label_ppv: Interval
    """Share of the films labeled positive that truly are."""
    auroc: NoisyNumber
    operating_points: dict[str, NoisyPoint]
    """Key: the target. With several findings, a film is called where any of them is."""
