"""An upgrade on tables with a known truth: what flips, what is shown, and what more films would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hilum.domain.documents.upgrade import GateOutcome, GateRule, GateVerdict, ServedChange
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.upgrade.gate import ServedShares, decide, lost_findings, verdict_of
from hilum.evaluation.upgrade.measure import (
    PairedFilms,
    auroc_change,
    finding_changes,
    flips,
    group_changes,
)
from hilum.evaluation.upgrade.paired import (
    MeanChange,
    ShareChange,
    change_interval,
    no_interval,
    share_interval,
)
from hilum.evaluation.upgrade.policy import UpgradePolicy, read_policy
from hilum.metrics.delong import delong, difference

LABELS = LabelSet("two", ("Effusion", "Mass"))
Change = Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]]


def table(change: Change, patients: int = 300, films: int = 2, line: float = 0.5) -> PairedFilms:
    """Films with a known truth, scored by an old model, and by a new one that `change` makes.

    Args:
        change: from old scores (N, L) and the films of women (N,) to new scores.
        patients: people.
        films: of each.
        line: threshold of the new model; the old one's is 0.5.
    """
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(patients), films)
    own = rng.normal(size=patients)[person]
    n = len(person)
    truth = own[:, None] + rng.normal(size=(n, 2)) > [0.3, 0.9]
    logits = 2.4 * truth - 1.2 + rng.normal(size=(n, 2)) + 0.5 * own[:, None]
    women = rng.random(patients)[person] < 0.5
    old = 1 / (1 + np.exp(-logits))
    new = change(old, women)
    records = tuple(
        Record(
            image_id=f"{row:04d}.png",
            patient_id=f"{person[row]}",
            states=tuple(LabelState(int(state)) for state in truth[row]),
            view=ViewPosition.PA,
            sex=Sex.FEMALE if women[row] else Sex.MALE,
        )
        for row in range(n)
    )
    return PairedFilms(
        Cohort("table", LABELS, records),
        Probabilities(old, LABELS),
        Probabilities(new, LABELS),
        (old >= 0.5).astype(np.int8),
        (new >= line).astype(np.int8),
    )


def same(old: NDArray[np.float64], _women: NDArray[np.bool_]) -> NDArray[np.float64]:
    return old


def recalibrated(old: NDArray[np.float64], _women: NDArray[np.bool_]) -> NDArray[np.float64]:
    return old**1.3


def spoilt(old: NDArray[np.float64], women: NDArray[np.bool_]) -> NDArray[np.float64]:
    noise = np.random.default_rng(1).random(old.shape)
    return np.where(women[:, None], 0.3 * old + 0.7 * noise, old)


SERVED = ServedChange(
    inputs=600,
    unscored_old=0,
    unscored_new=0,
    newly_unscored=0,
    reasons={},
    seconds_old=0.1,
    seconds_new=0.12,
    network_bytes_old=1,
    network_bytes_new=1,
    maps=0,
    overlap=no_interval("none"),
)
NOTHING = ServedShares(SERVED, None, None, None)


def judged(policy: str, films: PairedFilms, also: ServedShares = NOTHING) -> list[GateRule]:
    return list(decide(read_policy(policy, "policy.yaml"), films, also))


def test_the_same_scores_differ_in_nothing() -> None:
    films = table(same)
    assert all(one.gained == one.lost == 0 for one in flips(films).values())
    for change in finding_changes(films).values():
        assert change.auroc.value == change.brier.value == change.sensitivity.value == 0.0
        assert (change.auroc.low, change.auroc.high) == (0.0, 0.0)
        # no change among so many patients is no proof that there is none
        assert change.sensitivity.high is not None
        assert 0.0 < change.sensitivity.high < 0.05
    assert all(group.auroc.value == 0.0 for group in group_changes(films))


def test_a_recalibrated_copy_flips_and_keeps_its_auroc() -> None:
    films = table(recalibrated)
    found, changes = flips(films), finding_changes(films)
    for name in LABELS:
        assert found[name].gained == 0
        assert found[name].lost > 20
        assert changes[name].auroc.value == pytest.approx(0.0, abs=1e-12)
        assert changes[name].brier.value != 0.0
        assert changes[name].sensitivity.value is not None
        assert changes[name].sensitivity.value < 0.0 < (changes[name].specificity.value or 0.0)
        assert changes[name].missed + changes[name].cleared == found[name].lost
    # those shown moved furthest across the line
    shown = found["Mass"].examples
    assert len(shown) == 3
    assert all(one.old >= 0.5 > one.new and not one.gained for one in shown)
    assert abs(shown[0].new - shown[0].old) >= abs(shown[1].new - shown[1].old)


def test_a_change_of_auroc_is_delong_s_by_patient() -> None:
    films = table(spoilt)
    for name in LABELS:
        change = auroc_change(films, (name,))
        assert change is not None
        positive = films.cohort.states()[:, LABELS.index(name)] == 1
        both = np.stack((films.old.of(name), films.new.of(name)))
        areas = delong(positive, both, films.cohort.patients())
        expected = difference(areas, 0, 1)
        assert change.value == pytest.approx(expected.difference)
        assert change_interval(change).low == pytest.approx(expected.low, abs=1e-3)


POLICY = "auroc_loss: {at_most: 0.05, subgroups: true}\n"


def test_a_spoilt_subgroup_is_stopped_by_name() -> None:
    films = table(spoilt, patients=600)
    rules = judged("auroc_loss: {at_most: 0.05, subgroups: [sex]}", films)
    outcome = {rule.of: rule.outcome for rule in rules}
    assert outcome["sex F"] is GateOutcome.BROKEN
    assert outcome["sex M"] is GateOutcome.HOLDS
    verdict, words = verdict_of([rule for rule in rules if rule.of.startswith("sex")])
    assert verdict is GateVerdict.STOPPED
    assert words.startswith("the old bundle stays: auroc_loss of sex F is beyond its limit")
    groups = {group.group: group.auroc for group in group_changes(films)}
    assert (groups["F"].high or 0.0) < 0.0 == groups["M"].value


def test_too_few_films_are_their_own_answer_with_a_number_that_decides() -> None:
    def a_little(old: NDArray[np.float64], _women: NDArray[np.bool_]) -> NDArray[np.float64]:
        noise = np.random.default_rng(2).normal(size=old.shape)
        return 1 / (1 + np.exp(-(np.log(old / (1 - old)) + 0.8 * noise)))

    policy = "auroc_loss: {at_most: 0.06}"
    rules = judged(policy, table(a_little, patients=30))
    verdict, words = verdict_of(rules)
    assert verdict is GateVerdict.UNDECIDED
    open_ = [rule for rule in rules if rule.outcome is GateOutcome.UNDECIDED]
    assert all(rule.films_needed is not None and rule.films_needed > 60 for rule in open_)
    needed = max(rule.films_needed or 0 for rule in open_)
    assert f"about {needed:,} films like these would be" in words
    # so many films decide, one way or the other
    enough = judged(policy, table(a_little, patients=4 * needed))
    assert all(rule.outcome is not GateOutcome.UNDECIDED for rule in enough)


@pytest.mark.parametrize(
    ("patients", "outcome"), [(98, GateOutcome.UNDECIDED), (99, GateOutcome.HOLDS)]
)
def test_no_flip_at_all_needs_as_many_patients_as_a_bound(
    patients: int, outcome: GateOutcome
) -> None:
    # log(0.05) / log(1 - 0.03) = 98.4
    films = table(same, patients=patients, films=1)
    rules = judged("flips: {at_most: 0.03, findings: [Pleural Effusion]}", films)
    assert [(rule.of, rule.outcome) for rule in rules] == [("Effusion", outcome)]
    assert rules[0].films_needed == (99 if outcome is GateOutcome.UNDECIDED else None)


def test_a_finding_that_cannot_be_measured_is_never_passed_over() -> None:
    films = table(same)
    states = films.cohort.states()
    rare = np.flatnonzero(states[:, 1] == 1)[5:]
    records = list(films.cohort.records)
    for row in rare:
        records[row] = replace(records[row], states=(records[row].states[0], LabelState.NEGATIVE))
    few = replace(films, cohort=replace(films.cohort, records=tuple(records)))
    effusion, mass = judged("auroc_loss: {at_most: 0.02}", few)
    assert effusion.outcome is GateOutcome.HOLDS
    assert mass.outcome is GateOutcome.UNDECIDED
    assert mass.films_needed == 600 * 20 / 5
    assert "5 of 600 labeled films have it, and 20 are needed" in mass.words
    (absent,) = judged("flips: {at_most: 0.5, findings: [Hernia]}", few)
    assert absent.outcome is GateOutcome.UNDECIDED
    (gone,) = lost_findings(("Mass", "Hernia"), ("Mass",))
    assert verdict_of([gone])[0] is GateVerdict.STOPPED


def test_what_serving_costs_is_judged_too() -> None:
    films = table(same)
    moved = np.zeros(600, bool)
    moved[:30] = True
    people = np.arange(600)
    also = replace(
        NOTHING,
        unscored=ShareChange(moved, np.zeros_like(moved), people, one_way=True),
        ruled_out=ShareChange(np.zeros_like(moved), moved, people),
        overlap=MeanChange(0.8, 0.01),
    )
    policy = (
        "rejects: {at_most: 0.01}\nrule_out_loss: {at_most: 0.1}\n"
        "heatmaps: {at_least: 0.7}\nspeed: {at_most: 1.1}"
    )
    outcome = {rule.rule: rule.outcome for rule in judged(policy, films, also)}
    assert outcome == {
        "rejects": GateOutcome.BROKEN,
        "rule_out_loss": GateOutcome.HOLDS,
        "heatmaps": GateOutcome.HOLDS,
        "speed": GateOutcome.BROKEN,
    }
    one = replace(also, same=True)
    assert {rule.outcome for rule in judged(policy, films, one)} == {GateOutcome.HOLDS}
    blind = {rule.rule: rule.outcome for rule in judged(policy, films)}
    assert blind["rejects"] is blind["rule_out_loss"] is GateOutcome.UNDECIDED


def test_paired_intervals_hold_the_truth_by_patient() -> None:
    rng = np.random.default_rng(0)
    missed = {"change": 0, "share": 0, "clustered": 0}
    for _ in range(40):
        # half of the changes go either way, so that 0 is the truth
        draw, alone = rng.random(40), np.arange(40)
        change = change_interval(ShareChange(draw < 0.1, draw > 0.9, alone))
        missed["change"] += not (change.low or 0.0) <= 0.0 <= (change.high or 0.0)
        share = share_interval(draw < 0.1, alone)
        missed["share"] += not (share.low or 0.0) <= 0.1 <= (share.high or 0.0)
        # films of a patient flip together
        flipped = rng.random(20) < 0.3
        clustered = share_interval(flipped.repeat(3), np.arange(20).repeat(3))
        missed["clustered"] += not (clustered.low or 0.0) <= 0.3 <= (clustered.high or 0.0)
    # 5 % and three Monte-Carlo errors of 40
    assert max(missed.values()) <= 6, missed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flip: {at_most: 1}", "policy.yaml:1: flip: no such field. Did you mean 'flips'"),
        ("flips: {at_most: 1.5}", "policy.yaml:1: flips.at_most"),
        ("flips:\n  atmost: 0.5", r"policy.yaml:2: flips.atmost: no such field. Did you mean"),
        ("speed: {}", "a policy must have a limit"),
        ("auroc_loss: {at_most: 0.1, subgroups: [gender]}", "subgroups must be of sex, age, view"),
        ("- flips", "a policy must be a mapping"),
        ("flips: {at_most: 0.1}\nflips: {at_most: 0.2}", "flips: this key is in line 1 already"),
        ("flips: [", "a policy must be YAML"),
    ],
)
def test_a_policy_that_says_something_else_is_refused_in_a_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        read_policy(text, "policy.yaml")
    assert "\n" not in str(refusal.value)


def test_a_policy_knows_whether_it_needs_labels() -> None:
    assert not read_policy("flips: {at_most: 0.1}", "p").needs_labels
    assert read_policy(POLICY, "p").needs_labels
    assert dict(UpgradePolicy.model_validate({"speed": {"at_most": 2}}).limits())["speed"]
