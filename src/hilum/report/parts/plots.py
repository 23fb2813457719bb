"""Plots as inline SVG: lines, bands, columns and marks, placed by value on two labelled axes.

As with the other charts, classes carry the meaning and the style sheet the colours, and the same
values give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hilum.report.parts.names import shown

__all__ = ["Axis", "Plot", "forest", "forest_axis"]

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
        """An axis with four to nine ticks at round numbers.

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
        """Where a value lies between the ends: 0 at `low`, 1 at `high`."""
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
        """A line through the points."""
        return Markup('<path class="{}" d="{}"/>').format(kind, self._path(points))

    def band(self, xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Markup:
        """The area between two lines."""
        there = list(zip(xs, high, strict=True))
        back = list(zip(xs, low, strict=True))[::-1]
        return Markup('<path class="band" d="{}Z"/>').format(self._path([*there, *back]))

    def column(self, x: Point, y: Point, kind: str) -> Markup:
        """A rectangle between two values of each axis."""
        left, right = sorted(map(self._across, x))
        top, bottom = sorted(map(self._down, y))
        return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            kind, _short(left), _short(top), _short(right - left), _short(bottom - top)
        )

    def dot(self, x: float, y: float, kind: str, title: str) -> Markup:
        """A mark that says its title to the pointer."""
        return Markup('<circle class="{}" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
            kind, _short(self._across(x)), _short(self._down(y)), shown(title)
        )

    def svg(self, said: str, *layers: Markup) -> Markup:
        """The plot.

        Args:
            said: what a screen reader says of it.
            layers: from back to front.
        """
        over, width, height = _OVERHANG, _WIDTH + 2 * _OVERHANG, self.height + 2 * _OVERHANG
        return Markup(
            '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
            '<svg x="{}" y="{}" width="{}" height="{}" viewBox="{} {} {} {}" data-x="{} {}"'
            ' data-y="{} {}" data-size="{:g} {:g}">{}</svg></svg>'
        ).format(
            *(_short(_LEFT + _WIDTH + _RIGHT), _short(_TOP + self.height + _BOTTOM), shown(said)),
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
    """A coordinate to a tenth of a unit, which is a fraction of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def forest(
    axis: Axis,
    value: float | None,
    ends: tuple[float | None, float | None],
    rules: Sequence[tuple[float, str]] = (),
    ticks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """A row of a forest plot for a table cell: a dot with its interval, rules and ticks.

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
    """The labels of a forest plot's axis, for the cell above or below its rows.

    Every second one is `minor`: a narrow page may leave it out.
    """
    labels = Markup("")
    for index, (value, label) in enumerate(axis.ticks):
        share = axis.share(value)
        # a label at an end would run out of the cell if it were centred
        side = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
        side += " minor" if index % 2 else ""
        labels += Markup('<text class="{}" x="{}" y="70%">{}</text>').format(
            side, f"{100 * share:.2f}%", label
        )
    return Markup('<svg class="forest labels" aria-hidden="true">{}</svg>').format(labels)
