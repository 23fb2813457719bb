"""One film, one analysis: the only place where a film becomes decisions, regions and heatmaps.

`Bundle.predict`, the batch and every service call `analyze`; none repeats a step of it. Where the
film was read, in this process or in a confined one, makes no difference: what comes in is the
network's square and the facts of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.manifest import Calibration
from hilum.bundle.triage import TriageFacts, triage
from hilum.domain.documents.results import FindingResult
from hilum.domain.documents.rule_out import FilmTriage, RuleOut
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import DicomHeader, Sex, ViewPosition
from hilum.domain.scores import Logits
from hilum.explain.region import regions
from hilum.explain.request import HeatmapRequest
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Engine, Output

__all__ = ["Analysis", "ScreenedFilm", "analyze", "judge", "regions_of"]


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
        triage: ruled out, flagged or referred; None for a bundle without a rule.
        token_shares: finding to the share of its logit that the network's class token decided, in
            [0, 1], which no map shows; empty for a network without one.
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
    triage: FilmTriage | None = None
    token_shares: dict[str, float] = field(default_factory=dict[str, float])

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


POSITIVES = HeatmapRequest()
NOTES = frozenset({ReasonCode.NAME_NOT_UTF8})
"""Codes about the file's name and not about the film: no reason to doubt a score."""
REGION_SIDE = 192
"""Longer side in px of the film that regions are named on. Thirds of a film can be separated on a
small film too, in a fraction of the time, and every caller gets the same words."""


@dataclass(frozen=True, eq=False)
class ScreenedFilm:
    """A film that was read and passed the gate, reduced to what the network takes.

    Attributes:
        raster: (S, S) from `Preprocessing.raster`.
        shape: (rows, columns) of the film.
        view: view position.
        codes: reasons to warn from listing, reading and screening, repeats allowed.
        header: DICOM identity, where it was requested; never in `repr`.
        sex, age_years: of the patient, for a rule with such strata.
    """

    raster: NDArray[Any] = field(repr=False)
    shape: tuple[int, int]
    view: ViewPosition
    codes: tuple[ReasonCode, ...] = ()
    header: DicomHeader | None = field(default=None, repr=False)
    sex: Sex = Sex.UNKNOWN
    age_years: float | None = None


def analyze(
    film: ScreenedFilm,
    engine: Engine,
    calibration: Calibration,
    threshold: float | None = None,
    explain: HeatmapRequest = POSITIVES,
    rule: RuleOut | None = None,
) -> Analysis:
    """Score a film, decide on every finding, and name the regions that raised the scores.

    Pure: the same film gives the same analysis, beside whatever other films. Several threads may
    call it at once.

    Args:
        film: read, screened and reduced.
        engine: the bundle's network.
        calibration: the bundle's calibrator and operating points.
        threshold: one threshold in [0, 1] for every finding, in place of the operating points.
        explain: findings that get regions beside the positive ones.
        rule: the bundle's rule; its triage does not depend on `threshold`.

    Raises:
        BundleError: when the network gives a number that is not finite.
        UsageError: for a threshold outside [0, 1], or a finding the bundle does not have.
    """
    output = engine.ask(film.raster)
    judged = judge(output.logits, calibration, engine.views)
    found = dict(judged)
    if threshold is not None:
        found = {name: result.at(threshold) for name, result in found.items()}
    maps = dict(zip(engine.labels, output.heatmaps[0], strict=True))
    positives = [name for name, result in found.items() if result.positive]
    for name in dict.fromkeys((*positives, *explain.select(found))):
        zones = regions_of(maps[name], film.shape, film.view, engine.preprocessing)
        found[name] = found[name].model_copy(update={"regions": zones})
    codes = film.codes
    if not all(found[name].regions for name in positives):
        codes = (*codes, ReasonCode.EMPTY_HEATMAP)
    codes = tuple(dict.fromkeys(codes))
    facts = TriageFacts(
        codes=tuple(code for code in codes if code not in NOTES),
        as_calibrated=engine.precision is calibration.precision,
        view=film.view,
        sex=film.sex,
        age_years=film.age_years,
    )
    return Analysis(
        status=Status.OK if NOTES.issuperset(codes) else Status.WARN,
        codes=codes,
        findings=found,
        labels=engine.labels,
        maps=output.heatmaps[0],
        precision=engine.precision.value,
        runtime=engine.runtime,
        views=engine.views,
        header=film.header,
        triage=None if rule is None else triage(rule, judged, facts),
        token_shares=_shares(output, engine.labels),
    )


def _shares(output: Output, labels: LabelSet) -> dict[str, float]:
    if output.token_shares is None:
        return {}
    return dict(zip(labels, output.token_shares[0].tolist(), strict=True))


def judge(logits: Logits, calibration: Calibration, views: int = 1) -> dict[str, FindingResult]:
    """Calibrate one film's logits and compare them with the operating points.

    Args:
        logits: (1, L), as `Engine.ask` gives them.
        calibration: the bundle's.
        views: views that were averaged; the calibrator was fitted for 1, so that with more no
            finding counts as calibrated.

    Raises:
        ValueError: for logits of a different number of films.
    """
    if len(logits.values) != 1:
        raise ValueError(f"films are judged one by one; got logits of {len(logits.values)}")
    probabilities = calibration.calibrator.apply(logits)
    thresholds = calibration.thresholds()
    return {
        name: FindingResult.called(
            float(probabilities.values[0, column]),
            thresholds.get(name),
            calibration.calibrator.findings[name].calibrated and views == 1,
        )
        for column, name in enumerate(logits.labels)
    }


def regions_of(
    heatmap: NDArray[np.float32],
    shape: tuple[int, int],
    view: ViewPosition,
    preprocessing: Preprocessing,
) -> tuple[str, ...]:
    """Name the zones of the film where a map over the network's square peaks.

    A map that is zero all over the film, whatever it is on the black bars beside it, is empty.

    Args:
        heatmap: (h, w) float32, >= 0, over the square.
        shape: (rows, columns) of the film.
        view: view position: a lateral film has no sides.
        preprocessing: how the film was put into the square.
    """
    scale = min(1.0, REGION_SIDE / max(shape))
    small = max(3, round(shape[0] * scale)), max(3, round(shape[1] * scale))
    return regions(preprocessing.to_film(heatmap, small), view)
