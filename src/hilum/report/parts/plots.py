"""Charts as inline SVG: no script, no library, and the same values give the same bytes.

Classes carry the meaning and the page's style sheet the colors, so one chart serves light, dark and
paper. Every number that a chart shows stands beside it as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from hilum.domain.errors import counted
from hilum.report.parts.results import Spread
from hilum.report.parts.text import percent, shown

__all__ = ["Axis", "Plot", "bar", "forest", "forest_axis", "histogram", "pie", "stack"]

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A linear axis with its labels.

    Attributes:
        title: what is measured, with its unit where it has one.
        low, high: its ends.
        ticks: value and label of each tick.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, title: str, low: float, high: float) -> Axis:
        """Return an axis with four to nine ticks at round numbers.

        >>> [label for _, label in Axis.of("probability", 0.0, 0.05).ticks]
        ['0', '0.01', '0.02', '0.03', '0.04', '0.05']
        """
        # a width of 0.00099999… is one of 0.001 that was rounded
        power = 10.0 ** math.floor(math.log10(high - low) + 1e-9)
        for step in (power, power / 2, power / 5, power / 10):
            first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
            if last - first >= 3:
                break
        ticks = tuple((k * step, f"{k * step:.6g}") for k in range(first, last + 1))
        return cls(title, low, high, ticks)

    def share(self, value: float) -> float:
        """Return the relative position of a value between the ends: 0 at `low`, 1 at `high`."""
        return (value - self.low) / (self.high - self.low)


_LEFT, _TOP, _WIDTH, _RIGHT, _BOTTOM = 44.0, 8.0, 264.0, 12.0, 36.0
# Lines on an axis are drawn whole, and marks in a corner are not cut in half.
_OVERHANG = 6.0


@dataclass(frozen=True)
class Plot:
    """Two axes and what is drawn between them. Whatever lies outside them is cut off.

    Layers are made by the methods and put together by `svg`. A script that moves a mark finds the
    axes in the attributes of the inner `svg`.

    Attributes:
        x, y: the axes.
        height: of the space between them, in units of which the width has 264.

    Example:
        >>> unit = Plot(Axis.of("x", 0, 1), Axis.of("y", 0, 1), height=200)
        >>> unit.line([(0, 0), (0.5, 1)], "curve")
        Markup('<path class="curve" d="M0 200L132 0"/>')
    """

    x: Axis
    y: Axis
    height: float = 200.0

    def line(self, points: Iterable[Point], kind: str) -> Markup:
        """Return a line through the points."""
        return Markup('<path class="{}" d="{}"/>').format(kind, self._path(points))

    def band(self, xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Markup:
        """Return the area between two lines."""
        there = list(zip(xs, high, strict=True))
        back = list(zip(xs, low, strict=True))[::-1]
        return Markup('<path class="band" d="{}Z"/>').format(self._path([*there, *back]))

    def column(self, x: Point, y: Point, kind: str) -> Markup:
        """Return a rectangle between two values of each axis."""
        left, right = sorted(map(self._across, x))
        top, bottom = sorted(map(self._down, y))
        return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            kind, _short(left), _short(top), _short(right - left), _short(bottom - top)
        )

    def dot(self, x: float, y: float, kind: str, title: str) -> Markup:
        """Draw a mark with a tooltip."""
        return Markup('<circle class="{}" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
            kind, _short(self._across(x)), _short(self._down(y)), shown(title)
        )

    def svg(self, label: str, *layers: Markup) -> Markup:
        """Return the plot.

        Args:
            label: text for screen readers.
            layers: from back to front.
        """
        over, width, height = _OVERHANG, _WIDTH + 2 * _OVERHANG, self.height + 2 * _OVERHANG
        return Markup(
            '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
            '<svg x="{}" y="{}" width="{}" height="{}" viewBox="{} {} {} {}" data-x="{} {}"'
            ' data-y="{} {}" data-size="{:g} {:g}">{}</svg></svg>'
        ).format(
            *(_short(_LEFT + _WIDTH + _RIGHT), _short(_TOP + self.height + _BOTTOM), shown(label)),
            self._axes(),
            *(_short(v) for v in (_LEFT - over, _TOP - over, width, height)),
            *(_short(v) for v in (-over, -over, width, height)),
            *(f"{v:.6g}" for v in (self.x.low, self.x.high, self.y.low, self.y.high)),
            *(_WIDTH, self.height),
            Markup("").join(layers),
        )

    def _axes(self) -> Markup:
        foot, end = _TOP + self.height, _LEFT + _WIDTH
        parts = [
            Markup('<path class="axis" d="M{} {}V{}H{}"/>').format(
                *(_short(v) for v in (_LEFT, _TOP, foot, end))
            ),
            _text(_LEFT + _WIDTH / 2, foot + 31, self.x.title, "title middle"),
            Markup(
                '<text class="title middle" transform="translate(11 {}) rotate(-90)">{}</text>'
            ).format(_short(_TOP + self.height / 2), self.y.title),
        ]
        for value, label in self.x.ticks:
            parts.append(_text(_LEFT + self._across(value), foot + 15, label, "middle"))
        for value, label in self.y.ticks:
            parts.append(_text(_LEFT - 6, _TOP + self._down(value) + 3.5, label, "end"))
            parts.append(
                Markup('<path class="grid" d="M{} {}h{}"/>').format(
                    _short(_LEFT), _short(_TOP + self._down(value)), _short(_WIDTH)
                )
            )
        return Markup("").join(parts)

    def _across(self, value: float) -> float:
        return _WIDTH * self.x.share(value)

    def _down(self, value: float) -> float:
        return self.height * (1.0 - self.y.share(value))

    def _path(self, points: Iterable[Point]) -> str:
        placed = (f"{_short(self._across(x))} {_short(self._down(y))}" for x, y in points)
        return "M" + "L".join(placed)


def _text(x: float, y: float, words: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
        kind, _short(x), _short(y), words
    )


def _short(value: float) -> str:
    """Return a coordinate to a tenth of a unit, which is a fraction of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def forest(
    axis: Axis,
    value: float | None,
    ends: tuple[float | None, float | None],
    rules: Sequence[tuple[float, str]] = (),
    ticks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """Return a row of a forest plot for a table cell: a dot with its interval, rules and ticks.

    It stretches to its cell without distortion; rows that follow one another make the plot. Ends
    outside the axis are drawn to its edge. The numbers stand in another cell, so it is hidden from
    screen readers.

    Args:
        axis: the same for all rows.
        value: None draws the rules alone.
        ends: of the interval.
        rules: value and class of lines through the whole height.
        ticks: value and class of short lines.

    >>> "circle" in forest(Axis.of("AUROC", 0.4, 1.0), None, (None, None))
    False
    """

    def at(number: float) -> str:
        return f"{100 * min(max(axis.share(number), 0.0), 1.0):.2f}%"

    upright = Markup('<line class="{}" x1="{x}" x2="{x}" y1="{}" y2="{}"/>')
    parts = [upright.format(kind, "0", "100%", x=at(number)) for number, kind in rules]
    if value is not None:
        if None not in ends:
            low, high = (at(end) for end in ends if end is not None)
            line = Markup('<line class="whisker" x1="{}" x2="{}" y1="50%" y2="50%"/>')
            parts.append(line.format(low, high))
        parts.append(Markup('<circle class="value" cx="{}" cy="50%" r="4"/>').format(at(value)))
    parts += [upright.format(kind, "15%", "85%", x=at(number)) for number, kind in ticks]
    return Markup('<svg class="forest" aria-hidden="true">{}</svg>').format(Markup("").join(parts))


def forest_axis(axis: Axis) -> Markup:
    """Return the labels of a forest plot's axis, for the cell above or below its rows.

    Every second one is `minor`: a narrow page may leave it out.
    """
    labels = Markup("")
    for index, (value, label) in enumerate(axis.ticks):
        share = axis.share(value)
        # a label at an end would run out of the cell if it were centered
        side = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
        side += " minor" if index % 2 else ""
        labels += Markup('<text class="{}" x="{}" y="70%">{}</text>').format(
            side, f"{100 * share:.2f}%", label
        )
    return Markup('<svg class="forest labels" aria-hidden="true">{}</svg>').format(labels)


def bar(share: float, tick: float | None = None, marked: bool = False) -> Markup:
    """Return a horizontal bar for a table cell: `share` in [0, 1] filled, a tick at a threshold.

    It stretches to its cell; the number stands in the next one, so it is hidden from screen
    readers.

    >>> "tick" in bar(0.5), "tick" in bar(0.5, tick=0.2)
    (False, True)
    """
    line = f'<path class="tick" d="M{100 * tick:.2f} 0V10"/>' if tick else ""
    # a page has many thousands, and Markup's own format is ten times as slow
    return Markup(  # noqa: S704 -- numbers alone
        f'<svg class="bar{" marked" if marked else ""}" viewBox="0 0 100 10"'
        ' preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="6"/>'
        f'<rect class="fill" y="2" width="{100 * share:.2f}" height="6"/>{line}</svg>'
    )


def stack(parts: Sequence[tuple[float, str]]) -> Markup:
    """Return a horizontal bar of parts for a table cell: share in [0, 1] and class of each.

    The numbers stand in other cells, so it is hidden from screen readers.

    >>> stack([(0.5, "a"), (0.25, "b")]).count("<rect")
    3
    """
    shapes, at = Markup(""), 0.0
    for share, kind in parts:
        if share:
            shapes += Markup(
                '<rect class="{}" x="{:.2f}" y="2" width="{:.2f}" height="6"/>'
            ).format(kind, 100 * at, 100 * share)
        at += share
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="6"/>{}</svg>'
    ).format(shapes)


