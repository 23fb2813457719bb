"""Rule-out thresholds: the bound holds for patients, and what may not move it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from hilum.calibration.abstention.bounds import miss_bound, p_path, positives_needed
from hilum.calibration.abstention.fit import RuleSource, fit_rule, labeled_for
from hilum.calibration.abstention.request import RuleRequest
from hilum.calibration.abstention.scores import parse_within, rule_score, stratum_of
from hilum.calibration.abstention.thresholds import (
    Goal,
    RuleFilms,
    flag_threshold,
    rule_out_threshold,
)
from hilum.domain.documents.rule_out import MissUnit, RuleOut
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities

LABELS = LabelSet("two", ("Effusion", "Mass"))
SIZES = (1, 1, 1, 2, 2, 3, 5, 10)
"""Films a patient, skewed as in NIH."""


def clustered(
    rng: np.random.Generator, patients: int, icc: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Standard normal scores of positive films, alike within a patient."""
    patient = np.repeat(np.arange(patients), rng.choice(SIZES, size=patients))
    own = rng.normal(size=patients)[patient]
    return np.sqrt(icc) * own + np.sqrt(1 - icc) * rng.normal(size=len(patient)), patient


def films(scores: NDArray[np.float64], patient: NDArray[np.intp], negatives: int) -> RuleFilms:
    low = np.linspace(-4.0, 1.0, negatives)
    return RuleFilms(
        np.r_[scores, low],
        np.r_[np.ones(len(scores), bool), np.zeros(negatives, bool)],
        np.r_[patient, patient.max() + 1 + np.arange(negatives)],
    )


def broken(icc: float, limit: float, repetitions: int) -> dict[str, float]:
    """Share of simulated fits whose true miss rate is above the limit, by method."""
    rng = np.random.default_rng(7)
    count = {"patient": 0, "as if independent": 0}
    for _ in range(repetitions):
        drawn = films(*clustered(rng, 100, icc), 400)
        alone = replace(drawn, patients=np.arange(len(drawn.scores)))
        for name, own in (("patient", drawn), ("as if independent", alone)):
            cut = rule_out_threshold(own, Goal(limit, 0.05, MissUnit.PATIENT))
            if cut.threshold is not None:
                count[name] += bool(norm.cdf(cut.threshold) > limit)
    return {name: number / repetitions for name, number in count.items()}


def test_the_bound_holds_for_patients_and_is_broken_by_films_taken_as_independent() -> None:
    repetitions = 250
    share = broken(icc=0.8, limit=0.1, repetitions=repetitions)
    error = 3 * np.sqrt(0.05 * 0.95 / repetitions)
    assert share["patient"] <= 0.05 + error
    assert share["as if independent"] > 0.05 + error


