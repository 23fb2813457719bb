"""upgrade.html: a new bundle beside the old one on one page, and the same for a terminal."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from hilum.domain.documents import Interval
from hilum.domain.documents.upgrade import (
    FindingFlips,
    FlipExample,
    GateOutcome,
    GateRule,
    GateVerdict,
    Upgrade,
)
from hilum.domain.findings import display_name
from hilum.report.evaluation.page import Footnotes, signed
from hilum.report.parts.page import document
from hilum.report.parts.plots import Axis, forest, forest_axis, stack
from hilum.report.parts.text import columned, wrapped

__all__ = ["printed", "upgrade_page"]

_ORDER = (GateOutcome.BROKEN, GateOutcome.UNDECIDED, GateOutcome.HOLDS)
_CHIPS = {GateOutcome.BROKEN: "error", GateOutcome.UNDECIDED: "warn", GateOutcome.HOLDS: ""}
_BANNERS = {
    GateVerdict.ALLOWED: "good",
    GateVerdict.STOPPED: "bad",
    GateVerdict.UNDECIDED: "caution",
    GateVerdict.NO_POLICY: "plain",
}
_SHOWN = 6
"""Findings whose flipped films are shown, those with the most flips first."""
_PRINTED = 12
"""Limits that a terminal shows; the page has all."""
_FLIPS = ("Finding", "called", "flipped", "gained", "lost")
_CHANGES = ("Finding", "AUROC", "sensitivity", "specificity")


def upgrade_page(found: Upgrade, results: Path, out: Path) -> str:
    """Return the page, as one file that loads nothing but the films' previews.

    Args:
        found: the comparison.
        results: the new bundle's folder of results, which has the previews.
        out: the folder of the page.
    """
    footnotes = Footnotes()
    areas = [change.auroc for change in found.changes.values()]
    areas += [group.auroc for group in found.groups]
    areas += [found.macro_auroc] if found.macro_auroc is not None else []
    axis = _axis(areas)
    values = {
        "upgrade": found,
        "banner": _BANNERS[found.verdict],
        "rules": sorted(found.rules, key=lambda rule: _ORDER.index(rule.outcome)),
        "chips": _CHIPS,
        "flips": _flip_views(found),
        "examples": _examples(found, os.path.relpath(results, out).replace(os.sep, "/")),
        "axis": forest_axis(axis),
        "forest": _Row(axis),
        "number": footnotes.number,
        "signed": signed,
        "footnotes": footnotes.reasons,
    }
    return "".join(document("upgrade", values, images=True, parts=("charts",)))


@dataclass(frozen=True)
class _FlipView:
    """One finding's flips, with a bar of those lost and gained."""

    name: str
    flips: FindingFlips
    bar: Markup


def _flip_views(found: Upgrade) -> list[_FlipView]:
    shares = {name: _parts(one) for name, one in found.flips.items()}
    widest = max([sum(parts) for parts in shares.values()], default=0.0) or 1.0
    return [
        _FlipView(
            name,
            found.flips[name],
            stack([(lost / widest, "lost"), (gained / widest, "gained")]),
        )
        for name, (lost, gained) in shares.items()
    ]


def _parts(one: FindingFlips) -> tuple[float, float]:
    return (one.lost / one.films, one.gained / one.films) if one.films else (0.0, 0.0)


def _examples(found: Upgrade, folder: str) -> list[tuple[str, list[tuple[FlipExample, str]]]]:
    """Return the films that flipped, of the findings with the most flips; each with its preview."""
    most = sorted(
        found.flips, key=lambda name: -(found.flips[name].gained + found.flips[name].lost)
    )
    return [
        (
            name,
            [
                (example, f"{folder}/{example.film}" if example.film else "")
                for example in found.flips[name].examples
            ],
        )
        for name in most[:_SHOWN]
        if found.flips[name].examples
    ]


