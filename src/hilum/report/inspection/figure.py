"""An inspection as one picture: prevalence, co-occurrence, findings per film, and age by sex."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.domain.documents.inspection import DatasetInspection, Labels
from hilum.domain.errors import counted
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.radiograph import Sex
from hilum.report.inspection.tables import completeness
from hilum.report.parts.figures import ACCENT, GUIDE, INK, SAND, bare, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_figure"]

_MOST = 24  # findings drawn, the most frequent ones: more cannot be read
_ANNOTATED = 16
_ABOVE: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
_STYLE: dict[str, object] = {
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def write_figure(inspection: DatasetInspection, path: Path) -> None:
    """Draw four panels to a PNG; the same inspection gives the same bytes."""
    with figure(path, (12.0, 10.4), 130, _STYLE) as drawing:
        drawing.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # pyright: ignore
        panels = drawing.subplots(2, 2, height_ratios=(1.35, 1.0))
        names = _most_frequent(inspection.labels)
        _prevalence(panels[0, 0], inspection.labels, names)
        _together(panels[0, 1], inspection.labels, names)
        _per_film(panels[1, 0], inspection)
        _ages(panels[1, 1], inspection)
        synthetic = ". SYNTHETIC films" if inspection.synthetic else ""
        drawing.suptitle(
            f"{inspection.card.title}. {_capital(completeness(inspection.published))}{synthetic}",
            fontsize=11,
            fontweight="bold",
        )
        drawing.supxlabel(NOT_A_DEVICE, fontsize=7)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _most_frequent(labels: Labels) -> list[str]:
    names = sorted(labels.findings, key=lambda name: -labels.findings[name].used.positive)
    return names[:_MOST]


def _frame(axes: Axes, title: str, grid: str | None = None) -> None:
    axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold", pad=8)
    bare(axes)
    axes.tick_params(length=2, width=0.5)
    axes.set_axisbelow(True)
    if grid == "x":
        axes.grid(axis="x", color=GUIDE, alpha=0.3, linewidth=0.5)
    if grid == "y":
        axes.grid(axis="y", color=GUIDE, alpha=0.3, linewidth=0.5)


def _prevalence(axes: Axes, labels: Labels, names: list[str]) -> None:
    counts = [labels.findings[name] for name in names]
    films = [finding.used.positive for finding in counts]
    at = np.arange(len(names))
    axes.barh(at, films, color=ACCENT, height=0.72)
    for row, finding in enumerate(counts):
        share = "no known label" if finding.prevalence is None else f"{finding.prevalence:.1%}"
        note = f" {finding.used.positive:,}  ({share})"
        axes.annotate(note, (finding.used.positive, row), va="center", fontsize=7)
    axes.set_yticks(at, [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.22 * max([*films, 1]))
    axes.set_xlabel("positive films, and their share of films with a known label")
    _frame(axes, "Findings", grid="x")


def _together(axes: Axes, labels: Labels, names: list[str]) -> None:
    order = [labels.co_occurrence.findings.index(name) for name in names]
    films = np.array(labels.co_occurrence.films)[np.ix_(order, order)]
    own = np.maximum(np.diag(films), 1)[:, None]
    share = films / own
    np.fill_diagonal(share, np.nan)
    # the largest share is the darkest; the diagonal, which says nothing, is left white
    image = axes.imshow(share, cmap="GnBu", vmin=0.0, vmax=max(np.nanmax(share, initial=0.0), 0.01))
    shown = [name.replace("_", " ") for name in names]
    axes.set_xticks(range(len(names)), shown, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), shown)
    if len(names) <= _ANNOTATED:
        middle = 0.6 * image.get_clim()[1]
        for (row, column), count in np.ndenumerate(films):
            if row != column and count:
                color = "white" if share[row, column] > middle else INK
                text = f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k"
                axes.text(column, row, text, ha="center", va="center", fontsize=5.6, color=color)
    _frame(axes, "Together on one film (number of films)")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02)
    bar.set_label("share of the row's films that also have the column's finding")
    bar.outline.set_visible(False)  # pyright: ignore


def _per_film(axes: Axes, inspection: DatasetInspection) -> None:
    counts = inspection.labels.findings_per_film
    axes.bar(list(counts), list(counts.values()), color=ACCENT, width=0.72)
    for findings, films in counts.items():
        axes.annotate(f"{films:,}", (findings, films), (0, 2), **_ABOVE)
    axes.set_xticks(list(counts))
    axes.set(xlabel="positive findings on a film, No Finding not counted", ylabel="films")
    axes.margins(y=0.1)
    _frame(axes, "Findings per film", grid="y")


def _ages(axes: Axes, inspection: DatasetInspection) -> None:
    ages = inspection.population.age_by_sex
    at = np.arange(len(ages))
    for sex, word, color, offset in (
        (Sex.FEMALE.value, "female", SAND, -0.2),
        (Sex.MALE.value, "male", ACCENT, 0.2),
    ):
        films = [by_sex.get(sex, 0) for by_sex in ages.values()]
        label = f"{word}, {counted(sum(films), 'film')}"
        axes.bar(at + offset, films, width=0.38, color=color, label=label)
    axes.set_xticks(at, [age.replace("00-09", "0-9").replace("-", "–") for age in ages])
    axes.set(xlabel="age in years", ylabel="films")
    _frame(axes, "Age by sex", grid="y")
    if ages:
        axes.legend(frameon=False, loc="upper left")
    else:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GUIDE)