@pytest.mark.exhaustive
@pytest.mark.parametrize("icc", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("limit", [0.05, 0.1])
def test_the_bound_holds_in_2000_fits(icc: float, limit: float) -> None:
    assert broken(icc, limit, 2000)["patient"] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("unit", MissUnit)
def test_independent_units_are_tested_exactly(unit: MissUnit) -> None:
    found = p_path(np.arange(150), 0.05, 0.05, unit)
    assert found == pytest.approx(binom.cdf(np.arange(151), 150, 0.05), abs=1e-12)


def test_the_upper_bound_is_clopper_pearson() -> None:
    from scipy.stats import beta

    missed = np.arange(200) < 3
    found = miss_bound(missed, np.arange(200), 0.05, MissUnit.FILM)
    assert found.upper == pytest.approx(beta.ppf(0.95, 4, 197), abs=1e-9)
    assert (found.observed, found.n) == (0.015, 200)


def test_betting_is_the_product_over_patients() -> None:
    patients = np.array([0, 1, 0, 2, 2, 1, 3, 3, 3])
    path = p_path(patients, 0.6, 0.5, MissUnit.PATIENT)
    bets = np.full(4, 0.0)
    for missed in range(len(patients) + 1):
        gone = np.bincount(patients[:missed], minlength=4) / np.bincount(patients)
        if missed == 0:
            bet = (path[0] ** -0.25 - 1) / 0.6  # what the first value says that it is
        bets = 1 + bet * (0.6 - gone)
        assert path[missed] == pytest.approx(min(1.0, 1.0 / bets.prod()), rel=1e-9)


def test_copies_and_names_change_nothing() -> None:
    rng = np.random.default_rng(3)
    scores, patient = clustered(rng, 120, 0.3)
    own = films(scores, patient, 300)
    for unit in MissUnit:
        goal = Goal(0.1, 0.05, unit)
        cut = rule_out_threshold(own, goal)
        assert cut.threshold is not None
        renamed = rng.permutation(own.patients.max() + 1)[own.patients]
        assert rule_out_threshold(replace(own, patients=renamed), goal) == cut
        order = rng.permutation(len(own.scores))
        assert rule_out_threshold(own.where(order), goal) == cut
        twice = RuleFilms(*(np.tile(a, 2) for a in (own.scores, own.positive, own.patients)))
        again = rule_out_threshold(twice, goal).threshold
        assert again is not None
        assert again <= cut.threshold


def test_a_smaller_target_never_rules_out_more() -> None:
    own = films(*clustered(np.random.default_rng(5), 700, 0.3), 300)
    for unit in MissUnit:
        cuts = [
            rule_out_threshold(own, Goal(m, 0.05, unit)).threshold
            for m in (0.01, 0.02, 0.05, 0.1, 0.2)
        ]
        lowered = [-np.inf if cut is None else cut for cut in cuts]
        assert lowered == sorted(lowered)


def test_refusals_of_one_threshold() -> None:
    goal = Goal(0.05, 0.05, MissUnit.PATIENT)
    few = films(np.zeros(58) + 2.0, np.arange(58), 10)
    assert rule_out_threshold(few, goal).reason == (
        "a miss rate of 5.00% needs 59 independent positives; there are 58 patients"
    )
    flat = RuleFilms(np.ones(100), np.arange(100) < 80, np.arange(100))
    assert "all scores are equal" in rule_out_threshold(flat, goal).reason
    low = RuleFilms(np.r_[np.zeros(70), np.ones(9)], np.arange(79) < 70, np.arange(79))
    assert "the lowest score is of a film with the finding" in rule_out_threshold(low, goal).reason
    tied = RuleFilms(np.r_[-1.0, np.zeros(70)], np.arange(71) > 0, np.arange(71))
    cut = rule_out_threshold(tied, goal)
    assert cut.threshold == -0.5  # of 70 tied positives none is ruled out
    packed = films(np.zeros(100) + 2.0, np.arange(100) // 50, 10)
    assert (
        "too many films each"
        in rule_out_threshold(packed, replace(goal, unit=MissUnit.FILM)).reason
    )
    assert [positives_needed(m, 0.05) for m in (0.05, 0.02, 0.01, 0.005)] == [59, 149, 299, 598]


def test_flags_bound_the_predictive_value() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(4000)
    own = RuleFilms(p, rng.random(4000) < p, np.arange(4000))
    found = flag_threshold(own, Goal(0.2, 0.05, MissUnit.FILM))
    assert found is not None
    assert 0.55 < found < 0.7  # of films above 0.6, 0.8 are positive
    assert flag_threshold(own, Goal(0.01, 0.05, MissUnit.FILM)) is None


def test_scores_and_strata() -> None:
    p = Probabilities(np.array([[0.5, 0.0], [1.0, 0.3], [1e-12, 0.0]]), LABELS)
    assert rule_score(p, "any", LABELS.findings) == pytest.approx([0.5, 1.0, 1e-12], rel=1e-9)
    assert rule_score(p, "Mass", LABELS.findings).tolist() == [0.0, 0.3, 0.0]
    assert stratum_of(("view",), ViewPosition.UNKNOWN, Sex.FEMALE, 3.0) is None
    with pytest.raises(UsageError, match="--within must name view, sex, age; got 'vew'"):
        parse_within("vew")


def cohort(states: list[tuple[int, int]], views: list[ViewPosition] | None = None) -> Cohort:
    records = tuple(
        Record(
            f"{i}.png",
            f"p{i}",
            tuple(LabelState(s) for s in row),
            view=ViewPosition.PA if views is None else views[i],
        )
        for i, row in enumerate(states)
    )
    return Cohort("made", LABELS, records)


def test_films_of_any_finding() -> None:
    known, positive = labeled_for(cohort([(1, -2), (0, 0), (0, -2), (-1, 0)]), "any")
    assert known.tolist() == [True, True, False, False]
    assert positive.tolist() == [True, False, False, False]
    known, _ = labeled_for(cohort([(1, -2), (0, -2)]), "any")  # Mass is never labeled
    assert known.tolist() == [True, True]


SOURCE = RuleSource("net", "b0", LABELS.findings, "made", "calibrate", "2026-01-02")


def rule_of(request: RuleRequest, source: RuleSource = SOURCE) -> RuleOut:
    """100 patients with an effusion, 20 of them AP, 30 with a mass, 100 with nothing."""
    states = [(1, 0)] * 100 + [(0, 1)] * 30 + [(0, 0)] * 100
    views = [ViewPosition.AP if i < 20 else ViewPosition.PA for i in range(230)]
    values = np.full((230, 2), 0.1)
    values[:100, 0], values[100:130, 1] = 0.9, 0.9
    values[130:, :] = np.linspace(0.01, 0.08, 100)[:, None]
    return fit_rule(Probabilities(values, LABELS), cohort(states, views), request, source)


def test_a_rule_of_any_finding_and_its_words() -> None:
    rule = rule_of(RuleRequest(miss=0.05))
    (one,) = rule.rules
    assert (one.positive_patients, one.ruled_out, rule.positives_needed) == (130, 100, 59)
    assert rule.guarantee(one) == (
        "of patients with any finding, the mean share of films ruled out is at most 5.00% with "
        "95% confidence (labels of made, n = 130, 2026-01-02)"
    )
    assert "normal" not in rule.model_dump_json()


def test_strata_without_positives_are_refused_by_name_and_cost_nothing() -> None:
    rule = rule_of(RuleRequest(miss=0.05, of=("Effusion", "Mass"), within=("view",)))
    found = {(one.finding, one.stratum): one for one in rule.rules}
    assert rule.family == 1  # 80 effusions PA; the others cannot be bounded and share no error
    assert found["Effusion", "PA"].threshold is not None
    assert found["Effusion", "AP"].reason.endswith("there are 20 patients")
    assert found["Mass", "PA"].threshold is None
    with pytest.raises(DatasetError, match=r"needs 59 .* there are 30 patients"):
        rule_of(RuleRequest(miss=0.05, of=("Mass",)))


def test_called_and_uncalibrated_findings() -> None:
    called = np.zeros(230, bool)
    called[150:] = True
    assert rule_of(RuleRequest(miss=0.05), replace(SOURCE, called=called)).rules[0].ruled_out == 20
    with pytest.raises(UsageError, match="a rule needs calibrated probabilities; those of Mass"):
        rule_of(RuleRequest(of=("Mass",)), replace(SOURCE, findings=("Effusion",)))


def test_the_hash_changes_with_every_part() -> None:
    request = RuleRequest(miss=0.05)
    base = rule_of(request)
    others = [
        rule_of(replace(request, miss=0.051)),
        rule_of(replace(request, confidence=0.94)),
        rule_of(replace(request, unit=MissUnit.FILM)),
        rule_of(replace(request, of=("Effusion",))),
        rule_of(replace(request, within=("view",))),
        rule_of(request, replace(SOURCE, bond="b1")),
        rule_of(request, replace(SOURCE, findings=("Effusion",))),
    ]
    hashes = {rule.rule_sha256 for rule in (base, *others)}
    assert len(hashes) == 1 + len(others)
    assert rule_of(request, replace(SOURCE, date="2027-01-01")).rule_sha256 == base.rule_sha256
    tree = base.model_dump(mode="json")
    tree["rules"][0]["threshold"] = 0.5
    with pytest.raises(ValueError, match="a rule must be as it was frozen"):
        RuleOut.model_validate(tree)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"miss": 0.0}, "--miss must be a share between 0 and 1; got 0"),
        ({"miss": float("nan")}, "--miss must be a share"),
        ({"confidence": 0.4}, "--confidence must be a share between 0.5 and 1; got 0.4"),
        ({"of": ("Mass", "Mass")}, "--of must name each finding once"),
    ],
)
def test_requests_out_of_range(given: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RuleRequest(**given)  # pyright: ignore[reportArgumentType]


@pytest.mark.exhaustive
def test_the_choice_is_a_little_bolder_than_mapie_s() -> None:
    """Where films are independent; MAPIE pays a correction over its grid. It is optional."""
    control = pytest.importorskip("mapie.risk_control")
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.3).astype(int)
    scores = 1 / (1 + np.exp(-(rng.normal(size=2000) + 2 * y - 1.5)))
    theirs = control.BinaryClassificationController(
        lambda x: np.column_stack((1 - x[:, 0], x[:, 0])),
        risk="recall",
        target_level=0.95,
        confidence_level=0.95,
        best_predict_param_choice="precision",
        list_predict_params=np.linspace(0.01, 0.6, 60),
    )
    theirs.calibrate(scores[:, None], y)
    ours = rule_out_threshold(
        RuleFilms(scores, y == 1, np.arange(2000)), Goal(0.05, 0.05, MissUnit.FILM)
    ).threshold
    assert ours is not None
    assert 0.75 * ours < max(theirs.valid_predict_params) <= ours
