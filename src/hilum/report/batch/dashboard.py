"""dashboard.html: a batch in counts and distributions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hilum.domain.documents import Interval
from hilum.domain.errors import Status, counted
from hilum.domain.radiograph import ViewPosition
from hilum.report.batch import Report
from hilum.report.parts.page import page, prepare
from hilum.report.parts.people import People
from hilum.report.parts.plots import Axis, bar, forest, forest_axis, histogram, pie
from hilum.report.parts.results import BatchResults, BatchTally, InputOutcome
from hilum.report.parts.square import FindingSquare
from hilum.report.parts.text import REASONS, STATUSES, percent

__all__ = ["REPORT", "Dashboard"]


@dataclass(frozen=True)
class Dashboard(Report):
    """The page for whoever looks after a batch.

    Its counts are those of the CSV, recomputed by a test. They describe this batch; they are no
    prevalence, for thresholds are chosen to trade misses against false calls. Parts of which the
    batch knows nothing are left out. How long it took is not here: the same films give the same
    page, on any machine.
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
                "views": _view_rows(tally),
                "people": People.of(tally.people()),
                "together": _together(tally),
                "means": _Means.of(batch),
                "unscored": tally.unscored,
                "spreads": [
                    (name, one, histogram(one))
                    for name in batch.labels
                    for one in [tally.spread(name)]
                    if one.n
                ],
            },
            parts=("charts",),
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


def _view_rows(tally: BatchTally) -> list[_Row]:
    """Return the views that occur; none where no header names one."""
    known = sum(tally.views[view] for view in ViewPosition if view is not ViewPosition.UNKNOWN)
    return _rows((v.value, tally.views[v]) for v in ViewPosition if tally.views[v]) if known else []


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


def _together(tally: BatchTally) -> FindingSquare | None:
    films = {one.finding: one.positive for one in tally.findings()}
    return FindingSquare.of(films, tally.together)


@dataclass(frozen=True)
class _Mean:
    """A finding's mean probability in this batch, beside the prevalence it is calibrated to."""

    name: str
    mean: Interval
    prevalence: float
    row: Markup

    @property
    def ratio(self) -> str:
        """The mean as a multiple of the prevalence."""
        if not self.prevalence or self.mean.value is None:
            return "–"
        ratio = self.mean.value / self.prevalence
        return f"{ratio:,.{0 if ratio >= 10 else 1 if ratio >= 0.95 else 2}f} ×"


@dataclass(frozen=True)
class _Means:
    """Mean probabilities of all findings, on one axis."""

    axis: Markup
    rows: Sequence[_Mean]

    @classmethod
    def of(cls, batch: BatchResults) -> _Means | None:
        """Return the means; None where nothing was scored, or no prevalence is known."""
        known = batch.bundle.prevalence
        pairs = [
            (name, mean, known[name])
            for name in batch.labels
            if name in known and (mean := batch.tally.mean(name)) is not None
        ]
        if not pairs:
            return None
        ends = [end for _, mean, share in pairs for end in (mean.high, mean.value, share) if end]
        top = min(1.0, math.ceil(20 * max([*ends, 0.05])) / 20)
        plain = Axis.of("probability", 0.0, top)
        axis = Axis("probability", 0.0, top, tuple((v, f"{v:.0%}") for v, _ in plain.ticks))
        rows = [
            _Mean(
                name,
                mean,
                share,
                forest(axis, mean.value, (mean.low, mean.high), [], [(share, "rival")]),
            )
            for name, mean, share in sorted(pairs, key=lambda one: -(one[1].value or 0.0))
        ]
        return cls(forest_axis(axis), rows)
