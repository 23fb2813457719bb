"""Markdown for a notebook or an issue: the most probable finding, and a table of all."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import Status
from hilum.domain.findings import LabelSet, display_name
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.markdown import TableForm, code, table, text
from hilum.report.parts.results import BatchResults, ranked
from hilum.report.parts.text import (
    BY_HAND,
    REASONS,
    evaluation_headline,
    percent2,
    summary,
)
from hilum.report.printed import Printed

__all__ = ["PRINTED", "render"]

_FINDING, _SHARE = "Disease", "Confidence (%)"
_FORM = TableForm(left=":--", right="--:", gap="", padded=True)


def render(batch: BatchResults) -> str:
    """Return the films in the order of their inputs, then the basis of the numbers."""
    lines = [line for result in batch.results for line in _film(result, batch.labels)]
    return "\n".join((*lines, *_foot(batch))) + "\n"


PRINTED: Printed = Printed(render)


def _film(result: ImageResult, labels: LabelSet) -> Iterator[str]:
    yield f"## {code(result.image_id)}"
    yield ""
    if result.status is not Status.OK:
        yield f"Status: {result.status}"
        yield ""
        yield from (f"- {REASONS[code]} `{code}`" for code in result.codes)
        if result.message:
            yield f"- Detail: {code(result.message)}"
        yield ""
    rows = [(display_name(name), percent2(one.probability)) for name, one in ranked(result, labels)]
    if not rows:
        return
    yield f"Highest Confidence Prediction: {rows[0][0]} ({rows[0][1]})"
    yield ""
    yield "All Predictions:"
    yield ""
    shares = [(name, share.removesuffix("%")) for name, share in rows]
    yield table((_FINDING, _SHARE), shares, "lr", _FORM)
    yield ""
    yield f"Summary: {summary(result)}."
    yield ""


def _foot(batch: BatchResults) -> Iterator[str]:
    bundle = batch.bundle
    threshold = batch.tally.by_hand
    if threshold is not None:
        yield f"Threshold {threshold:g}, {BY_HAND}."
        yield ""
    yield (
        f"Bundle {code(bundle.name)} ({code(bundle.id)}), {code(bundle.precision)}; "
        f"probabilities by {code(bundle.calibrator)}."
    )
    yield ""
    yield text(evaluation_headline(bundle.evaluation))
    yield ""
    yield f"*{NOT_A_DEVICE}*"
