"""Official lists are honoured to the film, and the other uses are drawn among the rest."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hilum.domain.errors import DatasetError, LeakError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record, Split
from hilum.splits import Fractions, Place, SplitTable, assign

LABELS = LabelSet("one", ("Mass",))


def cohort_of(
    patients: Iterable[int],
    test: Iterable[str] | None = None,
    tune: Iterable[str] | None = None,
) -> Cohort:
    """Two films a patient, `<patient>_0` and `<patient>_1`."""
    return Cohort(
        "made",
        LABELS,
        tuple(
            Record(image_id=f"{patient}_{film}", patient_id=str(patient), states=(LabelState(0),))
            for patient in patients
            for film in range(2)
        ),
        official_test=None if test is None else frozenset(test),
        official_tune=None if tune is None else frozenset(tune),
    )


def films(patients: Iterable[int]) -> list[str]:
    return [f"{patient}_{film}" for patient in patients for film in range(2)]


def test_the_official_tune_list_is_the_tune_split() -> None:
    table = assign(cohort_of(range(2000), tune=films(range(50))))
    assert table.name == "made-official-tune"
    assert table.patients(Split.TUNE) == {str(patient) for patient in range(50)}
    counts = {split: len(table.patients(split)) / 1950 for split in Split}
    assert counts[Split.TRAIN] == pytest.approx(0.60 / 0.90, abs=0.04)
    assert counts[Split.CALIBRATE] == pytest.approx(0.15 / 0.90, abs=0.04)
    assert counts[Split.TEST] == pytest.approx(0.15 / 0.90, abs=0.04)


def test_both_official_lists_leave_train_and_calibrate_to_be_drawn() -> None:
    cohort = cohort_of(range(2000), test=films(range(50)), tune=films(range(50, 90)))
    table = assign(cohort)
    assert table.name == "made-official"
    assert table.patients(Split.TEST) == {str(patient) for patient in range(50)}
    assert table.patients(Split.TUNE) == {str(patient) for patient in range(50, 90)}
    assert len(table.patients(Split.CALIBRATE)) / 1910 == pytest.approx(0.2, abs=0.04)


def test_a_test_list_alone_draws_as_it_always_did() -> None:
    # the same patients get the same uses as before there were tune lists
    cohort = cohort_of(range(12), test=films([3]))
    drawn = assign(cohort).films
    assert "".join(place.split[1] for place in drawn.values()) == "rruurreerrrrrrrrrrrraarr"


def test_a_patient_on_two_official_lists_is_a_leak() -> None:
    cohort = cohort_of(range(3), test=["1_0"], tune=["1_1"])
    with pytest.raises(LeakError, match=r"1 patient \(2 films\) is in both tune and test, first"):
        assign(cohort)


def test_a_film_on_two_official_lists_is_a_leak() -> None:
    cohort = cohort_of(range(3), test=films([1]), tune=films([1, 2]))
    with pytest.raises(LeakError, match="2 films of made are for test and for tune, first: 1_0"):
        assign(cohort)


def test_a_patient_on_the_tune_list_and_off_it_is_a_leak() -> None:
    with pytest.raises(LeakError, match=r"is in both .* first: 1"):
        assign(cohort_of(range(3), tune=["1_0"]))


def test_uses_without_a_list_must_have_a_share() -> None:
    cohort = cohort_of(range(3), test=films([1]), tune=films([2]))
    with pytest.raises(UsageError, match="must have a share; train and calibrate have 0"):
        assign(cohort, Fractions(0.0, 0.5, 0.0, 0.5))


def test_e06_a_film_moved_to_another_split_is_a_leak_that_names_the_patients() -> None:
    table = assign(cohort_of(range(30)))
    moved = next(film for film, place in table.films.items() if place.split is Split.TRAIN)
    patient = table.films[moved].patient_id
    with pytest.raises(LeakError, match=rf"in both train and test, first: {patient}"):
        SplitTable("edited", {**table.films, moved: Place(patient, Split.TEST)})


def test_e19_an_empty_split_is_refused_by_name() -> None:
    cohort = cohort_of(range(30))
    table = assign(cohort, Fractions(0.5, 0.0, 0.25, 0.25))
    with pytest.raises(DatasetError, match="split 'tune' of patient-hash must have a film"):
        table.of(cohort, Split.TUNE)
