"""The result of one film, and the pictures that show where its scores come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hilum.bundle import display
from hilum.bundle.analysis import Analysis, regions_of
from hilum.domain.documents.results import FindingResult
from hilum.domain.documents.rule_out import FilmTriage
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.explain.caption import Caption
from hilum.explain.ramp import Style
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Precision

if TYPE_CHECKING:
    import pandas as pd

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
        token_share: share of the logit that the network's class token decided, in [0, 1], which
            the map does not show; None for a network without one.
    """

    finding: str
    result: FindingResult
    heatmap: NDArray[np.float32]
    picture: NDArray[np.uint8]
    empty: bool
    token_share: float | None = None

    @property
    def regions(self) -> tuple[str, ...]:
        """In words, the regions that raised the score most, strongest first."""
        return self.result.regions


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """The analysis of one film together with the film, so that heatmaps can be drawn on it.

    A notebook shows it as the film, the heatmap of its top finding, and a bar for each finding.

    Attributes:
        film: the film, with the codes met while reading and screening it.
        analysis: decisions, regions, heatmaps and reason codes.
    """

    film: Radiograph
    analysis: Analysis
    _preprocessing: Preprocessing

    @property
    def findings(self) -> dict[str, FindingResult]:
        """Finding to probability, threshold and decision, in the bundle's order."""
        return self.analysis.findings

    @property
    def positives(self) -> list[str]:
        """Findings at or above their threshold, most probable first."""
        return self.analysis.positives

    @property
    def status(self) -> Status:
        """`ok`, or `warn` where a code calls for care."""
        return self.analysis.status

    @property
    def codes(self) -> tuple[ReasonCode, ...]:
        """Reasons to be careful with the film or with its heatmaps."""
        return self.analysis.codes

    @property
    def triage(self) -> FilmTriage | None:
        """Ruled out, flagged or referred, with what was bounded; None without a rule."""
        return self.analysis.triage

    @property
    def precision(self) -> Precision:
        """The type the network computed in."""
        return Precision(self.analysis.precision)

    @property
    def runtime(self) -> str:
        """Library, version and device that computed."""
        return self.analysis.runtime

    @property
    def views(self) -> int:
        """Views of the film whose logits were averaged; 1 is the film alone."""
        return self.analysis.views

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as plain values that JSON can hold, without pixels and maps.

        The patient's id is left out too.

        Returns:
            `film`, `sha256`, `shape`, `view`, `status`, `codes`, `precision`, `runtime`, `views`,
            `positives` (most probable first), `triage` (None without a rule), `token_shares` (empty
            for a network without a class token), and `findings`: for each the fields of
            `FindingResult`.
        """
        film = self.film
        return {
            "film": film.source,
            "sha256": film.sha256,
            "shape": list(film.shape),
            "view": film.view.value,
            "status": self.status.value,
            "codes": [code.value for code in self.codes],
            "precision": str(self.precision),
            "runtime": self.runtime,
            "views": self.views,
            "positives": list(self.positives),
            "triage": None if self.triage is None else self.triage.model_dump(mode="json"),
            "token_shares": dict(self.analysis.token_shares),
            "findings": {
                name: finding.model_dump(mode="json") for name, finding in self.findings.items()
            },
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each finding; tables of several films can be concatenated.

        Returns:
            Columns `film`, `finding`, `probability` (float), `threshold` (float, NaN where the
            bundle has none), `positive` (nullable boolean, missing without a threshold),
            `calibrated`.
        """
        import pandas as pd

        found = self.findings.values()
        return pd.DataFrame(
            {
                "film": pd.Series([self.film.source] * len(found), dtype="object"),
                "finding": pd.Series(list(self.findings), dtype="object"),
                "probability": pd.Series([f.probability for f in found], dtype="float64"),
                "threshold": pd.Series([f.threshold for f in found], dtype="float64"),
                "positive": pd.Series([f.positive for f in found], dtype="boolean"),
                "calibrated": pd.Series([f.calibrated for f in found], dtype="bool"),
            }
        )

    def __repr__(self) -> str:
        """Return one line: the film, how many findings are positive, and the top one."""
        return display.line(self.film, self.analysis)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return display.to_html(self.film, self.analysis, self.heatmap)

    def heatmap(self, finding: str) -> NDArray[np.float32]:
        """Return (H, W) float32 on the film, >= 0: which regions raised the finding's score.

        All zero means "no evidence". Maps of two findings share one scale. It is supporting
        evidence, not the location of disease.

        Raises:
            UsageError: when the bundle does not have the finding.
        """
        return self._preprocessing.to_film(self.analysis.map_of(finding), self.film.shape)

    def explain(self, finding: str, style: Style = Style.PLASMA) -> Explanation:
        """Return the finding's map, as a picture and in words.

        Raises:
            UsageError: when the bundle does not have the finding.
        """
        from hilum.explain.picture import render  # which a batch does in other processes

        labels = self.analysis.labels
        name = labels.findings[labels.index(finding)]
        film, result = self.film, self.findings[name]
        cells = self.analysis.map_of(name)
        zones = regions_of(cells, film.shape, film.view, self._preprocessing)
        heatmap = self.heatmap(name)
        share = self.analysis.token_shares.get(name)
        caption = Caption.of(name, result, token_share=share)
        return Explanation(
            finding=name,
            result=result.model_copy(update={"regions": zones}),
            heatmap=heatmap,
            picture=render(
                film, heatmap, style, caption, seen=self._preprocessing.seen(film.shape)
            ),
            empty=not zones,
            token_share=share,
        )
