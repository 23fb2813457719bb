"""One picture of what calibration did: reliability before and after, a panel a finding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.domain.effect import CalibrationEffect
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort
from hilum.domain.scores import Probabilities
from hilum.evaluation.sentences import shown
from hilum.metrics.reliability import BINS, Binning, bins_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_effect_figure"]

_BEFORE, _AFTER, _GUIDE, _INK = "#c8811f", "#0b6e8f", "#9aa5b1", "#1f2933"
_COLUMNS = 5


def write_effect_figure(
    effect: CalibrationEffect,
    before: Probabilities,
    after: Probabilities,
    cohort: Cohort,
    path: Path,
) -> None:
    """Draws a PNG: share of positive films against mean probability, before and after.

    A dot is one of 15 bins of equally many films; on the diagonal probabilities are right. Axes
    are logarithmic, since most probabilities of a rare finding lie near 0, where a linear axis
    shows one dot. A bin without a positive film has no place there and is drawn at the lower edge.

    Args:
        effect: what `effect_of_calibration` said.
        before: (N, L).
        after: (N, L).
        cohort: the N films.
        path: the PNG to write; the same input gives the same bytes.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(effect.findings))
    rows = math.ceil(len(effect.findings) / columns)
    states = cohort.states()
    with mpl.rc_context({"font.size": 8, "axes.edgecolor": _GUIDE, "text.color": _INK}):
        figure = Figure(figsize=(2.5 * columns, 2.7 * rows + 1.0), layout="constrained")
        FigureCanvasAgg(figure)
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for place in places[len(effect.findings) :]:
            place.set_axis_off()
        for axes, (name, found) in zip(places, effect.findings.items(), strict=False):
            state = states[:, cohort.labels.index(name)]
            known = (state == LabelState.POSITIVE) | (state == LabelState.NEGATIVE)
            y = state[known] == LabelState.POSITIVE
            _frame(axes, len(y))
            for colour, one in ((_BEFORE, before), (_AFTER, after)):
                _dots(axes, y, one.of(name)[known], colour)
            change = shown(found.change.ece_equal_mass, 4)
            axes.set_title(f"{name}, {found.positives} positive\nECE {change}", fontsize=7.5)
        split = effect.split
        figure.suptitle(
            f"{effect.model} on {split.name}: {split.images:,} films of {split.patients:,} "
            "patients, reliability before and after calibration",
            fontweight="bold",
        )
        figure.supxlabel(
            f"Mean probability of a bin. Orange: {effect.before}. Blue: {effect.after}. ECE: the "
            f"change, below 0 is better.\n{effect.notice}",
            fontsize=7.5,
        )
        figure.supylabel("Share of positive films", fontsize=7.5)
        figure.savefig(path, dpi=120, metadata={"Software": None})


def _frame(axes: Axes, films: int) -> None:
    low = 10.0 ** math.floor(math.log10(0.5 / max(1, films)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, 1.3)
    axes.set_ylim(low, 1.3)
    axes.set_aspect("equal")
    axes.plot([low, 1], [low, 1], color=_GUIDE, linewidth=0.8)
    axes.tick_params(labelsize=6.5)


def _dots(axes: Axes, y: NDArray[np.bool_], p: NDArray[np.float64], colour: str) -> None:
    if not len(p):
        return
    bins = bins_of(p, BINS, Binning.EQUAL_MASS)
    films = np.bincount(bins, minlength=BINS)
    there = films > 0
    mean = np.bincount(bins, weights=p, minlength=BINS)[there] / films[there]
    share = np.bincount(bins, weights=y, minlength=BINS)[there] / films[there]
    low = axes.get_xlim()[0]
    axes.plot(
        np.maximum(mean, low),
        np.maximum(share, low),
        "o-",
        color=colour,
        markersize=3.2,
        linewidth=0.9,
        clip_on=False,
    )
