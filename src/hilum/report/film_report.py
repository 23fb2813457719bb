"""report.html: every film with its heatmaps, its probabilities and what stopped it."""

from __future__ import annotations

from dataclasses import dataclass

from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.result import ImageResult
from hilum.report.base import BatchResults
from hilum.report.parts.charts import bar
from hilum.report.parts.counts import Outcome, count_outcomes
from hilum.report.parts.names import shown
from hilum.report.parts.page import page
from hilum.report.parts.sentences import REASONS, STATUSES, summary

__all__ = ["REPORT", "FilmReport"]


@dataclass(frozen=True)
class FilmReport:
    """The page for the reader of films: one card an input, none left out.

    Images are loaded as they come into view and cards are laid out as they come into view, so a
    batch of thousands opens at once. Without JavaScript only the filter is missing.
    """

    filename: str = "report.html"

    def render(self, batch: BatchResults) -> str:
        """The page; images are linked relative to the output folder."""
        outcomes = count_outcomes(batch.results)
        attention = sum(result.status is not Status.OK for result in batch.results)
        seen = {name for result in batch.results for name in result.positives}
        return page(
            "film_report",
            batch,
            {
                "cards": [_card(result, batch.labels) for result in batch.results],
                "tiles": [(outcome.value, count) for outcome, count in outcomes],
                "attention": attention,
                "positive": dict(outcomes)[Outcome.POSITIVE],
                "found": [name for name in batch.labels if name in seen],
            },
        )


REPORT = FilmReport()


@dataclass(frozen=True)
class _Score:
    finding: str
    probability: float
    threshold: float | None
    positive: bool
    calibrated: bool
    bar: str


@dataclass(frozen=True)
class _Card:
    result: ImageResult
    name: str
    summary: str
    attention: bool
    empty: bool
    status: str
    reasons: tuple[tuple[ReasonCode, str], ...]
    overlays: tuple[tuple[str, str], ...]
    scores: tuple[_Score, ...]


def _card(result: ImageResult, labels: LabelSet) -> _Card:
    return _Card(
        result=result,
        name=shown(result.image_id),
        summary=summary(result),
        attention=result.status is not Status.OK,
        empty=ReasonCode.EMPTY_HEATMAP in result.codes,
        status=STATUSES[result.status],
        reasons=tuple((code, REASONS[code]) for code in result.codes),
        overlays=_overlays(result, labels),
        scores=_scores(result, labels),
    )


def _overlays(result: ImageResult, labels: LabelSet) -> tuple[tuple[str, str], ...]:
    """(finding, file), positive findings first and most probable first, then the others."""
    order = [*result.positives, *(name for name in labels if name not in result.positives)]
    return tuple((name, result.heatmaps[name]) for name in order if name in result.heatmaps)


def _scores(result: ImageResult, labels: LabelSet) -> tuple[_Score, ...]:
    """Most probable first; ties in the label set's order."""
    findings = result.findings or {}
    scores = [
        _Score(
            finding=name,
            probability=findings[name].probability,
            threshold=findings[name].threshold,
            positive=findings[name].positive is True,
            calibrated=findings[name].calibrated,
            bar=bar(
                findings[name].probability,
                tick=findings[name].threshold,
                marked=findings[name].positive is True,
            ),
        )
        for name in labels
        if findings
    ]
    return tuple(sorted(scores, key=lambda score: -score.probability))
