"""What a bundle says of one film, and how it is shown where that comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.results import FindingResult
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import Radiograph
from hilum.explain.caption import Caption
from hilum.explain.overlay import Style, is_empty
from hilum.explain.region import regions
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Precision

__all__ = ["Explanation", "Prediction"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where on the film a finding's score came from. Evidence, not the location of disease.

    Attributes:
        finding: its name.
        result: probability, threshold and decision, with `regions` filled in.
        heatmap: (H, W) float32 on the film, >= 0. Maps of two findings share one scale.
        picture: (rows, columns, 3) uint8 RGB with its words; (H, W, 3) but for a triptych.
        empty: the map is zero everywhere: no region raised the score, and none is named.
    """

    finding: str
    result: FindingResult
    heatmap: NDArray[np.float32]
    picture: NDArray[np.uint8]
    empty: bool

    @property
    def regions(self) -> tuple[str, ...]:
        """In words, the regions that raised the score most, strongest first."""
        return self.result.regions


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a bundle says of one film.

    Attributes:
        film: the film, with the codes met while reading it.
        findings: finding to probability, threshold and decision.
        precision: the network computed in it.
        runtime: library, version and device that computed.
        views: of the film whose logits were averaged; 1 is the film alone.
    """

    film: Radiograph
    findings: dict[str, FindingResult]
    precision: Precision
    runtime: str
    views: int
    _heatmaps: NDArray[np.float32]
    _labels: LabelSet
    _preprocessing: Preprocessing

    @property
    def positives(self) -> list[str]:
        """Findings at or above their threshold, most probable first."""
        found = [name for name, finding in self.findings.items() if finding.positive]
        return sorted(found, key=lambda name: -self.findings[name].probability)

    def heatmap(self, finding: str) -> NDArray[np.float32]:
        """(H, W) float32 on the film, >= 0: which regions raised the finding's score.

        All zero says "no evidence". Maps of two findings share one scale. It is supporting
        evidence, not the location of disease.

        Raises:
            UsageError: when the bundle does not have the finding.
        """
        heatmap = self._heatmaps[self._labels.index(finding)]
        return self._preprocessing.to_film(heatmap, self.film.shape)

    def explain(self, finding: str, style: Style = Style.HOT) -> Explanation:
        """The finding's map, as a picture and in words.

        Raises:
            UsageError: when the bundle does not have the finding.
        """
        from hilum.explain.picture import render  # which a batch does in other processes

        name = self._labels.findings[self._labels.index(finding)]
        heatmap = self.heatmap(name)
        result = self.findings[name]
        caption = Caption(name, result.probability, result.threshold, result.calibrated)
        return Explanation(
            finding=name,
            result=result.model_copy(update={"regions": regions(heatmap, self.film.view)}),
            heatmap=heatmap,
            picture=render(self.film, heatmap, style, caption),
            empty=is_empty(heatmap),
        )
