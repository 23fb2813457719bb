"""What the operating-point explorer of a page shows: thresholds, and the frozen ones among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hilum.domain.documents.evaluation import FindingEvaluation, PointEvaluation
from hilum.evaluation.curves import FindingCurves
from hilum.metrics.operating import GridRow
from hilum.report.evaluation.sentences import NONE

__all__ = ["RARE", "Explorer", "ThresholdStop", "apportion", "decimal"]

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
    """A threshold to four digits, written as JavaScript writes numbers.

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
        """The explorer of a finding; None where nothing is labelled."""
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
        """What the page's script works on: of each stop the threshold, films called and hits."""
        return {
            "n": self.stops[0].n,
            "found": self.stops[0].found,
            "rare": self.stops[0].rare,
            "stops": [[stop.row.threshold, stop.row.called, stop.hits] for stop in self.stops],
        }


def _by_threshold(points: dict[str, PointEvaluation]) -> dict[float, tuple[str, ...]]:
    """Names of the operating points at each threshold, in the order of the points."""
    names: dict[float, tuple[str, ...]] = {}
    for name, point in points.items():
        if point.threshold is not None:
            names[point.threshold] = (*names.get(point.threshold, ()), name)
    return names
