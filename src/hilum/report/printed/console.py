"""Text for a terminal: a block per film, its findings, then all probabilities."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.errors import Status, counted
from hilum.domain.findings import LabelSet, display_name
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.results import BatchResults, ranked
from hilum.report.parts.text import (
    BY_HAND,
    NONE_POSITIVE,
    REASONS,
    evaluation_headline,
    percent2,
    shown,
    triage_words,
)
from hilum.report.printed import Printed

__all__ = ["PRINTED", "render"]

_RULE = "─" * 60
_MARK = "◄"


def render(batch: BatchResults) -> str:
    """Return the films in the order of their inputs, then the basis of the numbers."""
    lines = [line for result in batch.results for line in _film(result, batch.labels)]
    return "\n".join((*lines, _RULE, *_foot(batch))) + "\n"


PRINTED: Printed = Printed(render)


def _film(result: ImageResult, labels: LabelSet) -> Iterator[str]:
    yield _RULE
    yield _line("Image", shown(result.image_id))
    if result.status is not Status.OK:
        yield _line("Status", result.status.value)
        yield from (_line("Reason", f"{REASONS[code]} [{code}]") for code in result.codes)
        if result.message:
            yield _line("Detail", shown(result.message))
    if result.findings is None:
        return
    yield _line("Threshold", _thresholds(result))
    yield _line("Detected", _detected(result))
    if result.triage is not None:
        yield _line("Triage", shown(triage_words(result)))
    yield _RULE
    yield "All probabilities:"
    widest = max((len(display_name(name)) for name in labels), default=0)
    for name, finding in ranked(result, labels):
        threshold = "none" if finding.threshold is None else percent2(finding.threshold)
        mark = f"  {_MARK}" if finding.positive else ""
        note = "" if finding.calibrated else "  (not calibrated)"
        yield (
            f"  {display_name(name):<{widest}}  {percent2(finding.probability):>8}"
            f"   threshold {threshold:>8}{mark}{note}"
        )


def _line(what: str, words: str) -> str:
    return f"{what:>9} : {words}"


def _thresholds(result: ImageResult) -> str:
    given = {finding.threshold for finding in (result.findings or {}).values()}
    if result.threshold_source is ThresholdSource.HAND and len(given) == 1:
        return f"{given.pop():g}, given by hand for every finding"
    return "none" if given == {None} else "per finding"


def _detected(result: ImageResult) -> str:
    called = any(finding.positive is not None for finding in (result.findings or {}).values())
    return ", ".join(map(display_name, result.positives)) or (
        NONE_POSITIVE if called else "nothing called"
    )


def _foot(batch: BatchResults) -> Iterator[str]:
    counts = batch.tally.statuses
    statuses = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
    bundle = batch.bundle
    yield f"{counted(len(batch.results), 'input')}{': ' if statuses else ''}{statuses}"
    yield f"{_MARK} at or above the finding's threshold"
    threshold = batch.tally.by_hand
    if threshold is not None:
        yield f"Threshold {threshold:g}, {BY_HAND}."
    yield (
        f"Bundle {shown(bundle.name)} ({shown(bundle.id)}), {shown(bundle.precision)}; "
        f"probabilities by {shown(bundle.calibrator)}."
    )
    yield shown(evaluation_headline(bundle.evaluation))
    yield NOT_A_DEVICE
