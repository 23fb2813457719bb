"""A check of later films against a reference, for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from hilum.domain.documents import Interval
from hilum.domain.documents.watch import (
    QuantityKind,
    WatchCheck,
    WatchDay,
    WatchedQuantity,
    WatchReference,
)
from hilum.domain.errors import counted
from hilum.files.atomic import write_atomic
from hilum.report.parts.page import document
from hilum.report.parts.plots import Axis, Plot, bar
from hilum.report.parts.text import columned, wrapped

__all__ = [
    "PAGE",
    "line_of_check",
    "printed_check",
    "printed_reference",
    "watch_page",
    "write_watch_page",
]

PAGE = "watch.html"
_LISTED = 8
"""Alarms that the terminal lists; page and JSON have all."""
_COMPARED = 12
"""Quantities in the table of what moved most."""


def printed_reference(reference: WatchReference, width: int) -> str:
    """Return what a reference holds, and how often it alarms without cause."""
    held, rate = reference.held_back, reference.false_alarms
    lines = [
        f"Reference of {reference.model} {reference.bundle}: "
        f"{counted(reference.films, 'film')} of {counted(reference.patients, 'patient')}, "
        f"{len(reference.quantities)} quantities watched as {len(reference.channels)} channels. "
        f"A day is {counted(reference.day_patients, 'patient')} with all their films.",
        f"False alarms: {rate:.4f} a day requested (1 in {1 / rate:.0f} days, all quantities "
        f"together); held-back patients: {held.short(4)}, n = {reference.held_back_days} days.",
    ]
    lines += [f"- {note}" for note in reference.notes]
    lines += [f"- not watched: {note}" for note in reference.not_watched]
    return "\n".join(part for line in lines for part in wrapped(line, width))


def printed_check(check: WatchCheck, width: int) -> str:
    """Return the days, the alarms and the notes of a check."""
    lines = [*wrapped(verdict_of(check), width), ""]
    rows = [_day_row(day) for day in check.days]
    lines += columned([("Day", "films", "patients", "daily", "slow", "verdict"), *rows], width)
    for alarm in check.alarms[:_LISTED]:
        since = f", since {alarm.since}" if alarm.since != alarm.day else ""
        lines += wrapped(f"{alarm.day} ({alarm.kind.value}{since}): {alarm.words}", width)
    if len(check.alarms) > _LISTED:
        lines.append(f"and {len(check.alarms) - _LISTED} more, in {PAGE}")
    for effect in dict.fromkeys(alarm.effect for alarm in check.alarms[:_LISTED]):
        lines += wrapped(f"- {effect}", width)
    for note in check.notes:
        lines += wrapped(f"- {note}", width)
    return "\n".join(lines)


def verdict_of(check: WatchCheck) -> str:
    """Return one sentence: whether anything moved, and what that says of a rule."""
    days = [day for day in check.days if day.score is not None]
    alarmed = sum(day.verdict.value == "alarm" for day in days)
    noun = "day" if len(days) == 1 else "days"
    words = (
        f"{counted(check.films, 'film')} of {counted(check.patients, 'patient')}: "
        f"{alarmed} of {len(days)} {noun} alarmed, at a rate of false alarms of 1 in "
        f"{1 / check.false_alarms:.0f} days."
    )
    if check.rule_void:
        words += " The rule-out rule is void: refer every film."
    return words


def line_of_check(check: WatchCheck) -> str:
    """Return a check in one line: the verdict, and of an alarm what moved most."""
    words = verdict_of(check)
    if not check.alarms:
        return words
    most = max(check.alarms, key=lambda one: one.score / one.limit)
    since = f" since {most.since}" if most.since != most.day else ""
    return f"{words} Most rare{since}: {most.words}. It does not say that accuracy fell."


def write_watch_page(check: WatchCheck, reference: WatchReference, out: Path) -> None:
    """Write watch.html beside watch.json."""
    write_atomic(out / PAGE, watch_page(check, reference).encode("utf-8"))


def watch_page(check: WatchCheck, reference: WatchReference) -> str:
    """Return the page, as one file that loads nothing; the same check gives the same bytes.

    Args:
        check: what was found.
        reference: that it was held against.
    """
    pieces = document(
        "watch",
        {
            "check": check,
            "reference": reference,
            "verdict": verdict_of(check),
            "plot": _plot(check.days),
            "compared": _compared(check),
            "performance": _performance(check, reference),
            "jumps": [],
            "contents": [
                ("alarms", "Alarms"),
                ("days", "Days"),
                ("moved", "Quantities"),
                ("performance", "Performance"),
                ("made", "Reference"),
            ],
        },
        parts=("charts",),
    )
    return "".join(pieces)


def _day_row(day: WatchDay) -> tuple[str, ...]:
    return (
        day.name,
        f"{day.films:,}",
        f"{day.patients:,}",
        _of(day.score, day.limit),
        _of(day.slow_score, day.slow_limit),
        day.verdict.value,
    )


def _of(score: float | None, limit: float | None) -> str:
    return "–" if score is None or limit is None else f"{score:.1f} of {limit:.1f}"


def _plot(days: Sequence[WatchDay]) -> Markup | None:
    """Return scores by day, each as a share of its limit; None for a single day."""
    seen = [day for day in days if day.score is not None]
    if len(seen) < 2:
        return None
    shares = [
        [score / limit for score, limit in pairs if score is not None and limit]
        for pairs in (
            [(day.score, day.limit) for day in seen],
            [(day.slow_score, day.slow_limit) for day in seen],
        )
    ]
    most = max(1.5, *(value for line in shares for value in line))
    across = Axis(
        "day",
        1.0,
        float(len(seen)),
        tuple((float(k + 1), str(k + 1)) for k in _spaced(len(seen))),
    )
    plot = Plot(across, Axis.of("score / limit", 0.0, most * 1.05))
    kinds = (("value", "Daily"), ("now", "Slow"))
    lines = [
        plot.line(enumerate(line, start=1), kind)
        for line, kind in zip(shares, ("curve", "rival"), strict=True)
    ]
    dots = [
        plot.dot(at, value, kind, f"{name}, {seen[at - 1].name}: {value:.2f} of the limit")
        for line, (kind, name) in zip(shares, kinds, strict=True)
        for at, value in enumerate(line, start=1)
        if value > 1.0
    ]
    limit = plot.line([(1.0, 1.0), (float(len(seen)), 1.0)], "guide")
    return plot.svg(
        "Scores of the two tests by day, as a share of their limit", limit, *lines, *dots
    )


def _spaced(count: int) -> list[int]:
    """Return up to six places from first to last."""
    step = max(1, -(-count // 6))
    return list(range(0, count, step))


@dataclass(frozen=True)
class _Compared:
    """A quantity, before and now."""

    name: str
    before: str
    now: str
    distance: float
    bar: Markup


def _compared(check: WatchCheck) -> list[_Compared]:
    """Return the quantities whose distributions differ most, largest first.

    The distance is half the sum of differences of shares: 0 for equal, 1 for nothing in common.
    """
    rows: list[tuple[float, WatchedQuantity, WatchedQuantity]] = []
    for before, now in zip(check.reference_quantities, check.quantities, strict=True):
        pairs = zip(before.shares, now.shares, strict=False)
        apart = sum(abs(a - b) for a, b in pairs) / (1 if before.kind is QuantityKind.FLAG else 2)
        rows.append((apart if now.shares else 0.0, before, now))
    rows.sort(key=lambda row: -row[0])
    return [
        _Compared(before.name, *_values(before, now), apart, bar(min(apart, 1.0)))
        for apart, before, now in rows[:_COMPARED]
    ]


def _values(before: WatchedQuantity, now: WatchedQuantity) -> tuple[str, str]:
    if before.kind is QuantityKind.NUMBER:
        means = (before.mean, now.mean)
        first, second = ("–" if mean is None else f"mean {mean:.3g}" for mean in means)
        return first, second
    if before.kind is QuantityKind.FLAG:
        first, second = (
            f"{100 * one.shares[0]:.1f} %" if one.shares else "–" for one in (before, now)
        )
        return first, second
    moved = max(range(len(before.categories)), key=lambda k: abs(before.shares[k] - now.shares[k]))
    first, second = (
        f"{before.categories[moved]} {100 * one.shares[moved]:.1f} %" for one in (before, now)
    )
    return first, second


@dataclass(frozen=True)
class _Estimate:
    """Estimated performance of a finding, in the reference and now."""

    finding: str
    numbers: tuple[tuple[str, str], ...]
    """Name, and value with interval now, then in the reference."""


def _performance(check: WatchCheck, reference: WatchReference) -> list[_Estimate]:
    before = {one.finding: one for one in reference.performance}
    rows: list[_Estimate] = []
    for one in check.performance:
        own = before.get(one.finding)
        cells = tuple(
            (_short(getattr(one, name)), "–" if own is None else _value(getattr(own, name)))
            for name in ("prevalence", "sensitivity", "specificity", "ppv", "auroc")
        )
        rows.append(_Estimate(one.finding, cells))
    return rows


def _short(number: Interval) -> str:
    return number.short(2)


def _value(number: Interval) -> str:
    return "–" if number.value is None else f"{number.value:.2f}"
