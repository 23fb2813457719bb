"""One patient under many spellings, and two patients under none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.domain.findings import LabelSet
from hilum.domain.patient_ids import (
    canonical,
    identities,
    is_destroyed,
    is_nobody,
    reworded,
    spellings,
    unify_patients,
)
from hilum.domain.record import Cohort, Record

numbers = st.integers(0, 10**15)
words = st.text("abcxyzABC_-", min_size=1, max_size=6)
zeros = st.integers(0, 5)
edges = st.sampled_from(["", " ", "\t", "\ufeff", "\u00a0", "'", '"'])


def spelled(number: int, pad: int, fraction: str, edge: str) -> str:
    return f"{edge}{'0' * pad}{number}{fraction}{edge}"


@given(numbers, zeros, st.sampled_from(["", ".0", ".00", ",0"]), edges)
@settings(max_examples=100, deadline=None)
def test_law_a_number_is_one_patient_in_any_spelling(
    number: int, pad: int, fraction: str, edge: str
) -> None:
    assert canonical(spelled(number, pad, fraction, edge)) == str(number)


@given(numbers, numbers, zeros, zeros)
@settings(max_examples=100, deadline=None)
def test_law_two_numbers_are_two_patients(one: int, other: int, pad: int, more: int) -> None:
    same = canonical(spelled(one, pad, "", "")) == canonical(spelled(other, more, ".0", ""))
    assert same == (one == other)


@given(words, numbers, edges)
@settings(max_examples=100, deadline=None)
def test_law_case_and_blanks_do_not_count_and_words_do(word: str, number: int, edge: str) -> None:
    own = f"{word}{number}"
    assert canonical(f"{edge}{own.upper()}{edge}") == canonical(own.lower())
    assert canonical(own) != canonical(str(number))


@given(st.text("0123456789.,aAbB _-", max_size=8))
@settings(max_examples=200, deadline=None)
def test_law_the_canonical_form_is_its_own(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once
    assert is_nobody(text) == (once == "")


@pytest.mark.parametrize("dataset", ["nih", "drawn-nih", "chexpert", "mimic", "padchest"])
@pytest.mark.parametrize("spell", ["P{}", "p{}", "patient{:05d}", "Subject_{}", "pid-{}.0"])
@given(number=st.integers(1, 10**8))
@settings(max_examples=10, deadline=None)
def test_law_in_a_dataset_with_a_rule_the_word_does_not_count(
    dataset: str, spell: str, number: int
) -> None:
    assert canonical(spell.format(number), dataset) == str(number)


@given(st.integers(1, 10**6), zeros)
@settings(max_examples=50, deadline=None)
def test_law_a_spelling_is_among_those_of_its_hashes(number: int, pad: int) -> None:
    padded = "0" * pad + str(number)
    if len(padded) <= 12:
        assert padded in set(spellings(f"{number}.0", "table"))
    assert str(number) in set(spellings(padded, "table"))
    assert next(iter(spellings(padded, "chexpert"))) == f"patient{number:05d}"
    assert str(number) in reworded(f"P{padded}")


@given(numbers.filter(lambda n: n >= 10), st.sampled_from(["E+{}", "e+{}"]), st.integers(2, 36))
@settings(max_examples=50, deadline=None)
def test_law_exponents_are_destroyed_ids(number: int, spell: str, power: int) -> None:
    digits = str(number)
    assert is_destroyed(f"{digits[0]}.{digits[1:]}{spell.format(power)}")
    assert is_destroyed(f"{digits[0]},{digits[1:]}{spell.format(power)}")
    assert not is_destroyed(digits)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("1.23E+15", True),
        ("8.398604886942923e+35", True),
        ("1.2E15", True),
        ("12345678901234568.0", True),
        ("1234567890123456.0", False),
        ("5E7", False),
        ("12e4b6", False),
        ("P12", False),
        ("839860488694292331637988235681460987", False),
    ],
)
def test_what_a_spreadsheet_leaves(text: str, lost: bool) -> None:
    assert is_destroyed(text) is lost


@pytest.mark.parametrize(
    ("film", "known"),
    [
        ("00000012_003.png", {("nih", "12")}),
        ("images_001/images/00000012_003.PNG", {("nih", "12")}),
        ("CheXpert-v1.0-small/train/patient00012/study1/view1_frontal.jpg", {("chexpert", "12")}),
        ("train\\patient00012\\study1\\view1_frontal", {("chexpert", "12")}),
        (
            "files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg",
            {("mimic", "10000032")},
        ),
        ("f012.png", set[tuple[str, str]]()),
        ("12_3.png", set[tuple[str, str]]()),
    ],
)
def test_names_of_films_tell_patients_by_each_datasets_rule(
    film: str, known: set[tuple[str, str]]
) -> None:
    assert identities(film, film, "table") == known


def test_a_cohort_with_one_spelling_each_is_not_touched() -> None:
    films = tuple(Record(str(n), f"P{n:03d}", ()) for n in range(4))
    cohort = Cohort("table", LabelSet("none", ()), films)
    assert unify_patients(cohort) is cohort


def test_ids_of_a_dataset_are_written_in_its_own_way() -> None:
    films = (Record("a", "12.0", ()), Record("b", "P13", ()), Record("c", "14", ()))
    cohort = unify_patients(Cohort("nih", LabelSet("none", ()), films))
    assert cohort.patients().tolist() == ["12", "13", "14"]
    assert cohort.notes == ("patient ids written in the dataset's own way: 2 patients",)
