"""Where heatmaps point, as Markdown: each measure beside the prior and noise."""

from __future__ import annotations

from collections.abc import Iterable

from hilum.domain.documents.base import Interval
from hilum.domain.documents.localization import HeatmapEvaluation, Pointed
from hilum.report.parts.markdown import TIGHT, table

__all__ = ["heatmap_table"]

ALL = "all, each map once"
_COMPARED = ("Heatmap", "Prior", "Noise", "Gain")


def heatmap_table(evaluation: HeatmapEvaluation) -> str:
    """heatmaps.md: every measure of every finding, with its interval."""
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
        f"Split `{split.name}`: {split.images:,} films of {split.patients:,} patients "
        f"({split.sha256[:12]}){look}. Reference: {localisation.reference}. "
        f"Precision {evaluation.precision}. Intervals: {localisation.interval}; seed "
        f"{localisation.seed}.",
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
            f"{one.maps} of {one.patients} patients",
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
