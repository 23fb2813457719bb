"""heatmaps.json and sanity.json: where heatmaps point, and whether they depend on the weights."""

from __future__ import annotations

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "CascadeStep",
    "Compared",
    "HeatmapEvaluation",
    "Localization",
    "MapLikeness",
    "Pointed",
    "Sanity",
]


class Compared(Document):
    """One measure of the maps, beside the same measure of two maps that saw no film."""

    heatmap: Interval
    prior: Interval
    """Result of the mean mask of the other films; its box is around all above half of its peak."""
    random: Interval
    """Result of noise on 7 by 7 cells."""
    gain: Interval
    """`heatmap - prior`, drawn together: what the network adds."""
    by_film: Interval | None = None
    """The maps' mean as CheXlocalize gives its interval: films resampled instead of patients."""


class Pointed(Document):
    """The maps of one finding, or of all; intervals from a patient bootstrap.

    A film's map hits when its hottest pixel lies on the finding, without tolerance. An empty map
    is a miss: it points nowhere.
    """

    maps: int
    """Films with the finding."""
    patients: int
    boxes: int
    """Boxes around the parts of the finding, on all films."""
    empty: int
    """Maps that were empty, among `maps`."""
    hits: Interval
    """Share of maps that hit."""
    prior_hits: Interval
    """The same for the mean mask of the other films, which looks at no film."""
    random_hits: Interval
    """The same for noise."""
    gain: Interval
    """`hits - prior_hits`, drawn together: what the network adds."""
    area: float
    """Mean share of the film that the finding covers: a random pixel's chance to hit."""
    measures: dict[str, Compared]
    """Every other measure, by its name in words; an empty map scores 0 in each, but for those
    that leave it out."""


class Localization(Document):
    """Heatmaps by finding; findings on a single film have no prior and are left out."""

    schema_version: int = 2
    notice: str = NOT_A_DEVICE
    reference: str
    """Reference that the maps were compared with, in words."""
    interval: str
    """Method of the intervals, in words."""
    seed: int
    resamples: int
    findings: dict[str, Pointed]
    mean: Pointed | None
    """Each film and finding counted once; None where there is none."""


class HeatmapEvaluation(Document):
    """heatmaps.json: where one model's heatmaps point, on one set of films."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    split: SplitFacts
    """The films with a finding whose place is known."""
    look: int | None
    """This is look number `look` at these films; None where nobody counts."""
    precision: str
    provenance: dict[str, str]
    notes: tuple[str, ...]
    localisation: Localization


class MapLikeness(Document):
    """Similarity of two sets of maps, pair by pair; 95 % intervals resample patients."""

    pairs: int
    ssim: Interval
    """Structural similarity, mean over the pairs; 1 is the same map."""
    spearman: Interval
    """Rank correlation of the cells, mean over the pairs."""


class CascadeStep(Document):
    """The network with all layers from the head down to one drawn anew."""

    down_to: str
    """The last layer drawn anew, as the network calls it."""
    layers: int
    """Layers drawn anew."""
    empty: int
    """Maps that were empty then, among `likeness.pairs`."""
    likeness: MapLikeness
    """Similarity to the trained network's maps of the same films and findings."""


class Sanity(Document):
    """sanity.json: whether the maps pass, and every number behind the verdict."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    split: SplitFacts
    interval: str
    seed: int
    resamples: int
    precision: str
    provenance: dict[str, str]
    notes: tuple[str, ...]
    maps: int
    """Not empty, of findings that the films have."""
    empty: int
    """Left out: maps that are empty already."""
    baseline: MapLikeness
    """Random pairs of films, the same finding, the trained network: what maps share anyway."""
    steps: tuple[CascadeStep, ...]
    depends_on_weights: bool
    """True if SSIM and its interval, every layer untrained, lie below the baseline's SSIM."""
    two_findings: MapLikeness | None
    """Maps of two findings on one film that has both; None where no film has."""
    limit: float
    """Mean SSIM from which two findings' maps count as the same."""
    depends_on_finding: bool | None
    """SSIM of `two_findings` and its interval lie below the limit; None without films."""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return self.depends_on_weights and self.depends_on_finding is not False
