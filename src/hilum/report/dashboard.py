"""dashboard.html: a batch in counts and distributions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from hilum.domain.errors import Status
from hilum.domain.radiograph import ViewPosition
from hilum.report.base import BatchResults
from hilum.report.parts.charts import bar, histogram, pie
from hilum.report.parts.counts import count_findings, count_outcomes, findings_a_film, spread
from hilum.report.parts.page import page
from hilum.report.parts.sentences import REASONS, STATUSES, percent

__all__ = ["REPORT", "Dashboard"]


@dataclass(frozen=True)
class Dashboard:
    """The page for whoever looks after a batch.

    Its counts are those of the CSV, recomputed by a test. They describe this batch; they are no
    prevalence, for thresholds are chosen to trade misses against false calls.
    """

    filename: str = "dashboard.html"

    def render(self, batch: BatchResults) -> str:
        """The page."""
        results = batch.results
        slices = [(outcome.value, count) for outcome, count in count_outcomes(results)]
        return page(
            "dashboard",
            batch,
            {
                "slices": slices,
                "pie": pie(slices, f"{len(results)} inputs"),
                "scored": sum(result.status.scored for result in results),
                "findings": _finding_rows(batch),
                "a_film": _rows((str(n), count) for n, count in findings_a_film(results)),
                "statuses": _status_rows(batch),
                "codes": _code_rows(batch),
                "views": _view_rows(batch),
                "spreads": [
                    (name, one, histogram(one))
                    for name in batch.labels
                    for one in [spread(results, name)]
                ],
            },
        )


REPORT = Dashboard()


@dataclass(frozen=True)
class _Row:
    name: str
    count: int
    bar: str
    note: str = ""


def _rows(counts: Iterable[tuple[str, int]]) -> list[_Row]:
    """Rows with bars to the scale of the largest count."""
    pairs = list(counts)
    largest = max((count for _, count in pairs), default=0)
    return [_Row(name, count, bar(count / largest if largest else 0.0)) for name, count in pairs]


def _finding_rows(batch: BatchResults) -> list[_Row]:
    """Most frequent first; the bar is the share of called films, and the note says it."""
    counts = count_findings(batch.results, batch.labels)
    rows: list[_Row] = []
    for one in sorted(counts, key=lambda count: -count.positive):
        share = one.positive / one.called if one.called else 0.0
        note = percent(share) if one.called else "no threshold"
        rows.append(_Row(one.finding, one.positive, bar(share, marked=one.positive > 0), note))
    return rows


def _status_rows(batch: BatchResults) -> list[tuple[Status, str, int]]:
    counts = Counter(result.status for result in batch.results)
    return [(status, STATUSES[status], counts[status]) for status in Status]


def _code_rows(batch: BatchResults) -> list[tuple[str, str, int]]:
    """Only the codes that occur, most frequent first."""
    counts = Counter(code for result in batch.results for code in result.codes)
    ordered = sorted(counts, key=lambda code: (-counts[code], code))
    return [(code, REASONS[code], counts[code]) for code in ordered]


def _view_rows(batch: BatchResults) -> list[_Row]:
    counts = Counter(result.view for result in batch.results)
    return _rows((view.value, counts[view]) for view in ViewPosition)