def pie(slices: Sequence[tuple[str, int]], title: str) -> Markup:
    """Return a pie of counts, the first slice from twelve o'clock clockwise.

    Slice i is colored by the class `slice-i`; the legend beside it carries words and numbers. A
    slice of everything is a whole disc, and a pie of nothing is an empty ring.

    Args:
        slices: (name, count).
        title: what a screen reader says, before the counts.
    """
    total = sum(count for _, count in slices)
    counts = "; ".join(f"{name}: {count}" for name, count in slices)
    shapes = Markup("")
    turned = 0.0
    for index, (_, count) in enumerate(slices):
        if count:
            shapes += _slice(turned, count / total, index)
            turned += count / total
    if not total:
        shapes = Markup('<circle class="empty" r="98"/>')
    return Markup(
        '<svg class="pie" viewBox="-100 -100 200 200" role="img" aria-label="{}">{}</svg>'
    ).format(f"{title}: {counts}", shapes)


def _slice(start: float, share: float, index: int) -> Markup:
    if share == 1.0:
        return Markup('<circle class="slice-{}" r="98"/>').format(index)
    x0, y0 = _on_circle(start)
    x1, y1 = _on_circle(start + share)
    return Markup(
        '<path class="slice-{}" d="M0 0L{:.3f} {:.3f}A98 98 0 {} 1 {:.3f} {:.3f}Z"/>'
    ).format(index, x0, y0, int(share > 0.5), x1, y1)


