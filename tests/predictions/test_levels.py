"""Studies and patients: scores combined, labels by precedence, nothing lost or invented."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.predictions.levels import Combine, Level, at_level, grouped

LABELS = LabelSet("two", ("Effusion", "Mass"))
STATES = st.sampled_from(list(LabelState))


@st.composite
def scored(draw: st.DrawFn) -> tuple[Probabilities, Cohort]:
    films = draw(st.integers(1, 12))
    studies = draw(st.lists(st.integers(0, 4), min_size=films, max_size=films))
    records = tuple(
        Record(
            f"{row}.png", f"p{study // 2}", draw(st.tuples(STATES, STATES)), study_id=f"s{study}"
        )
        for row, study in enumerate(studies)
    )
    values = draw(st.lists(st.floats(0, 1), min_size=2 * films, max_size=2 * films))
    table = np.array(values).reshape(films, 2)
    return Probabilities(table, LABELS), Cohort("drawn", LABELS, records)


@settings(max_examples=25, deadline=None)
@given(scored(), st.sampled_from([Level.STUDY, Level.PATIENT]), st.sampled_from(list(Combine)))
def test_groups_are_those_of_pandas(
    given_: tuple[Probabilities, Cohort], level: Level, combine: Combine
) -> None:
    probabilities, cohort = given_
    attribute = "study_id" if level is Level.STUDY else "patient_id"
    keys = [getattr(record, attribute) for record in cohort.records]
    table = pd.DataFrame(probabilities.values).groupby(keys, sort=False)
    expected = table.max() if combine is Combine.MAX else table.mean()
    scores, groups = at_level(probabilities, cohort, level, combine)
    assert groups.image_ids() == list(expected.index)
    np.testing.assert_allclose(scores.values, expected.to_numpy(), atol=1e-15)
    for record in groups.records:
        films = [r for r, key in zip(cohort.records, keys, strict=True) if key == record.image_id]
        assert {film.patient_id for film in films} == {record.patient_id}
        for column, state in enumerate(record.states):
            assert state is label([film.states[column] for film in films])


def label(states: list[LabelState]) -> LabelState:
    for state in (LabelState.POSITIVE, LabelState.NEGATIVE, LabelState.UNCERTAIN):
        if state in states:
            return state
    return LabelState.UNLABELLED


def film(name: str, study: str | None, **about: object) -> Record:
    return Record(name, "7", (LabelState.NEGATIVE,) * 2, study_id=study, **about)


def test_what_films_agree_on_is_kept() -> None:
    films = (
        film("a", "s1", view=ViewPosition.PA, sex=Sex.MALE, age_years=60.0, follow_up=1),
        film("b", "s1", view=ViewPosition.LL, sex=Sex.MALE, age_years=61.0, follow_up=1),
        film("c", None, view=ViewPosition.AP),
    )
    cohort = Cohort("drawn", LABELS, films, official_test=frozenset("a"))
    one, alone = grouped(cohort, Level.STUDY).records
    assert (one.image_id, one.study_id, one.patient_id) == ("s1", "s1", "7")
    assert (one.view, one.sex, one.age_years, one.follow_up) == (
        *(ViewPosition.UNKNOWN, Sex.MALE, 60.5, 1),
    )
    assert (alone.image_id, alone.view, alone.age_years) == ("c", ViewPosition.AP, None)
    (patient,) = grouped(cohort, Level.PATIENT).records
    assert (patient.image_id, patient.study_id) == ("7", None)


def test_levels_are_noted_with_their_counts() -> None:
    cohort = Cohort("drawn", LABELS, (film("a", "s1"), film("b", "s1")), notes=("before",))
    _, studies = at_level(Probabilities(np.ones((2, 2)), LABELS), cohort, Level.STUDY)
    assert studies.notes == (
        "before",
        "study level: 2 films became 1 studies",
        "study level: the films' probabilities are combined by max",
    )
    assert studies.official_test is None


def test_films_stay_films() -> None:
    cohort = Cohort("drawn", LABELS, (film("a", "s1"),))
    scores = Probabilities(np.zeros((1, 2)), LABELS)
    assert at_level(scores, cohort, Level.FILM) == (scores, cohort)
    assert grouped(cohort, Level.FILM) is cohort


def test_a_study_of_two_patients_or_of_nothing_is_refused() -> None:
    other = Record("b", "8", (LabelState.NEGATIVE,) * 2, study_id="s1")
    with pytest.raises(DatasetError, match="a study must be of one patient; s1 has films of 7, 8"):
        grouped(Cohort("drawn", LABELS, (film("a", "s1"), other)), Level.STUDY)
    with pytest.raises(DatasetError, match="a study must have a film"):
        grouped(Cohort("drawn", LABELS, ()), Level.STUDY)
