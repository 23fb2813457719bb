"""Every trap is found, with its code and level."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.datasets import reader
from hilum.domain.documents.inspection import (
    DatasetInspection,
    NoFinding,
    Problem,
    ProblemCode,
    Severity,
)
from hilum.domain.errors import DatasetError
from hilum.domain.policy import Conflict, LabelPolicy, Uncertain
from hilum.inspection.inspect import InspectionRequest, inspect_dataset
from hilum.inspection.problems import problems_of

TABLE = "Data_Entry_2017_v2020.csv"


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    return reader("nih").write_example(tmp_path / "nih")


def problem(found: DatasetInspection, code: ProblemCode) -> Problem:
    (one,) = [problem for problem in found.problems if problem.code is code]
    return one


def codes(found: DatasetInspection) -> set[ProblemCode]:
    return {problem.code for problem in found.problems}


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> DatasetInspection:
    root = reader("nih").write_example(tmp_path_factory.mktemp("sound") / "nih")
    return inspect_dataset(InspectionRequest(root, films=False))


def test_films_without_rows_are_an_error_unless_allowed(nih: Path) -> None:
    edit(nih / TABLE, lambda text: "".join(text.splitlines(keepends=True)[:3]))
    for allowed, level in ((False, Severity.ERROR), (True, Severity.WARNING)):
        found = inspect_dataset(InspectionRequest(nih, allow_unlabelled=allowed))
        one = problem(found, ProblemCode.UNLABELLED_FILMS)
        assert (one.level, one.count) == (level, 5)
        assert "images_001/images/00000002_000.png" in one.message


def test_films_left_out_are_not_films_without_rows(nih: Path) -> None:
    excluded = frozenset({"00000001_000.png"})
    found = inspect_dataset(InspectionRequest(nih, excluded=excluded))
    assert ProblemCode.UNLABELLED_FILMS not in codes(found)
    assert found.listed == 7


def test_pictures_beside_the_dataset_are_no_films_of_it(nih: Path) -> None:
    (nih / "results").mkdir()
    shutil.copy(next(nih.glob("images_001/images/*.png")), nih / "results" / "figure.png")
    assert ProblemCode.UNLABELLED_FILMS not in codes(inspect_dataset(InspectionRequest(nih)))


def test_absent_films_are_a_warning_with_their_count(nih: Path) -> None:
    one = problem(inspect_dataset(InspectionRequest(nih)), ProblemCode.ABSENT_FILMS)
    assert (one.level, one.count) == (Severity.WARNING, 1)
    for folder in nih.glob("images_*"):
        shutil.rmtree(folder)
    found = inspect_dataset(InspectionRequest(nih))
    assert problem(found, ProblemCode.ABSENT_FILMS).count == 8
    assert (found.used, found.films.asked) == (8, 0)


def test_a_damaged_film_is_an_error_with_its_reason(nih: Path) -> None:
    film = nih / "images_001" / "images" / "00000001_000.png"
    film.write_bytes(film.read_bytes()[:100])
    found = inspect_dataset(InspectionRequest(nih))
    one = problem(found, ProblemCode.UNREADABLE)
    assert (one.level, one.count) == (Severity.ERROR, 1)
    assert found.films.unreadable == {"DECODE_TRUNCATED": 1}
    assert found.films.unreadable_first[0].image_id == film.name
    assert not found.sound


def test_a_patient_on_both_sides_is_an_error(nih: Path) -> None:
    name = "00000006_001.png"
    edit(nih / "test_list.txt", lambda text: text.replace(f"{name}\n", ""))
    edit(nih / "train_val_list.txt", lambda text: f"{text}{name}\n")
    found = inspect_dataset(InspectionRequest(nih, films=False))
    one = problem(found, ProblemCode.PATIENT_LEAK)
    assert (one.level, one.count) == (Severity.ERROR, 1)
    assert "patients must not cross splits" in one.message
    assert found.split.groups == {}


def test_a_label_nobody_knows_and_two_labelings_of_a_film_are_refused(nih: Path) -> None:
    whole = (nih / TABLE).read_text()
    edit(nih / TABLE, lambda text: text.replace("Mass", "Pneumonai"))
    with pytest.raises(DatasetError, match=r"row 6.*Pneumonai.*Did you mean 'Pneumonia'"):
        inspect_dataset(InspectionRequest(nih))
    row = whole.splitlines()[1]
    (nih / TABLE).write_text(f"{whole}{row.replace('Cardiomegaly', 'Mass')}\n")
    with pytest.raises(DatasetError, match="listed before with other labels"):
        inspect_dataset(InspectionRequest(nih))


def test_impossible_ages_are_a_warning(sound: DatasetInspection) -> None:
    one = problem(sound, ProblemCode.IMPOSSIBLE_AGE)
    assert (one.level, one.count) == (Severity.WARNING, 1)


def test_a_split_without_films_is_an_error(nih: Path) -> None:
    edit(nih / TABLE, lambda text: "".join(text.splitlines(keepends=True)[:3]))
    found = inspect_dataset(InspectionRequest(nih, films=False))
    empty = [p for p in found.problems if p.code is ProblemCode.EMPTY_SPLIT]
    assert all(p.level is Severity.ERROR for p in empty)
    assert len(empty) == sum(not group.used for group in found.split.groups.values()) == 3


def test_a_finding_of_one_class_is_an_error_in_train_and_a_warning_in_test(
    sound: DatasetInspection,
) -> None:
    found = [p for p in sound.problems if p.code is ProblemCode.ONE_CLASS]
    levels = {p.message.split()[0]: p.level for p in found}
    assert levels["train"] is Severity.ERROR
    assert levels["test"] is Severity.WARNING
    assert any("Hernia" in p.message or "…" in p.message for p in found)


def test_uncertain_labels_need_a_policy(tmp_path: Path) -> None:
    root = reader("chexpert").write_example(tmp_path)
    found = inspect_dataset(InspectionRequest(root, films=False))
    one = problem(found, ProblemCode.UNCERTAIN_POLICY_MISSING)
    assert (one.level, one.count) == (Severity.ERROR, found.labels.undecided)
    for uncertain in Uncertain:
        policy = LabelPolicy(uncertain=uncertain)
        decided = inspect_dataset(InspectionRequest(root, films=False, policy=policy))
        assert ProblemCode.UNCERTAIN_POLICY_MISSING not in codes(decided)
        assert decided.labels.undecided == 0


def test_the_policy_moves_labels_and_the_listed_ones_stay(tmp_path: Path) -> None:
    root = reader("chexpert").write_example(tmp_path)
    plain = inspect_dataset(InspectionRequest(root, films=False))
    policy = LabelPolicy(uncertain=Uncertain.POSITIVE, label_set="CheXpert-5")
    found = inspect_dataset(InspectionRequest(root, films=False, policy=policy))
    assert list(found.labels.findings) == [
        *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion"),
    ]
    for name, finding in found.labels.findings.items():
        assert finding.listed == plain.labels.findings[name].listed
        assert finding.used.uncertain == 0
    assert found.policy_notes


@pytest.mark.parametrize(
    ("treated", "level"),
    [
        (Conflict.DROP, Severity.WARNING),
        (Conflict.TRUST_FINDINGS, Severity.WARNING),
        (Conflict.KEEP, Severity.ERROR),
    ],
)
def test_a_contradiction_that_stays_is_an_error(
    sound: DatasetInspection, treated: Conflict, level: Severity
) -> None:
    clash = NoFinding(conflicts=3, with_support_devices=8)
    labels = sound.labels.model_copy(update={"no_finding": clash})
    policy = LabelPolicy(no_finding=treated)
    spoilt = sound.model_copy(update={"labels": labels, "policy": policy})
    (one,) = [p for p in problems_of(spoilt, False) if p.code is ProblemCode.NO_FINDING_CONFLICT]
    assert (one.level, one.count) == (level, 3)


def test_patients_that_nothing_names_are_a_warning(tmp_path: Path) -> None:
    root = reader("vindr").write_example(tmp_path)
    found = inspect_dataset(InspectionRequest(root, films=False))
    one = problem(found, ProblemCode.PATIENT_UNKNOWN)
    assert (one.level, one.count) == (Severity.WARNING, found.listed)


def test_errors_come_first(sound: DatasetInspection) -> None:
    levels = [p.level for p in sound.problems]
    assert levels == sorted(levels, key=[Severity.ERROR, Severity.WARNING].index)