def _on_circle(turn: float) -> tuple[float, float]:
    angle = 2.0 * math.pi * turn
    return 98.0 * math.sin(angle), -98.0 * math.cos(angle)


# The panel of a histogram, in its own units: where the plot is, and how large.
_PANEL_LEFT, _PANEL_TOP, _PANEL_WIDTH, _PANEL_HEIGHT = 8.0, 16.0, 244.0, 84.0


def histogram(spread: Spread) -> Markup:
    """Return one panel of small multiples: a column a bin, the threshold as a dashed line.

    The axis runs from 0 to `spread.upper` and is labeled, for panels differ; the tallest column
    carries its count, which gives the vertical scale.
    """
    peak = max(spread.counts)
    step = _PANEL_WIDTH / len(spread.counts)
    columns = Markup("").join(
        Markup('<rect class="fill" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
            _PANEL_LEFT + i * step + 0.5,
            _PANEL_TOP + _PANEL_HEIGHT * (1 - count / peak),
            step - 1,
            _PANEL_HEIGHT * count / peak,
        )
        for i, count in enumerate(spread.counts)
        if count
    )
    return Markup(
        '<svg class="histogram" viewBox="0 0 260 120" role="img" aria-label="{}">'
        '{}<path class="axis" d="M{l} {b}H{r}"/>'
        '<text x="{l}" y="114">0</text>'
        '<text x="{r}" y="114" class="end">{}</text>{}{}</svg>'
    ).format(
        _described(spread),
        columns,
        f"{spread.upper:.0%}",
        _peak_label(spread, peak, step),
        _threshold_line(spread),
        l=f"{_PANEL_LEFT:g}",
        r=f"{_PANEL_LEFT + _PANEL_WIDTH:g}",
        b=f"{_PANEL_TOP + _PANEL_HEIGHT:g}",
    )


def _described(spread: Spread) -> str:
    line = "no threshold" if spread.threshold is None else f"threshold {percent(spread.threshold)}"
    if spread.median is None:
        return f"{spread.finding}: no film scored; {line}"
    return f"{spread.finding}: {counted(spread.n, 'film')}, median {percent(spread.median)}, {line}"


def _peak_label(spread: Spread, peak: int, step: float) -> Markup:
    if not peak:
        return Markup('<text x="130" y="62" class="middle">{}</text>').format("no film scored")
    x = _PANEL_LEFT + (spread.counts.index(peak) + 0.5) * step
    # A label over the first or last columns would run out of the panel if it were centered.
    side = "start" if x < 30 else "end" if x > 230 else "middle"
    x = _PANEL_LEFT if side == "start" else _PANEL_LEFT + _PANEL_WIDTH if side == "end" else x
    return Markup('<text x="{:.2f}" y="12" class="{}">{}</text>').format(x, side, escape(peak))


def _threshold_line(spread: Spread) -> Markup:
    if spread.threshold is None:
        return Markup("")
    x = _PANEL_LEFT + _PANEL_WIDTH * min(spread.threshold / spread.upper, 1.0)
    return Markup('<path class="tick" d="M{0:.2f} {1:g}V{2:g}"/>').format(
        x, _PANEL_TOP - 4, _PANEL_TOP + _PANEL_HEIGHT + 4
    )
