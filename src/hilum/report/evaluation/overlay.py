"""Curves of several models in one chart, for a comparison on the same films."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from hilum.evaluation.curves import FindingCurves
from hilum.report.evaluation.reliability import ReliabilityDiagram
from hilum.report.parts.plots import Axis, Plot
from hilum.report.parts.text import percent

__all__ = ["MODELS", "legend", "precision_recall_overlay", "reliability_overlay", "roc_overlay"]

MODELS = 6
"""Models that color and dashes tell apart in one chart; of more, the first are drawn."""

_SQUARE = 264.0
_KEY = Markup(
    '<svg viewBox="0 0 30 10" aria-hidden="true"><path class="model-{}" d="M0 5H30"/></svg>'
)

Overlaid = Mapping[str, FindingCurves]
"""Curves of one finding by the name of the model."""


def legend(models: list[str]) -> list[tuple[Markup, str]]:
    """Return the key and name of each model that is drawn, in the order of its curves."""
    return [(_KEY.format(index), name) for index, name in enumerate(models[:MODELS])]


def roc_overlay(finding: str, models: Overlaid) -> Markup | None:
    """Draw the ROC curve of each model; None where no model has one."""
    lines = [
        (index, one.roc) for index, one in enumerate(_drawn(models).values()) if one.roc is not None
    ]
    if not lines:
        return None
    plot = Plot(Axis.of("1 − specificity", 0.0, 1.0), Axis.of("sensitivity", 0.0, 1.0), _SQUARE)
    return plot.svg(
        f"ROC curves of {finding}: {_named(models)}",
        plot.line(((0.0, 0.0), (1.0, 1.0)), "guide"),
        *(plot.line(curve.tolist(), f"model-{index}") for index, curve in lines),
    )


def precision_recall_overlay(finding: str, models: Overlaid) -> Markup | None:
    """Draw the precision-recall steps of each model, and the prevalence; None without a class."""
    lines = [
        (index, one)
        for index, one in enumerate(_drawn(models).values())
        if one.precision_recall is not None
    ]
    if not lines:
        return None
    plot = Plot(
        Axis.of("recall (sensitivity)", 0.0, 1.0), Axis.of("precision (PPV)", 0.0, 1.0), _SQUARE
    )
    prevalence = lines[0][1].found / lines[0][1].n
    return plot.svg(
        f"Precision-recall curves of {finding}: {_named(models)}; prevalence {percent(prevalence)}",
        plot.line([(0.0, prevalence), (1.0, prevalence)], "guide"),
        *(plot.line(_steps(one), f"model-{index}") for index, one in lines),
    )


def reliability_overlay(finding: str, models: Overlaid) -> Markup | None:
    """Draw the reliability curve of each model on the largest of their axes; None without films.

    Bands of what chance would show differ between models and would hide each other: each model's
    own evaluation has its band.
    """
    diagrams = [
        (index, diagram)
        for index, one in enumerate(_drawn(models).values())
        if (diagram := ReliabilityDiagram.of(one)) is not None
    ]
    if not diagrams:
        return None
    end = max(diagram.end for _, diagram in diagrams)
    top = max(1e-3, end, *(float(diagram.curve.observed.max()) for _, diagram in diagrams))
    plot = Plot(
        Axis.of("probability", 0.0, end), Axis.of("share positive", 0.0, min(1.0, top)), _SQUARE
    )
    return plot.svg(
        f"Reliability curves of {finding}: {_named(models)}",
        plot.line([(0.0, 0.0), (top, top)], "guide"),
        *(
            plot.line(
                np.column_stack([one.curve.probabilities, one.curve.observed]).tolist(),
                f"model-{index}",
            )
            for index, one in diagrams
        ),
    )


def _drawn(models: Overlaid) -> Overlaid:
    return dict(list(models.items())[:MODELS])


def _named(models: Overlaid) -> str:
    return ", ".join(list(models)[:MODELS])


def _steps(one: FindingCurves) -> list[tuple[float, float]]:
    """Return the curve as steps: between two recalls the precision is that of the higher one."""
    if one.precision_recall is None:
        return []
    recall, precision = one.precision_recall.T
    before = np.append(0.0, recall[:-1])
    steps = np.stack([np.stack([before, recall], 1), np.stack([precision, precision], 1)], 2)
    return [(float(x), float(y)) for x, y in steps.reshape(-1, 2)]
