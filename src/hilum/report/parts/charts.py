"""Charts as inline SVG, drawn by hand: no script, no library, the same bytes every time.

Colours come from the page's style sheet by class, so one chart serves light, dark and paper.
Every number that a chart shows stands beside it as text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from hilum.report.parts.counts import Spread
from hilum.report.parts.sentences import percent

__all__ = ["bar", "histogram", "pie"]


def bar(share: float, tick: float | None = None, marked: bool = False) -> Markup:
    """A horizontal bar for a table cell: `share` in [0, 1] filled, a tick at a threshold.

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


def pie(slices: Sequence[tuple[str, int]], title: str) -> Markup:
    """A pie of counts, the first slice from twelve o'clock clockwise.

    Slice i is coloured by the class `slice-i`; the legend beside it carries words and numbers. A
    slice of everything is a whole disc, and a pie of nothing is an empty ring.

    Args:
        slices: (name, count).
        title: what a screen reader says, before the counts.
    """
    total = sum(count for _, count in slices)
    said = "; ".join(f"{name}: {count}" for name, count in slices)
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
    ).format(f"{title}: {said}", shapes)


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
_LEFT, _TOP, _WIDTH, _HEIGHT = 8.0, 16.0, 244.0, 84.0


def histogram(spread: Spread) -> Markup:
    """One panel of small multiples: a column a bin, the threshold as a dashed line.

    The axis runs from 0 to `spread.upper` and is labelled, for panels differ; the tallest column
    carries its count, which gives the vertical scale.
    """
    peak = max(spread.counts)
    step = _WIDTH / len(spread.counts)
    columns = Markup("").join(
        Markup('<rect class="fill" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
            _LEFT + i * step + 0.5,
            _TOP + _HEIGHT * (1 - count / peak),
            step - 1,
            _HEIGHT * count / peak,
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
        l=f"{_LEFT:g}",
        r=f"{_LEFT + _WIDTH:g}",
        b=f"{_TOP + _HEIGHT:g}",
    )


def _described(spread: Spread) -> str:
    line = "no threshold" if spread.threshold is None else f"threshold {percent(spread.threshold)}"
    if spread.median is None:
        return f"{spread.finding}: no film scored; {line}"
    return f"{spread.finding}: {spread.n} films, median {percent(spread.median)}, {line}"


def _peak_label(spread: Spread, peak: int, step: float) -> Markup:
    if not peak:
        return Markup('<text x="130" y="62" class="middle">{}</text>').format("no film scored")
    x = _LEFT + (spread.counts.index(peak) + 0.5) * step
    # A label over the first or last columns would run out of the panel if it were centred.
    side = "start" if x < 30 else "end" if x > 230 else "middle"
    x = _LEFT if side == "start" else _LEFT + _WIDTH if side == "end" else x
    return Markup('<text x="{:.2f}" y="12" class="{}">{}</text>').format(x, side, escape(peak))


def _threshold_line(spread: Spread) -> Markup:
    if spread.threshold is None:
        return Markup("")
    x = _LEFT + _WIDTH * min(spread.threshold / spread.upper, 1.0)
    return Markup('<path class="tick" d="M{0:.2f} {1:g}V{2:g}"/>').format(
        x, _TOP - 4, _TOP + _HEIGHT + 4
    )
