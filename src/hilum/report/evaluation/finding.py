"""One finding on the page: its charts, and the explorer of its operating points.

Marks of class `now` are placed by the page's script, at the threshold that the reader chose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from hilum.domain.documents.evaluation import FindingEvaluation, PointEvaluation
from hilum.evaluation.curves import FindingCurves, Histogram, round_up
from hilum.metrics.operating import GridRow
from hilum.report.evaluation.reliability import NOW_LINE
from hilum.report.evaluation.sentences import NONE, shown
from hilum.report.parts.plots import Axis, Plot
from hilum.report.parts.text import percent

__all__ = [
    "RARE",
    "Explorer",
    "ThresholdStop",
    "apportion",
    "decimal",
    "decision_chart",
    "histogram_chart",
    "precision_recall_chart",
    "roc_chart",
]

_DIAGONAL = ((0.0, 0.0), (1.0, 1.0))
_NOW = Markup('<circle class="now" r="5.5" data-now="{}"/>')
_SQUARE = 264.0
_ONE = 0.6
"""Start of columns on a logarithmic axis, so that a single film has a height."""


def roc_chart(name: str, finding: FindingEvaluation, curves: FindingCurves) -> Markup | None:
    """Sensitivity against the share of films falsely called; None without a class."""
    if curves.roc is None:
        return None
    plot = Plot(Axis.of("1 − specificity", 0.0, 1.0), Axis.of("sensitivity", 0.0, 1.0), _SQUARE)
    return plot.svg(
        f"ROC curve of {name}: AUROC {shown(finding.auroc)}",
        plot.line(_DIAGONAL, "guide"),
        plot.line(_pairs(curves.roc), "curve"),
        *(
            plot.dot(1.0 - point.specificity.value, point.sensitivity.value, "point", title)
            for title, point in finding.operating_points.items()
            if point.specificity.value is not None and point.sensitivity.value is not None
        ),
        _NOW.format("roc"),
    )


def precision_recall_chart(
    name: str, finding: FindingEvaluation, curves: FindingCurves
) -> Markup | None:
    """PPV against sensitivity, as steps without interpolation; the prevalence as the line to beat.

    None without a class.
    """
    if curves.precision_recall is None:
        return None
    plot = Plot(
        Axis.of("recall (sensitivity)", 0.0, 1.0), Axis.of("precision (PPV)", 0.0, 1.0), _SQUARE
    )
    recall, precision = curves.precision_recall.T
    before = np.append(0.0, recall[:-1])
    steps = np.stack([np.stack([before, recall], 1), np.stack([precision, precision], 1)], 2)
    prevalence = curves.found / curves.n
    return plot.svg(
        f"Precision-recall curve of {name}: average precision "
        f"{shown(finding.average_precision)}, prevalence {percent(prevalence)}",
        plot.line([(0.0, prevalence), (1.0, prevalence)], "guide"),
        plot.line(_pairs(steps.reshape(-1, 2)), "curve"),
        *(
            plot.dot(point.sensitivity.value, point.ppv.value, "point", title)
            for title, point in finding.operating_points.items()
            if point.sensitivity.value is not None and point.ppv.value is not None
        ),
        _NOW.format("pr"),
    )


def histogram_chart(name: str, curves: FindingCurves) -> Markup | None:
    """Draw films by probability: with the finding upwards, the others downwards; log counts.

    None without films.
    """
    if not curves.n:
        return None
    bins = curves.histogram
    most = max(int(bins.positives.max()), int(bins.negatives.max()), 10)
    top, floor = math.log10(most) + 0.08, math.log10(_ONE)
    height = top - floor
    decades = range(int(top) + 1)
    # a tick of every decade above one film, and of every second one where there are many
    labeled = [10**power for power in decades[1 :: 2 if len(decades) > 5 else 1]]
    ticks = [(sign * (math.log10(n) - floor), f"{n:,}") for n in labeled for sign in (1, -1)]
    plot = Plot(
        Axis.of("probability", 0.0, float(bins.edges[-1])),
        Axis("count (log)", -height, height, tuple(ticks)),
        88.0,
    )
    return plot.svg(
        f"Probabilities of {name}: {_counted(bins)}",
        *_columns(plot, bins, bins.positives, 1.0),
        *_columns(plot, bins, bins.negatives, -1.0),
        plot.line([(0.0, 0.0), (float(bins.edges[-1]), 0.0)], "axis"),
        NOW_LINE,
    )


def _columns(plot: Plot, bins: Histogram, films: NDArray[np.intp], sign: float) -> Iterable[Markup]:
    kind = "with" if sign > 0 else "without"
    edges = bins.edges.tolist()
    gap = 0.08 * (edges[1] - edges[0])
    for left, right, count in zip(edges[:-1], edges[1:], films.tolist(), strict=True):
        if count:
            end = sign * (math.log10(count) - math.log10(_ONE))
            yield plot.column((left + gap, right - gap), (0.0, end), kind)


def _counted(bins: Histogram) -> str:
    beyond = f"; {bins.beyond:,} lie beyond the axis" if bins.beyond else ""
    return f"{int(bins.positives.sum()):,} with it, {int(bins.negatives.sum()):,} without{beyond}"


def decision_chart(name: str, finding: FindingEvaluation, curves: FindingCurves) -> Markup | None:
    """Net benefit against the threshold acted at, beside acting on all films and on none.

    In true positives of 1,000 films, since those of one film are unreadably small. Dots with
    whiskers are the thresholds that `evaluation.json` has intervals of. None without a class.
    """
    if curves.decision is None or not 0 < curves.found < curves.n:
        return None
    end = float(curves.acted_at[-1])
    known = [
        (float(at), worth.model)
        for at, worth in finding.net_benefit.items()
        if worth.model.value is not None and float(at) <= end
    ]
    highs = [of.high for _, of in known if of.high is not None]
    top = 1000.0 * round_up(1.05 * max(float(curves.decision.model.max()), *highs, 0.0))
    plot = Plot(
        Axis.of("threshold probability", 0.0, end),
        Axis.of("net benefit, of 1,000", -0.3 * top, top),
        _SQUARE,
    )

    def line(values: NDArray[np.float64], kind: str) -> Markup:
        return plot.line(_pairs(np.column_stack([curves.acted_at, 1000.0 * values])), kind)

    return plot.svg(
        f"Decision curve of {name}: net benefit of the model, of acting on all films and on none",
        line(curves.decision.treat_none, "guide"),
        line(curves.decision.treat_all, "rival"),
        line(curves.decision.model, "curve"),
        *(_whisker(plot, at, (of.low, of.high)) for at, of in known),
        *(plot.dot(at, 1000.0 * (of.value or 0.0), "value", f"at {at:g}") for at, of in known),
        NOW_LINE,
    )


def _whisker(plot: Plot, at: float, ends: tuple[float | None, float | None]) -> Markup:
    low, high = ends
    if low is None or high is None:
        return Markup("")
    return plot.line([(at, 1000.0 * low), (at, 1000.0 * high)], "whisker")


def _pairs(points: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]


RARE = 50
"""Films with the finding in 1,000 below which frequencies are given to a tenth of a film."""

_LISTED = 20


@dataclass(frozen=True)
class ThresholdStop:
    """A threshold, and how many of 1,000 films fall where.

    Attributes:
        row: the threshold and its numbers on the evaluated films.
        n, found: films, and those with the finding.
        names: of the frozen operating points that have this threshold.
    """

    row: GridRow
    n: int
    found: int
    names: tuple[str, ...] = ()

    @property
    def hits(self) -> int:
        """Films with the finding that are called."""
        return round((self.row.sensitivity or 0.0) * self.found)

    @property
    def rare(self) -> bool:
        """Whether whole films of 1,000 would be too coarse."""
        return 1000 * self.found < RARE * self.n

    @property
    def frequencies(self) -> dict[str, str]:
        """Films of 1,000 at the prevalence of the evaluated ones, by their place in the table.

        The four cells are rounded so that they add up to 1,000, and the margins are their sums.
        """
        hits, alarms = self.hits, self.row.called - self.hits
        cells = (hits, self.found - hits, alarms, self.n - self.found - alarms)
        tenths = 10 if self.rare else 1
        a, b, c, d = apportion(cells, 1000 * tenths)
        counts = {"hits": a, "misses": b, "found": a + b, "alarms": c, "spared": d, "free": c + d}
        counts |= {"called": a + c, "uncalled": b + d}
        digits = tenths // 10
        return {name: f"{count / tenths:.{digits}f}" for name, count in counts.items()}

    @property
    def measures(self) -> dict[str, str]:
        """The four shares, to three digits."""
        row = self.row
        shares = (row.sensitivity, row.specificity, row.ppv, row.npv)
        names = ("sensitivity", "specificity", "ppv", "npv")
        return {
            name: NONE if share is None else f"{share:.3f}"
            for name, share in zip(names, shares, strict=True)
        }


def apportion(counts: Sequence[int], total: int) -> list[int]:
    """Whole numbers in the proportion of the counts that add up to a total (largest remainder).

    >>> apportion([1, 1, 1], 100), apportion([0, 3, 3], 10)
    ([34, 33, 33], [0, 5, 5])
    """
    n = sum(counts)
    parts = [divmod(count * total, n) for count in counts]
    short = total - sum(whole for whole, _ in parts)
    last = sorted(range(len(parts)), key=lambda k: (-parts[k][1], k))[:short]
    return [whole + (k in last) for k, (whole, _) in enumerate(parts)]


def decimal(threshold: float) -> str:
    """Return a threshold to four digits, written as JavaScript writes numbers.

    >>> decimal(1 / 3), decimal(0.5), decimal(0.000044961), decimal(4.4961e-7)
    ('0.3333', '0.5', '0.00004496', '4.496e-7')
    """
    rounded = float(f"{threshold:.4g}")
    if 0.0 < rounded < 1e-6:
        return f"{rounded:g}".replace("e-0", "e-")
    return f"{rounded:.12f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Explorer:
    """The thresholds of one finding, rising, the frozen ones among them.

    Attributes:
        stops: at least one.
        start: index of the one shown first: the first operating point's, else the largest Youden's
            J, which is chosen on these very films.
        marks: index and name of each frozen operating point.
    """

    stops: tuple[ThresholdStop, ...]
    start: int
    marks: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, finding: FindingEvaluation, curves: FindingCurves) -> Explorer | None:
        """Return the explorer of a finding; None where nothing is labeled."""
        if not curves.n:
            return None
        frozen = _by_threshold(finding.operating_points)
        rows = {row.threshold: row for row in curves.thresholds}
        rows |= {threshold: curves.at(threshold) for threshold in frozen}
        stops = tuple(
            ThresholdStop(rows[t], curves.n, curves.found, frozen.get(t, ())) for t in sorted(rows)
        )
        marks = tuple((k, name) for k, stop in enumerate(stops) for name in stop.names)
        first = next(iter(frozen.values()), (None,))[0]
        named = [k for k, name in marks if name == first]
        best = max(range(len(stops)), key=lambda k: stops[k].row.youden or -1.0)
        return cls(stops, named[0] if named else best, marks)

    @property
    def listed(self) -> Sequence[ThresholdStop]:
        """Some twenty of the stops and all frozen ones, for a table."""
        every = max(1, len(self.stops) // _LISTED)
        return [stop for k, stop in enumerate(self.stops) if k % every == 0 or stop.names]

    @property
    def data(self) -> dict[str, object]:
        """Input of the page's script: threshold, films called and hits of each stop."""
        return {
            "n": self.stops[0].n,
            "found": self.stops[0].found,
            "rare": self.stops[0].rare,
            "stops": [[stop.row.threshold, stop.row.called, stop.hits] for stop in self.stops],
        }


def _by_threshold(points: dict[str, PointEvaluation]) -> dict[float, tuple[str, ...]]:
    """Return names of the operating points at each threshold, in the order of the points."""
    names: dict[float, tuple[str, ...]] = {}
    for name, point in points.items():
        if point.threshold is not None:
            names[point.threshold] = (*names.get(point.threshold, ()), name)
    return names
