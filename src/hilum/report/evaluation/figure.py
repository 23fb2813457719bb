"""One picture of an evaluation: ROC, reliability and thresholds of every finding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.evaluation import Evaluation, FindingEvaluation
from hilum.domain.record import Cohort, labelled
from hilum.domain.scores import Probabilities
from hilum.metrics.ranking import Ranking
from hilum.metrics.reliability import BINS, Binning, bins_of
from hilum.report.evaluation.sentences import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import RcKeyType

__all__ = ["write_figure"]

_INK, _ACCENT, _BAND, _GUIDE, _THIRD = "#1f2933", "#0b6e8f", "#c9d6de", "#9aa5b1", "#b4532a"
_COLUMNS = 7
_LEGEND = (
    "Circles: operating points. Dots: bins of equally many films. "
    "Grey: where dots of a calibrated model would lie. Vertical: operating points. "
    "In brackets:"
)
_STYLE: dict[RcKeyType, object] = {
    "font.size": 7.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": _GUIDE,
    "text.color": _INK,
}


def write_figure(
    probabilities: Probabilities, cohort: Cohort, evaluation: Evaluation, path: Path
) -> None:
    """Draws ROC curves, reliability, and what each threshold gives, one above the other, to a PNG.

    Reliability dots are equal-mass bins; the grey range behind each is where 95 % of the dots of a
    perfectly calibrated model with as many films would lie. Its axes end at the 99.5th percentile
    of the probabilities, or a rare finding would be a dot in the corner. Below, sensitivity,
    specificity and F1 by threshold on these films, and the operating points that were frozen
    before: the first as a line, others dotted.

    Args:
        probabilities: (N, L) as evaluated.
        cohort: the films evaluated.
        evaluation: what `evaluate` said of them.
        path: the PNG to write; the same input gives the same bytes.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    states = cohort.states()
    columns = min(_COLUMNS, len(evaluation.findings))
    rows = math.ceil(len(evaluation.findings) / columns)
    with mpl.rc_context(_STYLE):
        size = (2.1 * columns + 0.4, 6.4 * rows + 0.9)
        figure = Figure(figsize=size, dpi=130, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots(3 * rows, columns, squeeze=False)
        for place in axes.flat:
            place.set_axis_off()
        for index, (name, finding) in enumerate(evaluation.findings.items()):
            row, column = divmod(index, columns)
            known, positives = labelled(states[:, cohort.labels.index(name)])
            scores = probabilities.of(name)[known]
            _roc(axes[3 * row, column], name, finding, Ranking.of(positives, scores))
            if len(scores):
                _reliability(axes[3 * row + 1, column], finding, positives, scores)
                _thresholds(axes[3 * row + 2, column], finding, positives, scores)
        split = evaluation.split
        figure.suptitle(
            f"{evaluation.model} on {split.name}: {split.images:,} films of {split.patients:,} "
            f"patients, film list {split.sha256[:12]}",
            fontsize=10,
            fontweight="bold",
        )
        figure.supxlabel(
            f"{_LEGEND} {evaluation.interval}.\n{evaluation.notice}", fontsize=7, color=_INK
        )
        canvas.print_png(path, metadata={"Software": None})


def _frame(axes: Axes, end: float) -> None:
    axes.set_axis_on()
    axes.set_aspect("equal")
    axes.set_xlim(-0.02 * end, 1.02 * end)
    axes.set_ylim(-0.02 * end, 1.02 * end)
    axes.plot([0, end], [0, end], color=_GUIDE, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.5)
    axes.tick_params(length=2, width=0.5, colors=_INK, labelsize=6.5)
    axes.spines[["top", "right"]].set_visible(False)


def _roc(axes: Axes, name: str, finding: FindingEvaluation, ranking: Ranking) -> None:
    _frame(axes, 1.0)
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.set_title(name.replace("_", " "), fontsize=8.5, fontweight="bold", loc="left", pad=4)
    axes.set_xlabel("1 - specificity", fontsize=6.5, labelpad=1)
    axes.set_ylabel("sensitivity", fontsize=6.5, labelpad=1)
    note = f"n+ {finding.positives:,} of {finding.n:,}"
    if finding.auroc.value is None:
        axes.text(0.5, 0.5, finding.auroc.reason, ha="center", va="center", fontsize=6.5)
    else:
        counts = ranking.counts()
        positives, negatives = counts.positives[0], counts.negatives[0]
        right = counts.flagged_positives[0] / positives
        # each threshold of a positive film: up to it through the negatives above, then its ties
        x = np.stack([counts.higher_negatives[0], counts.flagged_negatives[0]], axis=1) / negatives
        y = np.stack([np.append(0.0, right[:-1]), right], axis=1)
        axes.plot([0.0, *x.ravel(), 1.0], [0.0, *y.ravel(), 1.0], color=_ACCENT, linewidth=1.3)
        note = f"AUROC {shown(finding.auroc)}\n{note}"
    for point in finding.operating_points.values():
        if point.sensitivity.value is not None and point.specificity.value is not None:
            place = (1 - point.specificity.value, point.sensitivity.value)
            axes.plot(*place, marker="o", markersize=4, color=_INK, markerfacecolor="white")
    # beneath the curve, so that no evidence hides behind words
    axes.annotate(
        note,
        (0.98, 0.03),
        xycoords="axes fraction",
        ha="right",
        va="bottom",
        fontsize=6.5,
        linespacing=1.35,
        zorder=1,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )


def _reliability(
    axes: Axes,
    finding: FindingEvaluation,
    positives: NDArray[np.bool_],
    scores: NDArray[np.float64],
) -> None:
    from scipy.stats import binom

    bins = bins_of(scores, BINS, Binning.EQUAL_MASS)
    films = np.bincount(bins, minlength=BINS)
    used = films > 0
    films = films[used]
    predicted = np.bincount(bins, scores, BINS)[used] / films
    observed = np.bincount(bins, positives, BINS)[used] / films
    low, high = binom.interval(0.95, films, predicted)
    end = max(1e-6, float(np.quantile(scores, 0.995)), 1.05 * float(observed.max()))
    _frame(axes, end)
    axes.locator_params(nbins=4)
    axes.set_xlabel("probability", fontsize=6.5, labelpad=1)
    axes.set_ylabel("share positive", fontsize=6.5, labelpad=1)
    axes.vlines(predicted, low / films, high / films, color=_BAND, linewidth=3.5)
    axes.plot(predicted, observed, "o", markersize=3, color=_ACCENT)
    ece = finding.ece
    chance = "" if ece.null_95 is None else f"\nby chance up to {ece.null_95:.3f}"
    text = f"ECE {shown(ece.equal_mass)}{chance}"
    axes.set_title(text, fontsize=6.5, loc="left", pad=4)


def _thresholds(
    axes: Axes,
    finding: FindingEvaluation,
    positives: NDArray[np.bool_],
    scores: NDArray[np.float64],
) -> None:
    points = [p.threshold for p in finding.operating_points.values() if p.threshold is not None]
    end = max(1e-6, float(np.quantile(scores, 0.995)), *(1.05 * cut for cut in points))
    cuts = np.linspace(0.0, end, 201)
    hits = positives.sum() - np.searchsorted(np.sort(scores[positives]), cuts)
    wrong = (~positives).sum() - np.searchsorted(np.sort(scores[~positives]), cuts)
    axes.set_axis_on()
    axes.set_xlim(0.0, end)
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(length=2, width=0.5, colors=_INK, labelsize=6.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("threshold", fontsize=6.5, labelpad=1)
    if finding.auroc.value is not None:
        found, clear = int(positives.sum()), int((~positives).sum())
        axes.plot(cuts, hits / found, color=_ACCENT, linewidth=1.1, label="sensitivity")
        axes.plot(cuts, 1.0 - wrong / clear, color=_INK, linewidth=1.1, label="specificity")
        axes.plot(cuts, 2 * hits / (hits + wrong + found), color=_THIRD, linewidth=1.1, label="F1")
        axes.legend(fontsize=5.5, frameon=False, loc="center right", handlelength=1.2)
    for order, cut in enumerate(points):
        axes.axvline(cut, color=_GUIDE, linewidth=0.9, linestyle=(0, (1, 2)) if order else "-")
    first = next(iter(finding.operating_points.items()), None)
    if first is not None and first[1].threshold is not None:
        text = f"{first[0]}: threshold {first[1].threshold:.3g}\nF1 {shown(first[1].f1)}"
        axes.set_title(text, fontsize=6.5, loc="left", pad=4)
