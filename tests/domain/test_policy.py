"""What an uncertain, blank or contradicting label counts as, and how datasets share findings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet, LabelState, label_set, label_sets
from hilum.domain.policy import (
    Blank,
    Conflict,
    LabelPolicy,
    Uncertain,
    Views,
    Votes,
    conflicts,
    relabel,
    settle,
)
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record, Vote

FOUR = LabelSet("four", ("No Finding", "Mass", "Edema", "Support Devices"))
NO, YES, MAYBE, BLANK = (
    LabelState.NEGATIVE,
    LabelState.POSITIVE,
    LabelState.UNCERTAIN,
    LabelState.UNLABELLED,
)


def cohort(*rows: tuple[LabelState, ...]) -> Cohort:
    records = tuple(Record(f"{i}.png", str(i), row) for i, row in enumerate(rows))
    return Cohort("mine", FOUR, records)


def states_of(found: Cohort) -> list[tuple[LabelState, ...]]:
    return [record.states for record in found.records]


def test_e08_uncertain_labels_need_a_policy() -> None:
    with pytest.raises(UsageError, match=r"mine has 1 uncertain labels.*--uncertain"):
        settle(cohort((NO, MAYBE, NO, NO)), LabelPolicy())
    assert len(settle(cohort((NO, YES, NO, NO)), LabelPolicy())) == 1


@pytest.mark.parametrize(
    ("uncertain", "becomes"),
    [("ignore", MAYBE), ("positive", YES), ("negative", NO), ("soft", MAYBE)],
)
def test_each_uncertainty_policy(uncertain: str, becomes: LabelState) -> None:
    found = settle(cohort((NO, MAYBE, BLANK, NO)), LabelPolicy(uncertain=Uncertain(uncertain)))
    assert states_of(found) == [(NO, becomes, BLANK, NO)]
    assert any("uncertain labels" in note and note.endswith(": 1") for note in found.notes)


def test_e09_blank_is_not_negative_unless_it_is_said_to_be() -> None:
    blank = cohort((NO, BLANK, BLANK, NO))
    assert states_of(settle(blank, LabelPolicy())) == [(NO, BLANK, BLANK, NO)]
    found = settle(blank, LabelPolicy(blank=Blank.NEGATIVE))
    assert states_of(found) == [(NO, NO, NO, NO)]
    assert "unlabelled labels read as negative: 2" in found.notes


@pytest.mark.parametrize(
    ("conflict", "expected"),
    [
        ("drop", [(YES, NO, NO, YES)]),
        ("trust_findings", [(NO, YES, NO, NO), (YES, NO, NO, YES)]),
        ("keep", [(YES, YES, NO, NO), (YES, NO, NO, YES)]),
    ],
)
def test_e10_no_finding_beside_a_finding(
    conflict: str, expected: list[tuple[LabelState, ...]]
) -> None:
    both = cohort((YES, YES, NO, NO), (YES, NO, NO, YES))
    assert [conflicts(record, FOUR) for record in both.records] == [True, False]
    found = settle(both, LabelPolicy(no_finding=Conflict(conflict)))
    assert states_of(found) == expected
    assert f"films with No Finding beside a finding, policy {conflict}: 1" in found.notes


def test_films_known_not_to_be_frontal_are_left_out_and_counted() -> None:
    views = (*ViewPosition,)
    films = tuple(Record(f"{v}.png", "1", (NO,) * 4, view=v) for v in views)
    mine = Cohort("mine", FOUR, films)
    found = settle(mine, LabelPolicy())
    assert {r.view for r in found.records} == {view for view in views if view.frontal}
    assert "films left out as not frontal, policy views=frontal: 2" in found.notes
    assert "films of unknown view left out, policy views=frontal: 1" in found.notes
    wider = settle(mine, LabelPolicy(views=Views.FRONTAL_OR_UNKNOWN))
    assert {r.view for r in wider.records} == set(views) - {ViewPosition.LL, ViewPosition.OTHER}
    assert "films of unknown view used, policy views=frontal_or_unknown: 1" in wider.notes
    assert len(settle(mine, LabelPolicy(views=Views.ALL))) == len(views)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("majority", (NO, YES, NO, NO)),
        ("any", (NO, YES, YES, NO)),
        ("unanimous", (NO, YES, MAYBE, NO)),
    ],
)
def test_votes_become_one_label(votes: str, expected: tuple[LabelState, ...]) -> None:
    said = ((NO, YES, YES, NO), (NO, YES, NO, NO), (NO, YES, NO, NO))
    film = Record(
        "a", "1", (NO, YES, NO, NO), votes=tuple(Vote(f"R{i}", row) for i, row in enumerate(said))
    )
    policy = LabelPolicy(votes=Votes(votes), uncertain=Uncertain.IGNORE)
    assert states_of(settle(Cohort("mine", FOUR, (film,)), policy)) == [expected]


def test_one_reader_who_sees_something_outvotes_no_finding() -> None:
    votes = tuple(Vote(r, s) for r, s in (("a", (NO, YES, NO, NO)), ("b", (YES, NO, NO, NO))))
    film = Record("a", "1", (NO, NO, NO, NO), votes=votes)
    found = settle(Cohort("mine", FOUR, (film,)), LabelPolicy(votes=Votes.ANY))
    assert states_of(found) == [(NO, YES, NO, NO)]


@given(st.lists(st.tuples(*[st.sampled_from([NO, YES, BLANK])] * 4), max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_default_policy_changes_no_label_and_drops_only_contradictions(
    rows: list[tuple[LabelState, ...]],
) -> None:
    mine = cohort(*rows)
    kept = [r for r in mine.records if not conflicts(r, FOUR)]
    assert list(settle(mine, LabelPolicy()).records) == kept


def test_a_dataset_is_brought_to_another_label_set_by_name() -> None:
    nih = label_set("NIH-14")
    effusion = tuple(YES if name == "Effusion" else NO for name in nih)
    films = (Record("a", "1", effusion), Record("b", "2", (NO,) * 14))
    found = relabel(Cohort("nih", nih, films), label_set("CheXpert-14"))
    said = [dict(zip(found.labels, record.states, strict=True)) for record in found.records]
    assert [row["Effusion"] for row in said] == [YES, NO]
    assert [row["No Finding"] for row in said] == [NO, YES]
    assert {row["Fracture"] for row in said} == {BLANK}
    assert "CheXpert-14 from NIH-14 by name: 7 of 14 findings" in found.notes[-1]
    assert "Fracture" in found.notes[-1]


def test_a_label_set_that_shares_nothing_is_refused() -> None:
    mine = Cohort("mine", LabelSet("one", ("Mass",)), ())
    with pytest.raises(UsageError, match="mine must have a finding of SIIM"):
        relabel(mine, label_set("SIIM"))


def test_thirteen_findings_and_no_finding_is_a_label_set_of_its_own() -> None:
    """S4-09: the fourteenth label may be No Finding instead of Hernia."""
    thirteen = label_set("NIH-13+NF")
    assert set(thirteen) == (set(label_set("NIH-14")) - {"Hernia"}) | {"No Finding"}
    assert all(len(labels) > 0 for labels in label_sets().values())


def test_a_soft_range_must_rise() -> None:
    with pytest.raises(ValidationError, match="soft_range must rise"):
        LabelPolicy(soft_range=(0.9, 0.2))
