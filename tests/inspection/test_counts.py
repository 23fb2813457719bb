"""Every count, against counting by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.datasets import reader
from hilum.domain.findings import LabelSet, LabelState, label_set
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record, Split
from hilum.inspection.inspect import InspectionRequest, inspect_dataset
from hilum.inspection.labels import co_occurrence, findings, findings_per_film, no_finding
from hilum.inspection.population import (
    Counted,
    decade,
    group_by,
    impossible_ages,
    official_lists,
    population,
    published,
    split_of,
)
from hilum.splits import assign

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LABELS = LabelSet("three", ("No Finding", "Effusion", "Mass"))


def cohort_of(seed: int, films: int = 40) -> Cohort:
    rng = np.random.default_rng(seed)
    records = tuple(
        Record(
            f"{number}.png",
            f"p{rng.integers(0, 12)}",
            tuple(LabelState(int(s)) for s in rng.integers(-2, 2, len(LABELS))),
            view=list(ViewPosition)[rng.integers(0, len(ViewPosition))],
            age_years=None if rng.random() < 0.2 else float(rng.integers(1, 110)),
            sex=list(Sex)[rng.integers(0, 3)],
        )
        for number in range(films)
    )
    return Cohort("drawn", LABELS, records)


@given(seed=st.integers(0, 2**32 - 1), films=st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_findings_are_counted_by_film_patient_and_split(seed: int, films: int) -> None:
    listed = cohort_of(seed, films)
    used = listed.select(lambda record: record.view.frontal)
    splits = assign(listed)
    for name, found in findings(Counted(listed, used, splits)).items():
        column = LABELS.index(name)

        def of(state: LabelState, records: tuple[Record, ...], at: int = column) -> list[Record]:
            return [record for record in records if record.states[at] is state]

        positive = of(LabelState.POSITIVE, used.records)
        known = positive + of(LabelState.NEGATIVE, used.records)
        assert found.listed is not None
        for state in LabelState:
            word = state.name.lower()
            assert getattr(found.listed, word) == len(of(state, listed.records))
            assert getattr(found.used, word) == len(of(state, used.records))
            assert sum(getattr(f, word) for f in found.by_split.values()) == getattr(
                found.used, word
            )
        assert found.positive_patients == len({record.patient_id for record in positive})
        patients = len({record.patient_id for record in known})
        if known:
            assert found.prevalence == pytest.approx(len(positive) / len(known))
            assert found.patient_prevalence == found.positive_patients / patients
        else:
            assert found.prevalence is found.patient_prevalence is None
        train = [r for r in positive if splits.films[r.image_id].split is Split.TRAIN]
        assert found.by_split["train"].positive == len(train)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_co_occurrence_and_histogram_are_those_of_a_loop(seed: int) -> None:
    cohort = cohort_of(seed)
    both = co_occurrence(cohort)
    for i in range(3):
        for j in range(3):
            films = sum(r.states[i] is r.states[j] is LabelState.POSITIVE for r in cohort.records)
            assert both.films[i][j] == films
    histogram = findings_per_film(cohort)
    for count, films in histogram.items():
        said = sum(
            sum(state is LabelState.POSITIVE for state in r.states[1:]) == count
            for r in cohort.records
        )
        assert films == said
    assert sum(histogram.values()) == len(cohort)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_groups_add_up(seed: int) -> None:
    listed = cohort_of(seed)
    used = listed.select(lambda record: record.view.frontal)
    views = [record.view.value for record in listed.records]
    groups = group_by(Counted(listed, used, None), views)
    assert sum(group.films for group in groups.values()) == len(listed)
    assert sum(group.used for group in groups.values()) == len(used)
    for view, group in groups.items():
        own = [r for r in listed.records if r.view.value == view]
        assert group.patients == len({r.patient_id for r in own})
        assert group.used == (len(own) if ViewPosition(view).frontal else 0)
    people = population(Counted(listed, used, None))
    for groups in (people.sexes, people.ages):
        assert sum(group.films for group in groups.values()) == len(listed)
    known = [r for r in listed.records if r.age_years is not None and r.sex is not Sex.UNKNOWN]
    assert sum(n for by_sex in people.age_by_sex.values() for n in by_sex.values()) == len(known)


def test_a_decade_holds_ten_years() -> None:
    assert [decade(age) for age in (0.5, 9.9, 10.0, 90.0, 120.0)] == [
        *("00-09", "00-09", "10-19"),
        *("90+", "90+"),
    ]


def test_support_devices_do_not_contradict_no_finding() -> None:
    labels = label_set("CheXpert-14")

    def film(name: str, *positive: str) -> Record:
        states = tuple(LabelState(int(finding in positive)) for finding in labels)
        return Record(name, name, states)

    films = (
        film("a", "No Finding"),
        film("b", "No Finding", "Support Devices"),
        film("c", "No Finding", "Support Devices", "Edema"),
        film("d", "No Finding", "Edema"),
        film("e", "Support Devices", "Edema"),
    )
    found = no_finding(Cohort("chexpert", labels, films))
    assert (found.conflicts, found.with_support_devices) == (2, 1)


def test_patients_on_both_sides_are_counted_and_no_split_is_made() -> None:
    states = (LabelState.NEGATIVE,) * 3
    films = tuple(Record(f"{n}.png", f"p{n // 2}", states) for n in range(6))
    cohort = Cohort("drawn", LABELS, films, frozenset({"0.png", "1.png", "2.png", "9.png"}))
    lists = official_lists(cohort)
    assert (lists.test_films, lists.tune_films, lists.patients_on_both_sides) == (3, None, 1)
    splits, leak = split_of(cohort)
    assert splits is None
    assert "1 patient" in str(leak)


def test_ages_that_cannot_be_are_those_of_the_readers_notes(tmp_path: Path) -> None:
    assert impossible_ages(["labels are from a.csv", "films here: 3 of 8"]) == 0
    found = inspect_dataset(InspectionRequest(reader("nih").write_example(tmp_path)))
    assert found.population.impossible_ages == 1


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the NIH tables are not beside the checkout")
def test_the_complete_nih_table_is_as_published(tmp_path: Path) -> None:
    for table in (SHARED / "tables").glob("*.gz"):
        (tmp_path / table.name).symlink_to(table)
    found = inspect_dataset(InspectionRequest(tmp_path, dataset="nih"))
    assert found.published.complete
    assert (found.published.films, found.published.patients) == (112_120, 30_805)
    test = found.split.groups["test"]
    assert (test.films, test.patients) == (25_596, 2_797)
    assert found.official.patients_on_both_sides == 0
    assert found.official.recognised == ("NIH official test", "NIH official train_val")
    assert sum(found.labels.findings_per_film.values()) == 112_120
    assert found.labels.findings["Pneumonia"].used.positive == 1_431
    assert found.sound


def test_nothing_published_is_nothing_to_compare_with() -> None:
    card = reader("table").card
    found = published(cohort_of(0), card)
    assert (found.complete is None) == (not card.films)
