"""One picture of what calibration did: reliability before and after, a panel a finding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.calibration_effect import CalibrationEffect
from hilum.domain.record import Cohort, labelled
from hilum.domain.scores import Probabilities
from hilum.metrics.corp import reliability_curve
from hilum.report.evaluation.sentences import NONE, shown
from hilum.report.parts.markdown import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effect_table", "write_effect_figure"]

_BEFORE, _AFTER, _BAND = "#c8811f", "#0b6e8f", "#d8e3ea"
_GUIDE, _INK = "#9aa5b1", "#1f2933"
_COLUMNS = 5


def write_effect_figure(
    effect: CalibrationEffect,
    before: Probabilities,
    after: Probabilities,
    cohort: Cohort,
    path: Path,
) -> None:
    """Draws a PNG: share of positive films against probability, before and after.

    The curves are those of best fit that never fall (CORP), which need no bins; on the diagonal
    probabilities are right. The band is where 90 % of the curves of a calibrated model with these
    probabilities would lie. Axes end at the 99.5th percentile of the probabilities.

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
        size = (2.5 * columns, 2.7 * rows + 1.0)
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for place in places[len(effect.findings) :]:
            place.set_axis_off()
        for axes, (name, found) in zip(places, effect.findings.items(), strict=False):
            known, y = labelled(states[:, cohort.labels.index(name)])
            pair = (before.of(name)[known], after.of(name)[known])
            _frame(axes, max((float(np.quantile(p, 0.995)) for p in pair if len(p)), default=1.0))
            for colour, p in zip((_BEFORE, _AFTER), pair, strict=True):
                _curve(axes, y, p, (colour, effect.seed))
            change = shown(found.change.ece_equal_mass, 4)
            axes.set_title(f"{name}, {found.positives} positive\nECE {change}", fontsize=7.5)
        split = effect.split
        figure.suptitle(
            f"{effect.model} on {split.name}: {split.images:,} films of {split.patients:,} "
            "patients, reliability before and after calibration",
            fontweight="bold",
        )
        figure.supxlabel(
            f"Probability. Orange: {effect.before}. Blue: {effect.after}, with the band of chance. "
            f"ECE: its change, below 0 is better.\n{effect.notice}",
            fontsize=7.5,
        )
        figure.supylabel("Share of positive films", fontsize=7.5)
        canvas.print_png(path, metadata={"Software": None})


def _frame(axes: Axes, end: float) -> None:
    end = max(end, 1e-3)
    axes.set_xlim(0.0, end)
    axes.set_ylim(0.0, end)
    axes.set_aspect("equal")
    axes.plot([0.0, end], [0.0, end], color=_GUIDE, linewidth=0.8, linestyle="--")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=6.5)


def _curve(axes: Axes, y: NDArray[np.bool_], p: NDArray[np.float64], look: tuple[str, int]) -> None:
    colour, seed = look
    curve = reliability_curve(y, p, np.random.default_rng(seed))
    if curve is None:
        return
    if colour == _AFTER:
        axes.fill_between(curve.probabilities, curve.low, curve.high, color=_BAND, linewidth=0)
    axes.plot(curve.probabilities, curve.observed, color=colour, linewidth=1.4)


def effect_table(effect: CalibrationEffect) -> str:
    """Markdown: mean probability beside the prevalence, Brier and ECE before and after."""
    header = (
        *("Finding", "Prevalence", "Mean p before", "Mean p after", "Slope before"),
        *("Slope after", "Brier, change", "ECE before", "ECE after", "ECE, change"),
    )
    rows: list[tuple[str, ...]] = [
        (
            name,
            NONE if found.prevalence is None else f"{found.prevalence:.4f}",
            shown(found.before.mean_probability, 4),
            shown(found.after.mean_probability, 4),
            shown(found.before.slope, 2),
            shown(found.after.slope, 2),
            shown(found.change.brier, 4),
            shown(found.before.ece_equal_mass, 4),
            shown(found.after.ece_equal_mass, 4),
            shown(found.change.ece_equal_mass, 4),
        )
        for name, found in effect.findings.items()
    ]
    macro = effect.macro_change
    rows.append(
        ("**macro**", *[""] * 5, shown(macro.brier, 4), "", "", shown(macro.ece_equal_mass, 4))
    )
    return (
        f"Before: {effect.before}. After: {effect.after}. On {effect.split.name}, which fitted "
        "neither. Below 0 is better.\n\n" + table(header, rows, "lr")
    )
