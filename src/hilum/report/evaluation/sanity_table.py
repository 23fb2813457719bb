"""The sanity of heatmaps, as Markdown."""

from __future__ import annotations

from hilum.domain.documents.sanity import MapLikeness, Sanity
from hilum.report.parts.markdown import TIGHT, table

__all__ = ["sanity_table"]


def sanity_table(sanity: Sanity) -> str:
    """sanity.md: the verdict, and the numbers behind it with their intervals."""
    split = sanity.split
    lines = [
        f"# Sanity of the heatmaps of {sanity.model}: {'passed' if sanity.passed else 'FAILED'}",
        "",
        sanity.notice,
        "",
        f"- The maps depend on what was learned: **{_word(sanity.depends_on_weights)}**. With "
        f"every layer untrained, their SSIM to the trained network's is "
        f"{sanity.steps[-1].likeness.ssim.in_words()}; maps of two films have "
        f"{sanity.baseline.ssim.in_words()}, and the former must lie below the latter, interval "
        "included.",
        f"- The maps depend on the finding: **{_word(sanity.depends_on_finding)}**. {_two(sanity)}",
        "",
        f"Split `{split.name}`: {split.images:,} films of {split.patients:,} patients "
        f"({split.sha256[:12]}); {sanity.maps} maps of findings that the films have, "
        f"{sanity.empty} left out as they are empty. Precision {sanity.precision}. Intervals: "
        f"{sanity.interval}; seed {sanity.seed}.",
        "",
        "## Cascading randomisation, from the head down",
        "",
        _cascade(sanity),
    ]
    if sanity.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in sanity.notes)]
    return "\n".join(lines) + "\n"


def _cascade(sanity: Sanity) -> str:
    header = ("Untrained down to", "Layers", "Empty maps", "Pairs", "SSIM", "Rank correlation")
    rows = [
        (step.down_to, str(step.layers), str(step.empty), *_cells(step.likeness))
        for step in sanity.steps
    ]
    rows.append(("*none; two films instead*", "0", "0", *_cells(sanity.baseline)))
    if sanity.two_findings is not None:
        rows.append(("*none; two findings instead*", "0", "0", *_cells(sanity.two_findings)))
    return table(header, rows, form=TIGHT)


def _two(sanity: Sanity) -> str:
    if sanity.two_findings is None:
        return "No film has two findings with a map."
    return (
        f"Maps of two findings on one film have an SSIM of {sanity.two_findings.ssim.in_words()}, "
        f"which must lie below {sanity.limit:g}, interval included."
    )


def _word(passed: bool | None) -> str:
    return "could not be asked" if passed is None else ("yes" if passed else "NO")


def _cells(likeness: MapLikeness) -> tuple[str, str, str]:
    return str(likeness.pairs), likeness.ssim.short(), likeness.spearman.short()
