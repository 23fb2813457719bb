"""An evaluation, and what calibration did, each as one picture with a column or panel a finding."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from hilum.domain.documents.comparison import CalibrationEffect, FindingEffect
from hilum.domain.documents.evaluation import Evaluation, FindingEvaluation
from hilum.domain.errors import counted
from hilum.evaluation.curves import Curves, FindingCurves
from hilum.report.evaluation.reliability import ReliabilityDiagram, reliability_panel
from hilum.report.evaluation.sentences import shown
from hilum.report.parts.figures import (
    ACCENT,
    BAND,
    GUIDE,
    INK,
    ORANGE,
    RUST,
    area,
    bare,
    figure,
    guide,
    heading,
    legend,
    mark,
    stroke,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_effect_figure", "write_figure"]

_COLUMNS, _EFFECT_COLUMNS = 7, 5
_KEYS = 8
_LEGEND = (
    "From top to bottom: ROC curve; reliability, the share of positive films by probability "
    "(isotonic, CORP); sensitivity, specificity and F1 by threshold. In brackets:"
)
_STYLE = {"font.size": 7.5, "axes.linewidth": 0.6}
_SMALL = 6.5


def write_figure(evaluation: Evaluation, curves: Curves, path: Path) -> None:
    """Draw ROC curve, reliability diagram and thresholds of each finding, one above the other.

    The reliability diagram is that of the page. Below it, sensitivity, specificity and F1 by
    threshold on these films, and the operating points that were frozen before: the first as a
    line, others dotted.

    Args:
        evaluation: its numbers.
        curves: of the same probabilities and films.
        path: the PNG to write; the same input gives the same bytes.
    """
    # two at least: one finding alone is narrower than the words around it
    columns = max(2, min(_COLUMNS, len(evaluation.findings)))
    rows = math.ceil(len(evaluation.findings) / columns)
    width = 2.1 * columns + 0.4
    beside = max(1, int(width / 2.4))
    size = (width, 6.4 * rows + 0.9 + 0.15 * math.ceil(_KEYS / beside))
    with figure(path, size, 130, _STYLE) as drawing:
        axes = drawing.subplots(3 * rows, columns, squeeze=False)
        for place in axes.flat:
            place.set_axis_off()
        for index, (name, finding) in enumerate(evaluation.findings.items()):
            row, column = divmod(index, columns)
            own = curves.findings[name]
            _roc(axes[3 * row, column], name, finding, own)
            if own.n:
                _reliability(axes[3 * row + 1, column], finding, own)
                _thresholds(axes[3 * row + 2, column], finding, own)
        split = evaluation.split
        title = (
            f"{evaluation.model} on {split.name}: {counted(split.images, 'film')} of "
            f"{counted(split.patients, 'patient')}, film list {split.sha256[:12]}"
        )
        drawing.suptitle(fill(title, int(width / 0.09)), fontsize=10, fontweight="bold")
        # a figure of few findings is narrow: about 0.05 inches a letter
        lines = (f"{_LEGEND} {evaluation.interval}.", evaluation.notice)
        foot = "\n".join(fill(line, int(size[0] / 0.055)) for line in lines)
        keys = (
            stroke(ACCENT, "ROC, reliability, sensitivity"),
            stroke(INK, "specificity"),
            stroke(RUST, "F1"),
            stroke(GUIDE, "chance; perfect reliability", (0, (4, 3))),
            area(BAND, "where 90 % of calibrated models would lie"),
            mark(INK, "operating point"),
            stroke(GUIDE, "first operating point's threshold"),
            stroke(GUIDE, "other thresholds", (0, (1, 2))),
        )
        legend(drawing, keys, foot, beside)


def write_effect_figure(
    effect: CalibrationEffect, before: Curves, after: Curves, path: Path
) -> None:
    """Draw each finding's reliability diagram before and after calibration into one PNG.

    Args:
        effect: the numbers of the change.
        before: curves of the uncalibrated probabilities.
        after: curves of the calibrated ones, of the same films.
        path: the PNG to write; the same input gives the same bytes.
    """
    columns = max(2, min(_EFFECT_COLUMNS, len(effect.findings)))
    rows = math.ceil(len(effect.findings) / columns)
    size = (2.5 * columns, 2.7 * rows + 1.0)
    with figure(path, size, 120, {"font.size": 8}) as drawing:
        places = drawing.subplots(rows, columns, squeeze=False).ravel()
        for place in places[len(effect.findings) :]:
            place.set_axis_off()
        for axes, (name, found) in zip(places, effect.findings.items(), strict=False):
            _before_and_after(axes, before.findings[name], after.findings[name])
            _effect_title(axes, name, found)
        split = effect.split
        title = (
            f"{effect.model} on {split.name}: {counted(split.images, 'film')} of "
            f"{counted(split.patients, 'patient')}, reliability before and after calibration"
        )
        drawing.suptitle(fill(title, int(size[0] / 0.09)), fontweight="bold")
        keys = (
            stroke(ORANGE, f"before: {effect.before}"),
            stroke(ACCENT, f"after: {effect.after}"),
            area(BAND, "where 90 % of calibrated models would lie, after"),
            stroke(GUIDE, "perfect", (0, (4, 3))),
        )
        foot = (
            "Across: probability. Change of ECE: after less before, equal mass; below 0 is better. "
            f"In brackets: {effect.interval}."
        )
        letters = int(size[0] / 0.062)
        words = "\n".join(fill(line, letters) for line in (foot, effect.notice))
        legend(drawing, keys, words, max(1, int(size[0] / 3.1)))
        drawing.supylabel("Share of positive films", fontsize=7.5)


def _effect_title(axes: Axes, name: str, found: FindingEffect) -> None:
    """Name the finding, and say what calibration did to its error."""
    change = found.change.ece_equal_mass
    words = "ECE unchanged" if change.value == 0.0 else f"change of ECE {shown(change, 4)}"
    heading(axes, name, f"{found.positives:,} of {found.n:,} positive\n{words}".replace("-", "−"))


def _before_and_after(axes: Axes, before: FindingCurves, after: FindingCurves) -> None:
    """Draw two diagrams on the larger of their axes; the band is that of the second."""
    pair = [
        (ReliabilityDiagram.of(one), color) for one, color in ((before, ORANGE), (after, ACCENT))
    ]
    there = [(diagram, color) for diagram, color in pair if diagram is not None]
    end = max((diagram.end for diagram, _ in there), default=1.0)
    top = max((diagram.top for diagram, _ in there), default=1.0)
    for diagram, color in there:
        reliability_panel(axes, diagram, (end, top), color, band=color == ACCENT)
    axes.tick_params(labelsize=_SMALL)


def _label(axes: Axes, x: str, y: str = "") -> None:
    axes.set_axis_on()
    axes.tick_params(length=2, width=0.5, colors=INK, labelsize=_SMALL)
    axes.set_xlabel(x, fontsize=_SMALL, labelpad=1)
    axes.set_ylabel(y, fontsize=_SMALL, labelpad=1)
    bare(axes)


def _roc(axes: Axes, name: str, finding: FindingEvaluation, curves: FindingCurves) -> None:
    _label(axes, "1 - specificity", "sensitivity")
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    guide(axes, 1.0)
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    note = f"{finding.positives:,} of {finding.n:,} positive"
    if curves.roc is None:
        axes.text(0.5, 0.5, finding.auroc.reason, ha="center", va="center", fontsize=_SMALL)
    else:
        axes.plot(*curves.roc.T, color=ACCENT, linewidth=1.3)
        note = f"{note}\nAUROC {shown(finding.auroc)}"
    for point in finding.operating_points.values():
        if point.sensitivity.value is not None and point.specificity.value is not None:
            place = (1 - point.specificity.value, point.sensitivity.value)
            axes.plot(*place, marker="o", markersize=4, color=INK, markerfacecolor="white")
    heading(axes, name, note)


def _reliability(axes: Axes, finding: FindingEvaluation, curves: FindingCurves) -> None:
    diagram = ReliabilityDiagram.of(curves)
    if diagram is None:
        return
    _label(axes, "probability", "share positive")
    reliability_panel(axes, diagram, (diagram.end, diagram.top))
    ece = finding.ece
    chance = "" if ece.null_95 is None else f"\nby chance up to {ece.null_95:.3f}"
    axes.set_title(f"ECE {shown(ece.equal_mass)}{chance}", fontsize=_SMALL, loc="left", pad=4)


def _thresholds(axes: Axes, finding: FindingEvaluation, curves: FindingCurves) -> None:
    points = [p.threshold for p in finding.operating_points.values() if p.threshold is not None]
    positives, scores = curves.positives, curves.probabilities
    end = max(1e-6, curves.tail, *(1.05 * cut for cut in points))
    cuts = np.linspace(0.0, end, 201)
    hits = positives.sum() - np.searchsorted(np.sort(scores[positives]), cuts)
    wrong = (~positives).sum() - np.searchsorted(np.sort(scores[~positives]), cuts)
    _label(axes, "threshold")
    axes.set_xlim(0.0, end)
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.locator_params(axis="x", nbins=4)
    if finding.auroc.value is not None:
        found, clear = int(positives.sum()), int((~positives).sum())
        axes.plot(cuts, hits / found, color=ACCENT, linewidth=1.1)
        axes.plot(cuts, 1.0 - wrong / clear, color=INK, linewidth=1.1)
        axes.plot(cuts, 2 * hits / (hits + wrong + found), color=RUST, linewidth=1.1)
    for order, cut in enumerate(points):
        axes.axvline(cut, color=GUIDE, linewidth=0.9, linestyle=(0, (1, 2)) if order else "-")
    first = next(iter(finding.operating_points.items()), None)
    if first is not None and first[1].threshold is not None:
        title = f"{first[0]}: threshold {first[1].threshold:.3g}\nF1 {shown(first[1].f1)}"
        axes.set_title(title, fontsize=_SMALL, loc="left", pad=4)
