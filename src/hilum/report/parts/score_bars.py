"""Bars on a log-odds axis with the threshold in the middle, as inline SVG.

All thresholds stand on one vertical line, so a column of bars is read at a glance: what reaches to
the right of the line was flagged. The numbers stand beside each bar as text.
"""

from __future__ import annotations

import math

from markupsafe import Markup

from hilum.report.parts.scores import NEAR_ODDS

__all__ = ["ODDS_AT_END", "axis_words", "log_odds_bar", "position"]

ODDS_AT_END = 10.0
"""Odds ratio at both ends of the axis. A bar beyond it is cut there and ends in an arrow."""

_HALF = math.log(ODDS_AT_END)
_NEAR = 50.0 - 50.0 * math.log(NEAR_ODDS) / _HALF


def axis_words() -> tuple[str, str, str]:
    """Return the labels of the axis, in odds: its left end, the middle and its right end.

    >>> axis_words()
    ('÷ 10', 'threshold', '× 10')
    """
    return f"÷ {ODDS_AT_END:.0f}", "threshold", f"× {ODDS_AT_END:.0f}"


def position(margin: float) -> float:
    """Return the place of a margin on the axis: 0 at its left end, 50 at the threshold, 100.

    >>> position(0.0), position(-99.0), round(position(math.log(10.0) / 2), 1)
    (50.0, 0.0, 75.0)
    """
    return 50.0 + 50.0 * min(max(margin / _HALF, -1.0), 1.0)


def log_odds_bar(margin: float, marked: bool) -> Markup:
    """Return a bar from the threshold to a score, for a table cell that it stretches to.

    Args:
        margin: log-odds above the threshold.
        marked: whether the finding is positive.

    >>> 'class="fill" x="50.00" y="2" width="50.00"' in log_odds_bar(math.log(10.0), True)
    True
    """
    end = position(margin)
    left, width = min(end, 50.0), abs(end - 50.0)
    beyond = ""
    if abs(margin) > _HALF:
        beyond = '<path class="beyond" d="M97 1L100 5L97 9"/>'
        if margin < 0.0:
            beyond = '<path class="beyond" d="M3 1L0 5L3 9"/>'
    # a page has many thousands, and Markup's own format is ten times as slow
    return Markup(  # noqa: S704 -- numbers alone
        f'<svg class="bar odds{" marked" if marked else ""}" viewBox="0 0 100 10"'
        ' preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="6"/>'
        f'<rect class="near" x="{_NEAR:.2f}" y="2" width="{50.0 - _NEAR:.2f}" height="6"/>'
        f'<rect class="fill" x="{left:.2f}" y="2" width="{width:.2f}" height="6"/>'
        f'{beyond}<path class="tick" d="M50 0V10"/></svg>'
    )
