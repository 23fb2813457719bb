"""Before and after calibration: better where it was off, and no change from a change of nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import brier_score_loss, log_loss

from hilum.domain.documents.comparison import CalibrationEffect
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.curves import curves_of
from hilum.evaluation.effect import effect_of_calibration
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.metrics.reliability import ece
from hilum.report.evaluation.figure import write_effect_figure
from hilum.report.evaluation.table import effect_table

LABELS = LabelSet("two", ("Effusion", "Mass"))


def drawn(positives: bool = True) -> tuple[Cohort, Probabilities, Probabilities]:
    """Films of a known chance, that chance, and a network that is far too sure."""
    rng = np.random.default_rng(0)
    logits = rng.normal(-1.5, 1.2, (900, 2))
    truth = 1 / (1 + np.exp(-logits))
    states = (rng.random(truth.shape) < truth).astype(int)
    if not positives:
        states[:, 1] = 0
    records = tuple(
        Record(f"{i}.png", f"p{i // 2}", tuple(LabelState(s) for s in row))
        for i, row in enumerate(states.tolist())
    )
    sure = 1 / (1 + np.exp(-3.0 * logits - 2.0))
    cohort = Cohort("drawn", LABELS, records)
    return cohort, Probabilities(sure, LABELS), Probabilities(truth, LABELS)


def effect(positives: bool = True, same: bool = False) -> tuple[Cohort, CalibrationEffect]:
    cohort, sure, truth = drawn(positives)
    request = EvaluationRequest(model="m", split="test", resamples=200)
    evaluation = evaluate(truth, cohort, request)
    before = truth if same else sure
    return cohort, effect_of_calibration(
        ("the sigmoid", before), ("platt", truth), cohort, evaluation
    )


def test_numbers_before_and_after_are_those_of_others() -> None:
    cohort, found = effect()
    _, sure, truth = drawn()
    for column, name in enumerate(LABELS):
        y = cohort.states()[:, column]
        one = found.findings[name]
        assert one.prevalence == pytest.approx(y.mean())
        for said, p in ((one.before, sure.of(name)), (one.after, truth.of(name))):
            assert said.mean_probability.value == pytest.approx(p.mean())
            assert said.brier.value == pytest.approx(brier_score_loss(y, p))
            assert said.log_loss.value == pytest.approx(log_loss(y, p))
            assert said.ece_equal_mass.value == pytest.approx(ece(y.astype(bool), p))


def test_calibration_helps_where_the_network_was_too_sure() -> None:
    _, found = effect()
    for one in found.findings.values():
        for change in (one.change.brier, one.change.log_loss, one.change.ece_equal_mass):
            assert change.high is not None
            assert change.high < 0
        assert one.before.slope.high is not None
        assert one.before.slope.high < 0.6
        assert one.after.slope.low is not None
        assert one.after.slope.high is not None
        assert one.after.slope.low < 1 < one.after.slope.high
    values = [one.change.brier.value or 0.0 for one in found.findings.values()]
    assert found.macro_change.brier.value == pytest.approx(np.mean(values))


def test_nothing_changed_is_a_change_of_nothing() -> None:
    _, found = effect(same=True)
    change = found.macro_change.ece_equal_mass
    assert (change.value, change.low, change.high) == (0.0, 0.0, 0.0)


def test_a_finding_of_one_class_does_not_count_in_the_mean() -> None:
    _, found = effect(positives=False)
    assert found.findings["Mass"].before.slope.value is None
    assert found.macro_change.brier == found.findings["Effusion"].change.brier


def test_the_table_and_the_json_say_it_all() -> None:
    _, found = effect()
    text = effect_table(found)
    assert "Before: the sigmoid. After: platt. On test" in text
    assert text.count("\n| ") == 4 + 1
    assert CalibrationEffect.model_validate_json(found.model_dump_json()) == found


def test_the_figure_is_a_picture_and_the_same_every_time(tmp_path: Path) -> None:
    cohort, found = effect()
    before, after = (curves_of(scores, cohort, found.seed) for scores in drawn()[1:])
    for name in ("one.png", "two.png"):
        write_effect_figure(found, before, after, tmp_path / name)
    with Image.open(tmp_path / "one.png") as picture:
        assert min(picture.size) > 200
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
