"""The sanity of heatmaps, as Markdown."""

from __future__ import annotations

from hilum.domain.documents.sanity import MapLikeness, Sanity

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
        "| Untrained down to | Layers | Empty maps | Pairs | SSIM | Rank correlation |",
        "|---|---|---|---|---|---|",
        *(
            f"| {step.down_to} | {step.layers} | {step.empty} | {_cells(step.likeness)} |"
            for step in sanity.steps
        ),
        f"| *none; two films instead* | 0 | 0 | {_cells(sanity.baseline)} |",
    ]
    if sanity.two_findings is not None:
        lines.append(f"| *none; two findings instead* | 0 | 0 | {_cells(sanity.two_findings)} |")
    if sanity.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in sanity.notes)]
    return "\n".join(lines) + "\n"


def _two(sanity: Sanity) -> str:
    if sanity.two_findings is None:
        return "No film has two findings with a map."
    return (
        f"Maps of two findings on one film have an SSIM of {sanity.two_findings.ssim.in_words()}, "
        f"which must lie below {sanity.limit:g}, interval included."
    )


def _word(passed: bool | None) -> str:
    return "could not be asked" if passed is None else ("yes" if passed else "NO")


def _cells(likeness: MapLikeness) -> str:
    return f"{likeness.pairs} | {likeness.ssim.short()} | {likeness.spearman.short()}"
