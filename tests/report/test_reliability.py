"""One reliability diagram: the page and the figure draw the same curve and band."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.curves import FindingCurves, curves_of
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.report.evaluation.reliability import (
    ReliabilityDiagram,
    reliability_chart,
    reliability_panel,
)

LABELS = LabelSet("two", ("Effusion", "Mass"))
RNG = np.random.default_rng(0)
CHANCES = RNG.beta(1.0, 3.0, (300, 2))
STATES = (RNG.random(CHANCES.shape) < CHANCES).astype(int)
STATES[:, 1] = LabelState.UNLABELLED
COHORT = Cohort(
    "drawn",
    LABELS,
    tuple(
        Record(f"{i}.png", f"p{i // 2}", tuple(LabelState(s) for s in row))
        for i, row in enumerate(STATES.tolist())
    ),
)
SCORES = Probabilities(CHANCES, LABELS)


@pytest.fixture(scope="module")
def curves() -> FindingCurves:
    return curves_of(SCORES, COHORT, 0).findings["Effusion"]


def test_page_and_figure_draw_the_same_curve(curves: FindingCurves) -> None:
    diagram = ReliabilityDiagram.of(curves)
    assert diagram is not None
    axes = Figure().subplots()
    reliability_panel(axes, diagram, (diagram.end, diagram.top))
    x, y = axes.get_lines()[0].get_data()
    assert np.array_equal(x, diagram.curve.probabilities)
    assert np.array_equal(y, diagram.curve.observed)

    finding = evaluate(SCORES, COHORT, EvaluationRequest("m", "test", resamples=100))
    svg = reliability_chart("Effusion", finding.findings["Effusion"], curves)
    assert svg is not None
    found = re.search(r'class="curve" d="M([^"]*)"', svg)
    assert found is not None
    drawn = np.array([pair.split() for pair in found[1].split("L")], float)
    assert drawn[:, 0] / 264 * diagram.end == pytest.approx(np.asarray(x), abs=1e-3)
    assert (1 - drawn[:, 1] / 148) * diagram.top == pytest.approx(np.asarray(y), abs=1e-3)


def test_axes_hold_the_curve_and_end_at_the_tail(curves: FindingCurves) -> None:
    diagram = ReliabilityDiagram.of(curves)
    assert diagram is not None
    assert diagram.curve.probabilities[-1] <= curves.tail <= diagram.end
    assert diagram.curve.probabilities[-1] < curves.probabilities.max()
    assert max(diagram.curve.observed.max(), diagram.curve.high.max()) <= diagram.top


def test_there_is_none_without_a_labeled_film() -> None:
    assert ReliabilityDiagram.of(curves_of(SCORES, COHORT, 0).findings["Mass"]) is None
