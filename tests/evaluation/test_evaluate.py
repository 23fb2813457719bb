"""evaluation.json: numbers against scikit-learn, nulls with reasons, and laws of the intervals."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from hilum.domain.documents import Interval
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import OperatingPoint, Probabilities, Target
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest, Unit

LABELS = LabelSet("three", ("Effusion", "Mass", "Hernia"))
REQUEST = EvaluationRequest(model="a model", split="test", resamples=200, seed=3)


def drawn(seed: int, n: int = 240) -> tuple[Probabilities, NDArray[np.int8]]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1.0, 3.0, (n, 3))
    return Probabilities(p, LABELS), (rng.random((n, 3)) < p).astype(np.int8)


def cohort(states: NDArray[np.int8], labels: LabelSet = LABELS, films_each: int = 2) -> Cohort:
    records = tuple(
        Record(f"{i:05d}.png", f"p{i // films_each}", tuple(LabelState(s) for s in row))
        for i, row in enumerate(states)
    )
    return Cohort("drawn", labels, records)


def value(number: Interval) -> float:
    assert number.value is not None
    assert number.low is not None
    assert number.high is not None
    assert number.low <= number.high
    return number.value


def test_every_number_equals_scikit_learn() -> None:
    p, states = drawn(0)
    result = evaluate(p, cohort(states), REQUEST)
    areas = [roc_auc_score(states[:, c], p.values[:, c]) for c in range(3)]
    for column, name in enumerate(LABELS):
        y, s = states[:, column], p.values[:, column]
        found = result.findings[name]
        assert (found.n, found.positives) == (240, y.sum())
        assert value(found.auroc) == pytest.approx(areas[column], abs=1e-12)
        expected = average_precision_score(y, s)
        assert value(found.average_precision) == pytest.approx(expected, abs=1e-12)
        assert value(found.brier) == pytest.approx(brier_score_loss(y, s), abs=1e-12)
        skill = 1 - brier_score_loss(y, s) / (y.mean() * (1 - y.mean()))
        assert value(found.brier_skill) == pytest.approx(skill, abs=1e-12)
        assert value(found.log_loss) == pytest.approx(log_loss(y, s), abs=1e-12)
        assert value(found.calibration.o_e) == pytest.approx(y.sum() / s.sum(), abs=1e-12)
        wrong, right, _ = roc_curve(y, s, drop_intermediate=False)
        for level in ("0.80", "0.90", "0.95"):
            reached = right[1.0 - wrong >= float(level) - 1e-12].max()
            spared = 1.0 - wrong[right >= float(level)].min()
            assert value(found.sensitivity_at_specificity[level]) == pytest.approx(reached)
            assert value(found.specificity_at_sensitivity[level]) == pytest.approx(spared)
    assert value(result.macro.auroc) == pytest.approx(np.mean(areas), abs=1e-12)
    micro = roc_auc_score(states.ravel(), p.values.ravel())
    assert value(result.micro.auroc) == pytest.approx(micro, abs=1e-12)


def test_the_interval_is_a_loop_over_patient_resamples() -> None:
    p, states = drawn(1, 60)
    result = evaluate(p, cohort(states), REQUEST)
    rng = np.random.default_rng(REQUEST.seed)
    areas: list[float] = []
    for _ in range(REQUEST.resamples):
        patients = rng.integers(30, size=30)
        films = np.concatenate([[2 * k, 2 * k + 1] for k in patients])
        areas.append(roc_auc_score(states[films, 0], p.values[films, 0]))
    low, high = np.percentile(areas, [2.5, 97.5])
    assert result.findings["Effusion"].auroc.low == pytest.approx(low, abs=1e-12)
    assert result.findings["Effusion"].auroc.high == pytest.approx(high, abs=1e-12)


def test_parts_and_bounds_of_the_scores_fit_together() -> None:
    p, states = drawn(1)
    for name, found in evaluate(p, cohort(states), REQUEST).findings.items():
        assert found.auroc_delong.value == pytest.approx(found.auroc.value, abs=1e-12)
        assert found.auroc_delong.low == pytest.approx(found.auroc.low, abs=0.03)
        parts = found.brier_parts
        whole = value(parts.miscalibration) - value(parts.discrimination) + value(parts.uncertainty)
        assert whole == pytest.approx(value(found.brier), abs=1e-12)
        assert parts.uncertainty.reason == ""
        y, s = states[:, LABELS.index(name)] == 1, p.of(name)
        for t in (0.01, 0.02, 0.05, 0.10, 0.20):
            called, odds = s >= t, t / (1.0 - t)
            worth = (called & y).mean() - (called & ~y).mean() * odds
            benefit = found.net_benefit[f"{t:.2f}"]
            assert value(benefit.model) == pytest.approx(worth, abs=1e-12)
            assert benefit.treat_all == pytest.approx(y.mean() - (~y).mean() * odds, abs=1e-12)


def test_thresholds_of_their_own_are_compared_with_one_half_on_the_same_resamples() -> None:
    p, states = drawn(1, 60)
    chosen = {"Effusion": 0.2, "Mass": 0.3, "Hernia": 0.25}
    points = [OperatingPoint(n, t, Target.F1, 0.5, 60, 9) for n, t in chosen.items()]
    request = EvaluationRequest("a model", "test", tuple(points), resamples=50, seed=3)
    macro = evaluate(p, cohort(states), request).macro

    def gain(films: NDArray[np.intp]) -> tuple[float, float]:
        y, s = states[films] == 1, p.values[films]
        own = [f1_score(y[:, c], s[:, c] >= t) for c, t in enumerate(chosen.values())]
        half = [f1_score(y[:, c], s[:, c] >= 0.5) for c in range(3)]
        return float(np.mean(own)), float(np.mean(half))

    own, half = gain(np.arange(60))
    assert value(macro.f1) == pytest.approx(own, abs=1e-12)
    assert value(macro.f1_shared) == pytest.approx(half, abs=1e-12)
    rng = np.random.default_rng(request.seed)
    gains: list[float] = []
    for _ in range(request.resamples):
        patients = rng.integers(30, size=30)
        a, b = gain(np.concatenate([[2 * k, 2 * k + 1] for k in patients]))
        gains.append(a - b)
    bounds = (macro.threshold_gain.low, macro.threshold_gain.high)
    assert value(macro.threshold_gain) == pytest.approx(own - half, abs=1e-12)
    assert bounds == pytest.approx(tuple(np.percentile(gains, [2.5, 97.5])), abs=1e-12)


def test_without_thresholds_there_is_nothing_to_compare() -> None:
    p, states = drawn(1, 60)
    macro = evaluate(p, cohort(states), REQUEST).macro
    assert macro.threshold_gain == Interval(value=None, reason="no finding has an operating point")


def test_films_of_a_patient_repeated_change_no_value_and_no_interval() -> None:
    p, states = drawn(2)
    once = evaluate(p, cohort(states), REQUEST)
    twice = Probabilities(np.repeat(p.values, 2, axis=0), LABELS)
    doubled = evaluate(twice, cohort(np.repeat(states, 2, axis=0), films_each=4), REQUEST)
    for name in LABELS:
        one, two = once.findings[name], doubled.findings[name]
        for a, b in ((one.auroc, two.auroc), (one.log_loss, two.log_loss)):
            assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=1e-12)
        assert two.positive_patients == one.positive_patients


def test_a_constant_predictor_has_auroc_one_half_and_no_calibration_error() -> None:
    p, states = drawn(3)
    constant = evaluate(p, cohort(states), REQUEST).constant_predictor
    assert constant.auroc == Interval(value=0.5, low=0.5, high=0.5)
    assert value(constant.average_precision) == pytest.approx(states.mean(), abs=1e-12)
    assert constant.ece_equal_mass.value == pytest.approx(0.0, abs=1e-12)
    assert constant.ece_equal_width.value == pytest.approx(0.0, abs=1e-12)
    assert constant.prevalence_from == "the evaluated films themselves"


def test_learned_prevalences_are_used_and_must_be_complete() -> None:
    p, states = drawn(3)
    shares = dict.fromkeys(LABELS, 0.5)
    request = EvaluationRequest(
        "a model", "test", resamples=10, prevalences=shares, prevalence_from="train"
    )
    result = evaluate(p, cohort(states), request)
    assert value(result.constant_predictor.brier) == pytest.approx(0.25)
    assert result.constant_predictor.prevalence_from == "train"
    del shares["Hernia"]
    with pytest.raises(UsageError, match="train gives none of Hernia"):
        evaluate(p, cohort(states), request)


def test_a_finding_without_positives_is_null_with_a_reason_and_not_in_the_mean() -> None:
    p, states = drawn(4)
    states[:, 2] = LabelState.NEGATIVE
    result = evaluate(p, cohort(states), REQUEST)
    hernia = result.findings["Hernia"]
    assert hernia.auroc == Interval(value=None, reason="no film is positive")
    assert hernia.brier.value is not None
    assert hernia.brier_skill == hernia.auroc
    assert (result.macro.findings_counted, result.macro.findings_total) == (2, 3)
    areas = [value(result.findings[name].auroc) for name in ("Effusion", "Mass")]
    assert result.macro.auroc.value == pytest.approx(np.mean(areas), abs=1e-12)


def test_a_finding_of_one_patient_has_a_value_but_no_interval() -> None:
    p, states = drawn(5)
    states[:, 2] = LabelState.NEGATIVE
    states[0, 2] = LabelState.POSITIVE
    result = evaluate(p, cohort(states), REQUEST)
    hernia = result.findings["Hernia"].auroc
    assert hernia.value is not None
    assert hernia.low is None
    assert "resamples have a value" in hernia.reason
    assert result.macro.auroc.low is not None
    assert result.findings["Hernia"].positive_patients == 1


def test_uncertain_and_unlabelled_films_do_not_count() -> None:
    p, states = drawn(6)
    states[::3, 0] = LabelState.UNCERTAIN
    states[1::3, 0] = LabelState.UNLABELLED
    found = evaluate(p, cohort(states), REQUEST).findings["Effusion"]
    y, s = states[2::3, 0], p.values[2::3, 0]
    assert (found.n, found.positives) == (80, y.sum())
    assert value(found.auroc) == pytest.approx(roc_auc_score(y, s), abs=1e-12)


def test_nothing_labeled_is_all_null() -> None:
    p, states = drawn(6, 20)
    result = evaluate(p, cohort(np.full_like(states, LabelState.UNLABELLED)), REQUEST)
    found = result.findings["Mass"]
    assert found.auroc.reason == found.brier.reason == "no film is labeled"
    assert found.ece.null_95 is None
    assert result.macro.auroc.value is None
    assert result.constant_predictor.auroc.reason


def test_columns_of_scores_and_labels_are_matched_by_name() -> None:
    p, states = drawn(7)
    turned = LabelSet("turned", ("Hernia", "Effusion", "Mass"))
    plain = evaluate(p, cohort(states), REQUEST)
    moved = evaluate(p, cohort(states[:, [2, 0, 1]], turned), REQUEST)
    assert moved == plain


def test_operating_points_are_applied_as_they_were_frozen() -> None:
    p, states = drawn(8)
    points = (
        OperatingPoint("Mass", 0.3, Target.F1, 0.5, 100, 10),
        OperatingPoint("Mass", 2 / 3, Target.YOUDEN, 0.5, 100, 10),
        OperatingPoint("Hernia", None, Target.F1, None, 100, 0, "no film is positive"),
        OperatingPoint("Effusion", 1.0, Target.F1, 0.1, 100, 10),
    )
    request = EvaluationRequest("a model", "test", points, resamples=50)
    result = evaluate(p, cohort(states), request)
    mass = result.findings["Mass"].operating_points
    assert set(mass) == {"f1", "youden"}
    y, called = states[:, 1] == 1, p.of("Mass") >= 0.3
    assert value(mass["f1"].sensitivity) == pytest.approx(called[y].mean())
    assert value(mass["f1"].specificity) == pytest.approx((~called[~y]).mean())
    assert value(mass["f1"].ppv) == pytest.approx(y[called].mean())
    hernia = result.findings["Hernia"].operating_points["f1"]
    assert (hernia.threshold, hernia.ppv.reason) == (None, "no film is positive")
    effusion = result.findings["Effusion"].operating_points["f1"]
    assert effusion.sensitivity.value == 0.0
    assert effusion.ppv.reason == "no film reaches the threshold"


def test_the_same_input_gives_the_same_bytes_and_json_has_no_nan() -> None:
    p, states = drawn(9)
    states[:, 2] = LabelState.NEGATIVE
    text = evaluate(p, cohort(states), REQUEST).model_dump_json()
    assert text == evaluate(p, cohort(states), REQUEST).model_dump_json()
    assert "NaN" not in text
    assert Evaluation.model_validate(json.loads(text)).model_dump_json() == text


def test_rows_must_match_films() -> None:
    p, states = drawn(10)
    with pytest.raises(DatasetError, match="got 240 rows for 239 films"):
        evaluate(p, cohort(states[:-1]), REQUEST)
    nothing = Probabilities(np.zeros((0, 3)), LABELS)
    with pytest.raises(DatasetError, match="there must be one"):
        evaluate(nothing, cohort(states[:0]), REQUEST)
    two = LabelSet("two", ("Effusion", "Mass"))
    with pytest.raises(UsageError, match="no finding 'Hernia' in two"):
        evaluate(p, cohort(states[:, :2], two), REQUEST)


def test_the_request_is_written_down() -> None:
    p, states = drawn(10, 20)
    point = OperatingPoint("Mass", 0.3, Target.SENSITIVITY, 0.9, 100, 10, goal=0.9)
    request = EvaluationRequest(
        "a model",
        "test",
        (point,),
        chosen_on="the calibrate split",
        resamples=10,
        level="study",
        policy={"uncertain": "ignore"},
        look=3,
    )
    result = evaluate(p, cohort(states), request)
    assert (result.schema_version, result.level, result.look) == (2, "study", 3)
    assert result.policy == {"uncertain": "ignore"}
    said = result.findings["Mass"].operating_points["sensitivity 0.90"]
    assert (said.target, said.goal) == ("sensitivity", 0.9)
    assert said.chosen_on == "the calibrate split"


# the cases of hostile reviewers: one class, ties, rounding, empty resamples, unknown patients


@pytest.mark.parametrize(("state", "kind"), [(1, "negative"), (0, "positive")])
def test_f15_one_class_alone_is_null_with_a_reason(state: int, kind: str) -> None:
    p, states = drawn(11, 40)
    states[:, 0] = state
    result = evaluate(p, cohort(states), REQUEST)
    found, reason = result.findings["Effusion"], f"no film is {kind}"
    for number in (
        found.auroc,
        found.auroc_delong,
        found.average_precision,
        found.calibration.slope,
        found.metadata_baseline,
        *found.sensitivity_at_specificity.values(),
        *found.specificity_at_sensitivity.values(),
    ):
        assert number == Interval(value=None, reason=reason)
    assert found.calibration.verdict == f"not known: {reason}"
    assert result.macro.findings_counted == 2
    text = result.model_dump_json()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_f16_scores_that_all_tie_have_auroc_one_half_and_the_prevalence_as_precision() -> None:
    _, states = drawn(12)
    p = Probabilities(np.full(states.shape, 0.25), LABELS)
    found = evaluate(p, cohort(states), REQUEST).findings["Mass"]
    half = Interval(value=0.5, low=0.5, high=0.5)
    assert (found.auroc, found.auroc_delong) == (half, half)
    assert value(found.average_precision) == pytest.approx(states[:, 1].mean(), abs=1e-12)
    assert found.calibration.slope.reason == "every film has the same probability"
    assert found.sensitivity_at_specificity["0.80"].value == 0.0


def test_f17_a_film_at_the_threshold_is_called() -> None:
    p = Probabilities(np.array([[0.3], [0.3], [0.3], [0.1]]), LabelSet("one", ("Mass",)))
    states = np.array([[1], [1], [0], [0]], np.int8)
    point = OperatingPoint("Mass", 0.3, Target.F1, 0.8, 4, 2)
    request = EvaluationRequest("a model", "test", (point,), resamples=10)
    one = cohort(states, p.labels, films_each=1)
    found = evaluate(p, one, request).findings["Mass"].operating_points["f1"]
    assert (found.sensitivity.value, found.specificity.value) == (1.0, 0.5)
    assert (found.ppv.value, found.npv.value) == (2 / 3, 1.0)


def test_f18_scores_are_not_rounded_before_they_are_ranked() -> None:
    p, states = drawn(13)
    near = Probabilities(0.5 + 1e-9 * p.values, LABELS)
    plain, squeezed = (evaluate(q, cohort(states), REQUEST) for q in (p, near))
    for name in LABELS:
        assert squeezed.findings[name].auroc == plain.findings[name].auroc


def test_f19_resamples_without_a_positive_are_counted() -> None:
    p, states = drawn(14)
    states[:, 2] = LabelState.NEGATIVE
    states[:10:2, 2] = LabelState.POSITIVE
    found = evaluate(p, cohort(states), REQUEST).findings["Hernia"]
    assert found.auroc.low is not None
    assert re.fullmatch(r"\d+ of 200 resamples have no value", found.auroc.reason)
    states[4:, 2] = LabelState.NEGATIVE
    few = evaluate(p, cohort(states), REQUEST).findings["Hernia"].auroc
    assert few.value is not None
    assert (few.low, few.high) == (None, None)
    assert re.fullmatch(r"no interval: only \d+ of 200 resamples have a value", few.reason)


def test_e12_the_mean_says_how_many_findings_it_has() -> None:
    p, states = drawn(15)
    states[:, 1] = LabelState.UNLABELLED
    macro = evaluate(p, cohort(states), REQUEST).macro
    assert (macro.findings_counted, macro.findings_total) == (2, 3)


def test_e22_without_patients_films_are_drawn_and_the_words_say_so() -> None:
    p, states = drawn(16)
    by_film = EvaluationRequest("a model", "test", seed=3, resamples=50, intervals_by=Unit.FILMS)
    blind = evaluate(p, cohort(states, films_each=240), by_film)
    assert "image-level" in blind.interval
    assert "patient ids are not known" in blind.interval
    known = evaluate(p, cohort(states, films_each=1), replace(by_film, intervals_by=Unit.PATIENTS))
    assert "image-level" not in known.interval
    assert blind.findings["Mass"].auroc == known.findings["Mass"].auroc
    assert blind.findings["Mass"].auroc_delong == known.findings["Mass"].auroc_delong


def test_requests_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 resample"):
        EvaluationRequest("a model", "test", resamples=0)
    with pytest.raises(UsageError, match="prevalence of Mass"):
        EvaluationRequest("a model", "test", prevalences={"Mass": 1.5})
