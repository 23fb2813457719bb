"""The analysis of one film: what a bundle found on it, whatever the caller."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.results import FindingResult
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import DicomHeader

__all__ = ["Analysis"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Decisions, regions, heatmaps and reason codes of one film, with what computed them.

    Attributes:
        status: `ok`, or `warn` where a code calls for care.
        codes: reasons to be careful, each once: of the file, of the gate, of the heatmaps.
        findings: finding to probability, threshold and decision, in the bundle's order. Findings
            that are positive or were requested carry regions.
        labels: the findings of `maps`, in order.
        maps: (L, h, w) float32 over the network's square, >= 0: exact Grad-CAM. All zero means that
            no region raised the score. Maps of two findings share one scale.
        precision: the type the network computed in, such as "f32".
        runtime: library, version and device.
        views: views of the film whose logits were averaged; 1 is the film alone.
        header: the film's DICOM identity, where it was requested; never in `repr`.
    """

    status: Status
    codes: tuple[ReasonCode, ...]
    findings: dict[str, FindingResult]
    labels: LabelSet
    maps: NDArray[np.float32] = field(repr=False)
    precision: str
    runtime: str
    views: int
    header: DicomHeader | None = field(default=None, repr=False)

    @property
    def positives(self) -> list[str]:
        """Findings at or above their threshold, most probable first."""
        positive = [name for name, finding in self.findings.items() if finding.positive]
        return sorted(positive, key=lambda name: -self.findings[name].probability)

    def map_of(self, finding: str) -> NDArray[np.float32]:
        """Return the (h, w) heatmap of one finding.

        Raises:
            UsageError: when the bundle does not have the finding.
        """
        return self.maps[self.labels.index(finding)]
