"""A probe of a bundle for shortcuts, for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.domain.documents import Interval
from hilum.domain.documents.probe import AlterationKind, AlterationResult, ProbeRun, RankingVerdict
from hilum.domain.errors import counted
from hilum.domain.findings import display_name
from hilum.report.evaluation.page import Footnotes, signed
from hilum.report.parts.page import document
from hilum.report.parts.plots import Axis, forest, forest_axis
from hilum.report.parts.text import columned, wrapped

__all__ = ["printed_probe", "probe_page", "verdict_of"]

_RANKED = ("Finding", "positive", "AUROC", "lungs covered", "outside covered", "verdict")
_MOVED = ("Alteration", "films", "most", "change", "flip", "control")
_CHIPS = {
    RankingVerdict.READS_THROUGH: "error",
    RankingVerdict.NOT_SHOWN: "",
    RankingVerdict.NOT_LUNGS: "skip",
    RankingVerdict.NOT_JUDGED: "skip",
}
_WIDEST = 2.0
"""Standard deviations at which the page's axis ends: larger changes are cut off there."""
_READ = (
    "That a change is not shown is no proof that there is none. A shortcut in the data need not be "
    "one of those tried."
)


def verdict_of(found: ProbeRun) -> str:
    """Return one sentence: how many shortcuts are shown."""
    films = f"{found.films.images:,} films"
    if found.unit == "patient":
        films += f" of {found.films.patients:,} patients"
    if not found.named:
        return f"No shortcut is shown on {films}."
    return f"{counted(len(found.named), 'shortcut')} shown on {films}."


def printed_probe(found: ProbeRun, width: int) -> str:
    """Return the probe for a terminal of `width` columns."""
    drawn = "SYNTHETIC FILMS. " if found.synthetic else ""
    lines = wrapped(f"{drawn}{found.model} ({found.bundle}): {verdict_of(found)}", width)
    lines.append("")
    lines += wrapped(
        "The finding whose logit each alteration moves most, altered less control, in standard "
        f"deviations over the films (* shown to be more than {found.limit:g}); and its calls:",
        width,
    )
    lines += columned([_MOVED, *map(_most, found.alterations)], width)
    if found.ranking:
        lines += ["", *wrapped(f"Ranking of positive films by {found.labels}:", width)]
        lines += columned([_RANKED, *_ranked(found)], width)
    lines.append("")
    for sentence in (*found.named, *found.sensitive):
        lines += wrapped(f"- {sentence}.", width)
    for note in (*found.notes, _READ):
        lines += wrapped(f"- {note}", width)
    return "\n".join(lines)


def _most(result: AlterationResult) -> tuple[str, ...]:
    """Return the row of an alteration: the finding that it moves most."""
    known = {name: one for name, one in result.findings.items() if one.in_spread is not None}
    films = f"{result.films:,}"
    if not known:
        return (result.name, films, "–", "–", "–", "–")
    name, one = max(known.items(), key=lambda item: abs(item[1].in_spread or 0.0))
    shares = (one.flips.value, one.control_flips.value)
    flips = ("–" if share is None else f"{share:.0%}" for share in shares)
    mark = "*" if one.moved else ""
    return (result.name, films, display_name(name), f"{one.in_spread:+.2f}{mark}", *flips)


def _ranked(found: ProbeRun) -> Iterator[tuple[str, ...]]:
    for name, one in found.ranking.items():
        areas = (one.whole, one.lungs_covered, one.outside_covered)
        yield (
            display_name(name),
            f"{one.positives:,} of {one.films:,}",
            *(area.short(2) for area in areas),
            one.verdict.value,
        )


def probe_page(found: ProbeRun) -> str:
    """Return the page, as one file that loads nothing; the same result gives the same bytes.

    Args:
        found: the result of `hilum probe`.
    """
    footnotes = Footnotes()
    ticks = tuple((float(at), signed(float(at), 0)) for at in (-2, -1, 0, 1, 2))
    axis = Axis("standard deviations", -_WIDEST, _WIDEST, ticks)

    def row(name: str, change: Interval) -> object:
        """Draw a change in standard deviations of the finding."""
        unit = found.spread[name]
        value, low, high = (
            None if end is None or not unit else max(-_WIDEST, min(_WIDEST, end / unit))
            for end in (change.value, change.low, change.high)
        )
        return forest(axis, value, (low, high), [(0.0, "chance")])

    values = {
        "probe": found,
        "verdict": verdict_of(found),
        "read": _READ,
        "chips": _CHIPS,
        "kinds": AlterationKind,
        "axis": forest_axis(axis),
        "forest": row,
        "number": footnotes.number,
        "signed": signed,
        "footnotes": footnotes.reasons,
        "jumps": [],
        "contents": [
            ("named", "Shortcuts"),
            ("lungs", "Lungs covered"),
            *((one.name, one.name) for one in found.alterations),
            ("made", "Methods"),
        ],
    }
    return "".join(document("probe", values, parts=("charts",)))
