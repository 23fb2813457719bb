"""The reliability diagram: one curve and one band, drawn on pages (SVG) and in figures (PNG).

The curve is the share of positive films by isotonic regression (CORP), which has no bins to choose;
the band is where 90 % of the curves of a calibrated model with these probabilities would lie.
Source: Dimitriadis, Gneiting & Jordan 2021, "Stable reliability diagrams for probabilistic
classifiers", PNAS 118 (8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from markupsafe import Markup

from hilum.domain.documents.evaluation import FindingEvaluation
from hilum.evaluation.curves import FindingCurves, round_up
from hilum.metrics.corp import ReliabilityCurve
from hilum.report.parts.figures import ACCENT, BAND, bare, guide
from hilum.report.parts.plots import Axis, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NOW_LINE", "ReliabilityDiagram", "reliability_chart", "reliability_panel"]

NOW_LINE = Markup('<path class="now" data-now="threshold"/>')
"""Threshold that the reader chose on a page; its script places it."""


@dataclass(frozen=True, eq=False)
class ReliabilityDiagram:
    """Reliability diagram of one finding: its curve, and the ends of its axes.

    Axes end at the 99.5th percentile of the probabilities, rounded up, and so does the curve:
    beyond it a handful of films would decide the look of the diagram.

    Attributes:
        curve: up to the 99.5th percentile.
        end: of the axis of probabilities.
        top: of the axis of shares; holds curve and band.
    """

    curve: ReliabilityCurve
    end: float
    top: float

    @classmethod
    def of(cls, curves: FindingCurves) -> Self | None:
        """Return the diagram of a finding; None without films."""
        if curves.reliability is None:
            return None
        curve = _until(curves.reliability, curves.tail)
        end = float(curves.histogram.edges[-1])
        top = round_up(max(end, float(curve.observed.max()), float(curve.high.max())))
        return cls(curve, end, top)


def reliability_chart(
    name: str, finding: FindingEvaluation, curves: FindingCurves
) -> Markup | None:
    """Return the diagram for a page; None without films."""
    diagram = ReliabilityDiagram.of(curves)
    if diagram is None:
        return None
    curve, top = diagram.curve, diagram.top
    plot = Plot(
        Axis.of("probability", 0.0, diagram.end), Axis.of("share positive", 0.0, top), 148.0
    )
    pairs = zip(curve.probabilities.tolist(), curve.observed.tolist(), strict=True)
    return plot.svg(
        f"Reliability of {name} with a 90 % consistency band: {finding.calibration.verdict}",
        plot.band(curve.probabilities.tolist(), curve.low.tolist(), curve.high.tolist()),
        plot.line([(0.0, 0.0), (top, top)], "guide"),
        plot.line(pairs, "curve"),
        NOW_LINE,
    )


def reliability_panel(
    axes: Axes,
    diagram: ReliabilityDiagram,
    ends: tuple[float, float],
    color: str = ACCENT,
    band: bool = True,
) -> None:
    """Draw the diagram into a panel of a figure.

    Args:
        axes: the panel; a second diagram may follow in another color.
        diagram: what to draw.
        ends: of the two axes.
        color: of the curve.
        band: whether to draw what chance would show.
    """
    end, top = ends
    curve = diagram.curve
    if band:
        axes.fill_between(
            curve.probabilities, curve.low, curve.high, color=BAND, linewidth=0, zorder=0.3
        )
    axes.plot(curve.probabilities, curve.observed, color=color, linewidth=1.4)
    guide(axes, max(end, top))
    axes.set_xlim(0.0, end)
    axes.set_ylim(0.0, top)
    axes.set_box_aspect(1.0)
    axes.locator_params(nbins=4)
    bare(axes)


def _until(curve: ReliabilityCurve, end: float) -> ReliabilityCurve:
    there = curve.probabilities <= end
    there[0] = True
    return ReliabilityCurve(
        *(column[there] for column in (curve.probabilities, curve.observed, curve.low, curve.high))
    )
