"""dashboard.html: a batch in counts and distributions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hilum.domain.errors import Status, counted
from hilum.domain.radiograph import ViewPosition
from hilum.report.batch import Report
from hilum.report.parts.page import page, prepare
from hilum.report.parts.plots import bar, histogram, pie
from hilum.report.parts.results import BatchResults, BatchTally, InputOutcome
from hilum.report.parts.text import REASONS, STATUSES, percent

__all__ = ["REPORT", "Dashboard"]


@dataclass(frozen=True)
class Dashboard(Report):
    """The page for whoever looks after a batch.

    Its counts are those of the CSV, recomputed by a test. They describe this batch; they are no
    prevalence, for thresholds are chosen to trade misses against false calls.
    """

    filename: str = "dashboard.html"

    def prepare(self) -> None:
        """Compile the template."""
        prepare("dashboard")

    def pieces(self, batch: BatchResults) -> Iterator[str]:
        """Yield the page."""
        tally = batch.tally
        slices = [(outcome.value, count) for outcome, count in tally.outcomes()]
        return page(
            "dashboard",
            batch,
            {
                "slices": slices,
                "outcome_views": {one.value: f"show={one.name.lower()}" for one in InputOutcome},
                "pie": pie(slices, f"{counted(tally.total, 'input')}"),
                "total": tally.total,
                "scored": tally.scored,
                "findings": _finding_rows(tally),
                "a_film": _rows((str(n), count) for n, count in tally.findings_a_film()),
                "statuses": [(s, STATUSES[s], tally.statuses[s]) for s in Status],
                "codes": _code_rows(tally),
                "views": _rows((view.value, tally.views[view]) for view in ViewPosition),
                "unscored": tally.unscored,
                "spreads": [
                    (name, one, histogram(one))
                    for name in batch.labels
                    for one in [tally.spread(name)]
                ],
            },
        )


REPORT: Report = Dashboard()


@dataclass(frozen=True)
class _Row:
    name: str
    count: int
    bar: str
    note: str = ""


def _rows(counts: Iterable[tuple[str, int]]) -> list[_Row]:
    """Return rows with bars to the scale of the largest count."""
    pairs = list(counts)
    largest = max((count for _, count in pairs), default=0)
    return [_Row(name, count, bar(count / largest if largest else 0.0)) for name, count in pairs]


def _finding_rows(tally: BatchTally) -> list[_Row]:
    """Most frequent first; the bar is the share of called films, and the note says it."""
    rows: list[_Row] = []
    for one in sorted(tally.findings(), key=lambda count: -count.positive):
        share = one.positive / one.called if one.called else 0.0
        note = percent(share) if one.called else "no threshold"
        rows.append(_Row(one.finding, one.positive, bar(share, marked=one.positive > 0), note))
    return rows


def _code_rows(tally: BatchTally) -> list[tuple[str, str, int]]:
    """Only the codes that occur, most frequent first."""
    ordered = sorted(tally.codes, key=lambda code: (-tally.codes[code], code))
    return [(code, REASONS[code], tally.codes[code]) for code in ordered]
