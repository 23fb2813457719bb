"""Subgroups: their numbers are those of their films alone, and too few films have none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from hilum.domain.documents.evaluation import Evaluation, Subgroup
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import OperatingPoint, Probabilities, Target
from hilum.evaluation.entries import Entries
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.evaluation.subgroups import mean_auroc, observed_expected, within_views
from hilum.metrics.ranking import auroc

LABELS = LabelSet("two", ("Effusion", "Hernia"))
AGES = (None, 3.0, 18.0, 39.9, 40.0, 64.0, 65.0, 90.0)


def drawn(n: int = 600) -> tuple[Probabilities, Cohort, NDArray[np.int8]]:
    rng = np.random.default_rng(0)
    p = rng.beta(1.0, 3.0, (n, 2))
    states = (rng.random((n, 2)) < p).astype(np.int8)
    states[30:, 1] = LabelState.NEGATIVE
    views = (ViewPosition.PA, ViewPosition.AP, ViewPosition.UNKNOWN)
    records = tuple(
        Record(
            f"{i:04d}.png",
            f"p{i // 3}",
            tuple(LabelState(s) for s in row),
            view=views[i % 3],
            sex=Sex.FEMALE if i % 2 else Sex.MALE,
            age_years=AGES[i % len(AGES)],
            follow_up=i % 3,
        )
        for i, row in enumerate(states)
    )
    return Probabilities(p, LABELS), Cohort("drawn", LABELS, records), states


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    p, cohort, _ = drawn()
    point = OperatingPoint("Effusion", 0.25, Target.F1, 0.5, 100, 10)
    return evaluate(p, cohort, EvaluationRequest("a model", "test", (point,), resamples=20))


def group(evaluation: Evaluation, attribute: str, name: str) -> Subgroup:
    (found,) = [g for g in evaluation.subgroups if (g.attribute, g.group) == (attribute, name)]
    return found


def test_every_film_is_in_one_group_of_each_attribute(evaluation: Evaluation) -> None:
    groups = [(g.attribute, g.group) for g in evaluation.subgroups]
    assert groups == [
        ("sex", "F"),
        ("sex", "M"),
        *(("age", band) for band in ("<18", "18-40", "40-65", "65+", "unknown")),
        ("view", "PA"),
        ("view", "AP"),
        ("view", "unknown"),
        ("visit", "first"),
        ("visit", "follow-up"),
    ]
    for attribute in ("sex", "age", "view", "visit"):
        images = [g.images for g in evaluation.subgroups if g.attribute == attribute]
        assert sum(images) == 600
    assert group(evaluation, "age", "18-40").images == 150


def test_numbers_are_those_of_the_group_alone(evaluation: Evaluation) -> None:
    p, cohort, states = drawn()
    own = np.array([record.view is ViewPosition.AP for record in cohort.records])
    y, s = states[own, 0] == 1, p.of("Effusion")[own]
    found = group(evaluation, "view", "AP").findings["Effusion"]
    assert (found.n, found.positives) == (200, y.sum())
    assert found.auroc.value == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert found.o_e.value == pytest.approx(y.sum() / s.sum(), abs=1e-12)
    assert found.sensitivity.value == pytest.approx((s[y] >= 0.25).mean(), abs=1e-12)
    assert found.specificity.value == pytest.approx((s[~y] < 0.25).mean(), abs=1e-12)
    for number in (found.auroc, found.o_e, found.sensitivity, found.specificity):
        assert number.value is not None
        assert number.low is not None
        assert number.high is not None
        assert number.low < number.value < number.high


def test_below_20_positive_films_there_are_no_numbers(evaluation: Evaluation) -> None:
    for of in evaluation.subgroups:
        if of.group == "unknown":
            continue
        hernia = of.findings["Hernia"]
        assert hernia.positives < 20
        for number in (hernia.auroc, hernia.o_e, hernia.sensitivity, hernia.specificity):
            assert number.value is None
            assert number.reason == "fewer than 20 positive films"
        assert of.findings_counted == 1
        assert of.auroc.value == pytest.approx(of.findings["Effusion"].auroc.value, abs=1e-12)


def test_e17_films_of_unknown_age_are_counted_and_say_nothing(evaluation: Evaluation) -> None:
    unknown = group(evaluation, "age", "unknown")
    assert (unknown.images, unknown.findings, unknown.findings_counted) == (75, {}, 0)
    assert unknown.auroc.reason == "age is not known"


def test_a_finding_without_a_threshold_has_no_sensitivity() -> None:
    p, cohort, _ = drawn()
    point = OperatingPoint("Effusion", None, Target.F1, None, 100, 0, "no film is positive")
    request = EvaluationRequest("a model", "test", (point,), resamples=5)
    said = group(evaluate(p, cohort, request), "sex", "F").findings["Effusion"]
    assert said.sensitivity.reason == "no film is positive"
    none = evaluate(p, cohort, EvaluationRequest("a model", "test", resamples=5))
    assert group(none, "sex", "F").findings["Effusion"].specificity.reason == "no operating point"


def entries(seed: int, patients: int = 150, films_each: int = 3) -> Entries:
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), films_each)
    p = 1 / (1 + np.exp(1.5 - rng.normal(size=patients)[patient] - rng.normal(size=len(patient))))
    films = np.arange(len(patient))
    return Entries(films, patient, rng.random(len(patient)) < p, p, np.full(len(p), 0.2))


def test_the_interval_of_a_mean_is_that_of_the_patient_bootstrap() -> None:
    both = [entries(0), entries(1)]
    found = mean_auroc(both, "")
    rng = np.random.default_rng(2)
    means: list[float] = []
    for _ in range(400):
        times = np.bincount(rng.integers(150, size=150), minlength=150)
        areas = [auroc(e.positives, e.probabilities, times[e.patients]) or 0.5 for e in both]
        means.append(float(np.mean(areas)))
    assert found.value is not None
    assert found.low is not None
    assert (found.value - found.low) / 1.96 == pytest.approx(np.std(means), rel=0.15)


def test_within_a_view_only_its_films_count() -> None:
    _, cohort, _ = drawn()
    own = entries(0, 200, 3)
    found = within_views(cohort, own)
    assert list(found) == ["PA", "AP"]
    first = own.films % 3 == 0
    expected = roc_auc_score(own.positives[first], own.probabilities[first])
    assert found["PA"].value == pytest.approx(expected, abs=1e-12)


def test_probabilities_near_zero_have_no_ratio() -> None:
    """As those of a network whose logits nobody calibrated: the limit would be infinite."""
    positives = np.arange(60) % 2 == 0
    tiny = np.where(np.arange(60) == 0, 1e-290, 1e-300)
    entries = Entries(np.arange(60), np.arange(60), positives, tiny, np.zeros(60))
    found = observed_expected(entries)
    assert found.value is None
    assert found.reason == "fewer positive films are expected than 1 / 1e+06 of those there are"
