"""For a notebook or an issue: the most probable finding, and all of them as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hilum.domain.documents.base import NOT_A_DEVICE
from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import Status
from hilum.domain.findings import LabelSet
from hilum.report.parts.counts import ranked
from hilum.report.parts.names import shown
from hilum.report.parts.results import BatchResults
from hilum.report.parts.sentences import (
    BY_HAND,
    REASONS,
    evaluation_headline,
    percent2,
    summary,
)

__all__ = ["render"]

_FINDING, _SHARE = "Disease", "Confidence (%)"


def render(batch: BatchResults) -> str:
    """The films in the order of their inputs, then what the numbers rest on."""
    lines = [line for result in batch.results for line in _film(result, batch.labels)]
    return "\n".join((*lines, *_foot(batch))) + "\n"


def _film(result: ImageResult, labels: LabelSet) -> Iterator[str]:
    yield f"## {_code(result.image_id)}"
    yield ""
    if result.status is not Status.OK:
        yield f"Status: {result.status}"
        yield ""
        yield from (f"- {REASONS[code]} `{code}`" for code in result.codes)
        if result.message:
            yield f"- Detail: {_code(result.message)}"
        yield ""
    rows = [(name, percent2(one.probability)) for name, one in ranked(result, labels)]
    if not rows:
        return
    yield f"Highest Confidence Prediction: {rows[0][0]} ({rows[0][1]})"
    yield ""
    yield "All Predictions:"
    yield ""
    yield from _table([(name, said.removesuffix("%")) for name, said in rows])
    yield ""
    yield f"Summary: {summary(result)}."
    yield ""


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    first = max(len(name) for name, _ in (*rows, (_FINDING, "")))
    second = len(_SHARE)
    yield f"| {_FINDING:<{first}} | {_SHARE} |"
    yield f"|:{'-' * (first + 1)}|{'-' * (second + 1)}:|"
    yield from (f"| {name:<{first}} | {said:>{second}} |" for name, said in rows)


def _foot(batch: BatchResults) -> Iterator[str]:
    bundle = batch.bundle
    threshold = batch.tally.by_hand
    if threshold is not None:
        yield f"Threshold {threshold:g}, {BY_HAND}."
        yield ""
    yield (
        f"Bundle {_code(bundle.name)} ({_code(bundle.id)}), {_code(bundle.precision)}; "
        f"probabilities by {_code(bundle.calibrator)}."
    )
    yield ""
    yield _text(evaluation_headline(bundle.evaluation))
    yield ""
    yield f"*{NOT_A_DEVICE}*"


def _code(text: str) -> str:
    """Text from outside as code, in which no markup counts.

    A fence longer than any run of backticks in it cannot be closed from inside.
    """
    said = shown(text)
    if not said.strip():
        return "(blank)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", said)), default=0))
    # one blank on each side is taken off again by who reads it
    return (
        f"{fence} {said} {fence}" if said[0] in " `" or said[-1] in " `" else fence + said + fence
    )


def _text(text: str) -> str:
    """Text from outside among our words."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$!])", r"\\\1", shown(text))
