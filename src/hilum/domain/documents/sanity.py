"""Sanity of heatmaps: dependence on the learned weights and on the finding."""

from __future__ import annotations

from hilum.domain.documents.base import NOT_A_DEVICE, Document, Interval, SplitFacts

__all__ = ["CascadeStep", "MapLikeness", "Sanity"]


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