def _axis(numbers: Sequence[Interval]) -> Axis:
    """Return an axis around 0 that holds the changes; ends of wide intervals are cut off."""
    ends = [abs(end) for one in numbers for end in (one.value, one.low, one.high) if end]
    reach = math.ceil(20 * min(0.5, max([0.05, *ends]))) / 20
    ticks = tuple((reach * k / 2, signed(reach * k / 2, 3).rstrip("0")) for k in (-2, -1, 1, 2))
    return Axis("change", -reach, reach, (*ticks[:2], (0.0, "0"), *ticks[2:]))


class _Row:
    """Draws rows of a forest plot around a line of no change."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis

    def __call__(self, number: Interval) -> Markup:
        """Return the row of one change."""
        return forest(self._axis, number.value, (number.low, number.high), [(0.0, "chance")])


def printed(found: Upgrade, width: int) -> str:
    """Return the comparison for a terminal of `width` columns."""
    films = found.films
    drawn = "SYNTHETIC FILMS. " if found.synthetic else ""
    lines = wrapped(
        f"{drawn}{found.new.name} ({found.new.id}) beside {found.old.name} ({found.old.id}) on "
        f"{films.images:,} films of {films.patients:,} patients that both scored",
        width,
    )
    lines += ["", *columned([_FLIPS, *(_flip_row(*one) for one in found.flips.items())], width)]
    if found.changes:
        rows = [
            (display_name(name), *map(_change, (one.auroc, one.sensitivity, one.specificity)))
            for name, one in found.changes.items()
        ]
        lines += ["", *wrapped(f"Changes against {found.labels}, new less old:", width)]
        lines += columned([_CHANGES, *rows], width)
    if found.rules:
        lines += ["", *_rule_lines(found.rules, width)]
    lines += ["", *wrapped(f"{found.verdict.value.upper()}: {found.words}", width), ""]
    for sentence in _sentences(found):
        lines += wrapped(f"- {sentence}", width)
    return "\n".join(lines)


def _flip_row(name: str, one: FindingFlips) -> tuple[str, ...]:
    share = "–" if one.share.value is None else f"{one.share.value:.1%}"
    return (display_name(name), f"{one.films:,}", share, f"{one.gained:,}", f"{one.lost:,}")


def _change(number: Interval) -> str:
    if number.value is None:
        return "–"
    if number.low is None or number.high is None:
        return f"{number.value:+.3f}"
    return f"{number.value:+.3f} [{number.low:+.3f}, {number.high:+.3f}]"


def _rule_lines(rules: Sequence[GateRule], width: int) -> Iterator[str]:
    ordered = sorted(rules, key=lambda rule: _ORDER.index(rule.outcome))
    for rule in ordered[:_PRINTED]:
        limit = f"limit {rule.limit:g}"
        yield from wrapped(
            f"{rule.outcome.value}: {rule.rule}, {rule.of}: {limit}; {rule.words}", width
        )
    if len(ordered) > _PRINTED:
        yield f"and {len(ordered) - _PRINTED} more: see upgrade.html"


def _sentences(found: Upgrade) -> Iterator[str]:
    served = found.served
    yield (
        f"without a score: {served.unscored_old:,} by the old bundle, {served.unscored_new:,} by "
        f"the new one, of {served.inputs:,}; {served.newly_unscored:,} that the old one scores"
    )
    if served.seconds_old is not None and served.seconds_new is not None:
        yield (
            f"seconds a film: {served.seconds_old:.3f} and {served.seconds_new:.3f}, one run each, "
            "the old bundle first"
        )
    if served.overlap.value is not None:
        yield f"{served.maps:,} heatmaps overlap by {served.overlap.in_words()}"
    if found.rule_out is not None:
        ruled = found.rule_out
        both = f"{ruled.both:,} by both"
        yield f"ruled out: {ruled.old:,} and {ruled.new:,} of {ruled.films:,}, {both}"
    for item in found.fit_anew:
        yield f"{item.what}: {item.words}"
    yield from found.notes
