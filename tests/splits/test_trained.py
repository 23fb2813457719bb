"""What a model was trained on, as a list, a split table or a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.domain.errors import DatasetError, LeakError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record, Split
from hilum.splits import (
    Place,
    SeenPatients,
    SplitTable,
    TrainingFilms,
    overlap_of,
    read_training_films,
)

COHORT = Cohort(
    "made",
    LabelSet("one", ("Mass",)),
    tuple(
        Record(image_id=f"{patient}_{film}.png", patient_id=patient, states=(LabelState(0),))
        for patient in "abc"
        for film in range(2)
    ),
)


@pytest.mark.parametrize(
    "text",
    [
        "a_0.png\nb_1.png\n",
        "\ufeffa_0.png\r\n\r\nb_1.png\r\n",
        "a_0.png 0 0 1\nb_1.png 1 0 0\n",
        "images/a_0.png,0\nimages/b_1.png,1\n",
    ],
)
def test_a_list_names_films_a_line_each(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train_list.txt"
    path.write_text(text, "utf-8", newline="")
    assert read_training_films(path, COHORT) == TrainingFilms(
        "train_list.txt", frozenset({"a_0.png", "b_1.png"}), frozenset("ab"), 0
    )


def test_films_that_the_labels_do_not_have_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "train_list.txt"
    path.write_text("a_0.png\nz_0.png\n")
    found = read_training_films(path, COHORT)
    assert (found.unknown, found.patients, len(found.films)) == (1, frozenset("a"), 2)


def test_of_a_split_table_all_but_test_counts_also_through_its_run(tmp_path: Path) -> None:
    films = {"a_0.png": Place("a", Split.TRAIN), "b_0.png": Place("b", Split.CALIBRATE)}
    films["c_0.png"] = Place("c", Split.TEST)
    path = SplitTable("mine", films).write(tmp_path / "split.csv")
    found = read_training_films(path, COHORT)
    assert found.source == "train and calibrate of split.csv"
    assert found.films == {"a_0.png", "b_0.png"}
    assert found.patients == frozenset("ab")
    assert read_training_films(tmp_path, COHORT) == found


def test_a_bundle_knows_its_patients_but_not_its_films(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    SeenPatients.of("made", ["a", "z"]).write(bundle / "seen_patients.txt")
    assert read_training_films(bundle, COHORT) == TrainingFilms(
        "2 patients that bundle has seen", frozenset(), frozenset("a"), 0
    )


def test_a_run_has_seen_the_patients_of_its_first_weights_too(tmp_path: Path) -> None:
    SplitTable("mine", {"a_0.png": Place("a", Split.TRAIN)}).write(tmp_path / "split.csv")
    SeenPatients.of("made", ["a", "b", "z"]).write(tmp_path / "seen_patients.txt")
    assert read_training_films(tmp_path, COHORT).patients == frozenset("ab")


def test_a_list_may_spell_films_by_other_folders_and_suffixes(tmp_path: Path) -> None:
    names = ("train/p1/s1/view1_frontal.jpg", "train/p2/s1/view1_frontal.jpg")
    records = tuple(Record(name, f"p{i}", (LabelState(0),)) for i, name in enumerate(names))
    path = tmp_path / "list.txt"
    path.write_text("CheXpert-v1.0-small/train/p2/s1/view1_frontal.jpg\n")
    cohort = Cohort("made", LabelSet("one", ("Mass",)), records)
    assert read_training_films(path, cohort).patients == frozenset({"p1"})


def test_what_is_no_training_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        read_training_films(tmp_path / "none.txt", COHORT)
    with pytest.raises(UsageError, match=r"there is no .*split\.csv"):
        read_training_films(tmp_path, COHORT)
    path = tmp_path / "list.txt"
    path.write_text("x\ny\n")
    with pytest.raises(DatasetError, match="the labels have none of its 2 lines, first: x, y"):
        read_training_films(path, COHORT)
    SplitTable("mine", {"a": Place("a", Split.TEST)}).write(path)
    with pytest.raises(DatasetError, match="all are for test"):
        read_training_films(path, COHORT)
    path.write_text("image_id,patient_id,split\na,1,train\nb,1,test\n")
    with pytest.raises(LeakError, match="in both train and test"):
        read_training_films(path, COHORT)


def test_an_overlap_counts_films_and_patients() -> None:
    found = overlap_of("ab", ["a", "a", "c"])
    assert (found.leaking_films, found.films) == (2, 3)
    assert (found.leaking_patients, found.patients) == (1, 2)
    assert found.first == ("a",)
    assert overlap_of("ab", []).sentence().startswith("0 of 0 evaluation films")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_list_is_read_as_every_list_is(tmp_path: Path, encoding: str, separator: str) -> None:
    """Excel's "Unicode text" and semicolons too, with the patient beside the film."""
    path = tmp_path / "seen.csv"
    lines = [separator.join(row) for row in (("Image-ID", "Patient ID"), ("x.png", "p9"))]
    path.write_bytes("\r\n".join(lines).encode(encoding))
    found = read_training_films(path, COHORT)
    assert found.films == frozenset({"x.png"})
    assert ("made", "p9") in found.ids
