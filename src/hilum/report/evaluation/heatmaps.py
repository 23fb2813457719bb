"""Numbers of heatmaps as Markdown: where they point, and whether they depend on the weights."""

from __future__ import annotations

from collections.abc import Iterable

from hilum.domain.documents import Interval
from hilum.domain.documents.heatmaps import HeatmapEvaluation, MapLikeness, Pointed, Sanity
from hilum.domain.errors import counted
from hilum.report.parts.markdown import TIGHT, table

__all__ = ["heatmap_table", "sanity_table"]

ALL = "all, each map once"
_COMPARED = ("Heatmap", "Prior", "Noise", "Gain")


def heatmap_table(evaluation: HeatmapEvaluation) -> str:
    """Return heatmaps.md: every measure of every finding, with its interval."""
    localisation, split = evaluation.localisation, evaluation.split
    look = "" if evaluation.look is None else f", look number {evaluation.look} at these films"
    lines = [
        f"# Where the heatmaps of {evaluation.model} point",
        "",
        f"{evaluation.notice}",
        "",
        "A heatmap shows which regions raised a score. It is supporting evidence, not the location "
        "of disease.",
        "",
        f"Split `{split.name}`: {counted(split.images, 'film')} of "
        f"{counted(split.patients, 'patient')} ({split.sha256[:12]}){look}. "
        f"Reference: {localisation.reference}. Precision {evaluation.precision}. "
        f"Intervals: {localisation.interval}; seed {localisation.seed}.",
        "",
        "The prior is the mean mask of the other films with the finding, and noise is random: "
        "neither sees a film. What the network adds is the gain over the prior.",
        "",
        "## Pointing game: the hottest pixel lies on the finding, without tolerance",
        "",
    ]
    rows = {**localisation.findings, ALL: localisation.mean}
    found = {name: pointed for name, pointed in rows.items() if pointed is not None}
    lines.append(_pointing(found))
    if not found:
        lines += ["", "No finding has two films with a known place."]
    for measure in next(iter(found.values())).measures if found else ():
        lines += _measure(measure, found)
    lines += ["", "Measures: CheXlocalize's region is Otsu's, filled, at the film's own size. "]
    lines[-1] += (
        "IoU and IoBB: boxes around what is hotter than 60 and than 180 of 255 (Wang et al. 2017), "
        "the prior's around all above half of its peak; a finding is found when any box is right. "
        "An empty map scores 0, but where the first CheXlocalize mIoU leaves it out."
    )
    if evaluation.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in evaluation.notes)]
    return "\n".join(lines) + "\n"


def _pointing(found: dict[str, Pointed]) -> str:
    header = ("Finding", "Films", "Boxes", "Empty maps", "Covered", *_COMPARED)
    rows = [
        (
            name,
            f"{one.maps} of {counted(one.patients, 'patient')}",
            str(one.boxes),
            str(one.empty),
            f"{one.area:.3f}",
            *_cells((one.hits, one.prior_hits, one.random_hits, one.gain)),
        )
        for name, one in found.items()
    ]
    return table(header, rows, form=TIGHT)


def _measure(measure: str, found: dict[str, Pointed]) -> list[str]:
    by_film = next(iter(found.values())).measures[measure].by_film is not None
    header = ("Finding", "Films", *_COMPARED, *(("Films resampled",) if by_film else ()))
    rows: list[tuple[str, ...]] = []
    for name, pointed in found.items():
        compared = pointed.measures[measure]
        cells = [compared.heatmap, compared.prior, compared.random, compared.gain]
        cells += [] if compared.by_film is None else [compared.by_film]
        rows.append((name, str(pointed.maps), *_cells(cells)))
    return ["", f"## {measure[0].upper()}{measure[1:]}", "", table(header, rows, form=TIGHT)]


def _cells(intervals: Iterable[Interval]) -> Iterable[str]:
    return (made.short() for made in intervals)


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
        f"Split `{split.name}`: {counted(split.images, 'film')} of "
        f"{counted(split.patients, 'patient')} ({split.sha256[:12]}); "
        f"{sanity.maps} maps of findings that the films have, "
        f"{sanity.empty} left out as they are empty. Precision {sanity.precision}. Intervals: "
        f"{sanity.interval}; seed {sanity.seed}.",
        "",
        "## Cascading randomization, from the head down",
        "",
        _cascade(sanity),
    ]
    if sanity.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in sanity.notes)]
    return "\n".join(lines) + "\n"


def _cascade(sanity: Sanity) -> str:
    header = ("Untrained down to", "Layers", "Empty maps", "Pairs", "SSIM", "Rank correlation")
    rows = [
        (step.down_to, str(step.layers), str(step.empty), *_likeness_cells(step.likeness))
        for step in sanity.steps
    ]
    rows.append(("*none; two films instead*", "0", "0", *_likeness_cells(sanity.baseline)))
    if sanity.two_findings is not None:
        rows.append(
            ("*none; two findings instead*", "0", "0", *_likeness_cells(sanity.two_findings))
        )
    return table(header, rows, form=TIGHT)


def _two(sanity: Sanity) -> str:
    if sanity.two_findings is None:
        return "No film has two findings with a map."
    return (
        f"Maps of two findings on one film have an SSIM of {sanity.two_findings.ssim.in_words()}, "
        f"which must lie below {sanity.limit:g}, interval included."
    )


def _word(passed: bool | None) -> str:
    return "could not be checked" if passed is None else ("yes" if passed else "NO")


def _likeness_cells(likeness: MapLikeness) -> tuple[str, str, str]:
    return str(likeness.pairs), likeness.ssim.short(), likeness.spearman.short()
