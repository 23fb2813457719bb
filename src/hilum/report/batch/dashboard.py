"""dashboard.html: a batch in counts and distributions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hilum.domain.documents import Interval
from hilum.domain.errors import Status, counted
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.report.batch import Report
from hilum.report.parts.page import page, prepare
from hilum.report.parts.plots import Axis, bar, forest, forest_axis, histogram, pie, stack
from hilum.report.parts.results import BatchResults, BatchTally
from hilum.report.parts.text import REASONS, STATUSES, percent

__all__ = ["REPORT", "Dashboard"]

_SEXES = {Sex.FEMALE: "female", Sex.MALE: "male", Sex.UNKNOWN: "sex unknown"}
_OLDEST = 90


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
                "pie": pie(slices, f"{counted(tally.total, 'input')}"),
                "total": tally.total,
                "scored": tally.scored,
                "findings": _finding_rows(tally),
                "a_film": _rows((str(n), count) for n, count in tally.findings_a_film()),
                "statuses": [(s, STATUSES[s], tally.statuses[s]) for s in Status],
                "codes": _code_rows(tally),
                "views": _view_rows(tally),
                "people": _People.of(tally),
                "together": _Together.of(tally),
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


@dataclass(frozen=True)
class _Decade:
    """Inputs of patients of one decade of age: how many of each sex, and as a stacked bar."""

    name: str
    counts: Sequence[int]
    bar: Markup


@dataclass(frozen=True)
class _People:
    """Age and sex of the patients, of inputs of which either is known."""

    sexes: Sequence[str]
    decades: Sequence[_Decade]
    known: int

    @classmethod
    def of(cls, tally: BatchTally) -> _People | None:
        """Return the table; None where neither age nor sex is known of any input."""
        counts: dict[float, dict[Sex, int]] = {}
        known = 0
        for (age, sex), inputs in tally.people().items():
            start = math.inf if age is None else min(age, float(_OLDEST))
            own = counts.setdefault(start, dict.fromkeys(Sex, 0))
            own[sex] += inputs
            known += inputs if age is not None or sex is not Sex.UNKNOWN else 0
        if not known:
            return None
        sexes = [sex for sex in Sex if any(own[sex] for own in counts.values())]
        largest = max(sum(own.values()) for own in counts.values())
        decades = [
            _Decade(
                _decade(start),
                [own[sex] for sex in sexes],
                stack([(own[sex] / largest, f"sex-{sex.value}") for sex in sexes]),
            )
            for start, own in sorted(counts.items())
        ]
        return cls([_SEXES[sex] for sex in sexes], decades, known)


def _decade(start: float) -> str:
    """Return the words of a decade of age, from its first year.

    >>> _decade(60.0), _decade(90.0), _decade(math.inf)
    ('60–69', '90+', 'age unknown')
    """
    if math.isinf(start):
        return "age unknown"
    return f"{start:.0f}+" if start >= _OLDEST else f"{start:.0f}–{start + 9:.0f}"


@dataclass(frozen=True)
class _Pair:
    """Number of scored films on which two findings are positive, and its shade from 0 to 3."""

    first: str
    second: str
    films: int
    shade: int


@dataclass(frozen=True)
class _Together:
    """Findings that are positive on one film: a square of counts, and the pairs in order."""

    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[_Pair]]]
    pairs: Sequence[_Pair]

    @classmethod
    def of(cls, tally: BatchTally) -> _Together | None:
        """Return the square of the positive findings; None where no film has two."""
        own = {one.finding: one.positive for one in tally.findings() if one.positive}
        names = sorted(own, key=lambda name: -own[name])
        most = max((tally.together(a, b) for a in names for b in names if a != b), default=0)
        if not most:
            return None

        def pair(first: str, second: str) -> _Pair:
            films = own[first] if first == second else tally.together(first, second)
            return _Pair(first, second, films, math.ceil(3 * films / most) if films else 0)

        rows = [(first, [pair(first, second) for second in names]) for first in names]
        found = [one for k, (_, cells) in enumerate(rows) for one in cells[k + 1 :] if one.films]
        return cls(names, rows, sorted(found, key=lambda one: -one.films))


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
