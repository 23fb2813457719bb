"""VinDr-CXR: readers and consensus, and boxes that need their film's size."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
import pytest

from hilum.datasets import open_dataset, vindr
from hilum.domain.errors import DatasetError, LeakError
from hilum.domain.findings import NO_FINDING, LabelState, label_set
from hilum.domain.policy import LabelPolicy, Uncertain, Votes, settle
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Box, Cohort, Record

POSITIVE = LabelState.POSITIVE
FILMS = [f"5f0c{number:028x}" for number in range(5)]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return vindr.write_example(tmp_path)


def positives(cohort: Cohort, states: tuple[LabelState, ...]) -> set[str]:
    return {name for name, state in zip(cohort.labels, states, strict=True) if state is POSITIVE}


def by_name(cohort: Cohort) -> dict[str, Record]:
    return {record.image_id: record for record in cohort.records}


def edit(table: Path, old: str, new: str) -> None:
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new, 1), "utf-8")


def test_the_example_is_read_whole(example: Path) -> None:
    cohort = vindr.read(example)
    first = cohort.records[0]
    assert cohort.labels == label_set("VinDr-28")
    assert cohort.image_ids() == FILMS
    assert (first.patient_id, first.view) == (FILMS[0], ViewPosition.PA)
    assert first.path == example / "train" / f"{FILMS[0]}.dicom"
    assert cohort.official_test == set(FILMS[3:])
    assert cohort.notes == (
        "labels are from image_labels_train.csv, image_labels_test.csv",
        "no patient column: each film is taken as its own patient, so intervals are by film",
        *(
            f"image_labels_{part}.csv: '{word}' is read as {finding}"
            for part in ("train", "test")
            for word, finding in (
                ("No finding", NO_FINDING),
                *([("Other disease", "Other diseases")] if part == "test" else []),
                ("Pleural effusion", "Effusion"),
                ("Pleural thickening", "Pleural_Thickening"),
                ("Pulmonary fibrosis", "Fibrosis"),
            )
        ),
        "films here: 4 of 5; the rest is known by label only",
    )


def test_three_readers_vote_and_the_majority_is_the_label(example: Path) -> None:
    cohort = vindr.read(example)
    first = cohort.records[0]
    assert [vote.reader for vote in first.votes] == ["R8", "R9", "R10"]
    said = [positives(cohort, vote.states) for vote in first.votes]
    assert said == [{"Cardiomegaly"}, {"Cardiomegaly", "ILD"}, {NO_FINDING}]
    assert positives(cohort, first.states) == {"Cardiomegaly"}


def test_other_policies_take_other_labels_of_the_votes(example: Path) -> None:
    cohort = vindr.read(example)
    policy = LabelPolicy(uncertain=Uncertain.IGNORE, votes=Votes.UNANIMOUS)
    first = settle(cohort, policy).records[0]
    unsure = {
        name
        for name, state in zip(cohort.labels, first.states, strict=True)
        if state is LabelState.UNCERTAIN
    }
    assert unsure == {"Cardiomegaly", "ILD", NO_FINDING}


def test_the_consensus_has_no_votes_and_its_other_disease_is_the_same_label(example: Path) -> None:
    cohort = vindr.read(example)
    tested = by_name(cohort)[FILMS[3]]
    assert tested.votes == ()
    assert positives(cohort, tested.states) == {"Effusion", "Other diseases"}


def test_boxes_are_fractions_of_the_film_by_its_header(example: Path) -> None:
    found = by_name(vindr.read(example))
    assert found[FILMS[0]].boxes == (
        Box("Cardiomegaly", 0.25, 0.5, 0.5, 0.375),
        Box("ILD", 8.5 / 64, 0.125, 15.5 / 64, 0.5),
    )
    assert found[FILMS[3]].boxes == (Box("Effusion", 0.0625, 0.625, 0.25, 0.3125),)


def test_columns_and_rows_of_the_film_are_not_mixed_up(example: Path) -> None:
    film = example / "train" / f"{FILMS[0]}.dicom"
    header = pydicom.dcmread(film)
    header.Columns, header.Rows = 128, 32
    header.save_as(film)
    edit(example / "annotations/annotations_train.csv", "16,32,48,56", "64,8,128,16")
    assert by_name(vindr.read(example))[FILMS[0]].boxes[0] == Box(
        "Cardiomegaly", 0.5, 0.25, 0.5, 0.25
    )


@pytest.mark.parametrize("broken", [None, b"", b"not DICOM", b"\0" * 128 + b"DICM"])
def test_boxes_of_a_film_without_a_size_are_left_out_and_counted(
    example: Path, broken: bytes | None
) -> None:
    film = example / "train" / f"{FILMS[0]}.dicom"
    film.unlink()
    if broken is not None:
        film.write_bytes(broken)
    cohort = vindr.read(example)
    assert cohort.records[0].boxes == ()
    assert "boxes left out, as the size of their film is not known here: 2" in cohort.notes


def test_a_converted_film_counts_as_the_film_but_has_no_size(example: Path) -> None:
    film = example / "train" / f"{FILMS[0]}.dicom"
    film.rename(film.with_suffix(".png"))
    cohort = vindr.read(example)
    assert cohort.records[0].path == film.with_suffix(".png")
    assert cohort.records[0].boxes == ()


def test_a_box_that_leaves_its_film_is_cut_at_the_edge(example: Path) -> None:
    edit(example / "annotations/annotations_train.csv", "16,32,48,56", "16,32,65,64.5")
    cohort = vindr.read(example)
    assert cohort.records[0].boxes[0] == Box("Cardiomegaly", 0.25, 0.5, 0.75, 0.5)
    assert "boxes that leave their film, cut at its edge: 1" in cohort.notes


@pytest.mark.parametrize(
    "sides",
    ["48,32,16,56", "16,32,16,56", "64,0,70,9", "-1,0,9,9", "nan,0,9,9", "x,0,9,9", ",0,9,9"],
)
def test_a_box_without_an_area_on_its_film_is_refused(example: Path, sides: str) -> None:
    edit(example / "annotations/annotations_train.csv", "16,32,48,56", sides)
    with pytest.raises(DatasetError, match=r"annotations_train\.csv row 2: "):
        vindr.read(example)


def test_boxes_of_a_film_without_labels_are_left_out_and_counted(example: Path) -> None:
    edit(example / "annotations/annotations_test.csv", FILMS[3], FILMS[0])
    cohort = vindr.read(example)
    assert by_name(cohort)[FILMS[3]].boxes == ()
    assert "films with boxes but without labels, left out: 1" in cohort.notes


def test_an_unknown_finding_among_the_boxes_has_its_nearest_named(example: Path) -> None:
    edit(example / "annotations/annotations_train.csv", "Cardiomegaly", "Cardiomegali")
    with pytest.raises(DatasetError, match=r"row 2: .*VinDr-28\. Did you mean 'Cardiomegaly'"):
        vindr.read(example)


def test_one_table_gives_its_own_films(example: Path) -> None:
    annotations = example / "annotations"
    test = open_dataset(annotations / "image_labels_test.csv")
    train = open_dataset(annotations / "image_labels_train.csv")
    assert test.official_test == set(test.image_ids()) == set(FILMS[3:])
    assert (train.image_ids(), train.official_test) == (FILMS[:3], None)
    assert "there is no image_labels_test.csv: no official test set" in train.notes
    assert {r.path for r in (*train.records, *test.records)} == {
        record.path for record in vindr.read(example).records
    }


def test_tables_may_stand_beside_the_films(example: Path) -> None:
    before = vindr.read(example)
    for table in (example / "annotations").iterdir():
        table.rename(example / table.name)
    (example / "annotations").rmdir()
    assert vindr.read(example) == before


def test_columns_in_another_order_read_the_same(example: Path) -> None:
    before = vindr.read(example)
    table = example / "annotations/image_labels_train.csv"
    rows = [line.split(",") for line in table.read_text("utf-8").splitlines()]
    table.write_text("".join(f"{','.join(reversed(row))}\n" for row in rows), "utf-8")
    assert vindr.read(example) == before


def test_a_film_in_both_tables_is_a_leak(example: Path) -> None:
    edit(example / "annotations/image_labels_test.csv", FILMS[3], FILMS[0])
    with pytest.raises(LeakError, match=f"in both tables: 1 .{FILMS[0]}"):
        vindr.read(example)


def test_a_reader_has_one_opinion_of_a_film(example: Path) -> None:
    table = example / "annotations/image_labels_train.csv"
    rows = table.read_text("utf-8").splitlines()
    table.write_text("\n".join([*rows, rows[1]]) + "\n", "utf-8")
    cohort = vindr.read(example)
    assert len(cohort.records[0].votes) == 3
    assert "rows that repeat a film with the same labels, left out: 1" in cohort.notes
    table.write_text("\n".join([*rows, rows[2].replace(",R9,", ",R8,")]) + "\n", "utf-8")
    with pytest.raises(DatasetError, match=r"row 11: R8 has other labels for film 5f0c"):
        vindr.read(example)


def test_films_without_their_three_readers_are_counted(example: Path) -> None:
    table = example / "annotations/image_labels_train.csv"
    rows = table.read_text("utf-8").splitlines()
    table.write_text("\n".join(rows[:3]) + "\n", "utf-8")
    cohort = vindr.read(example)
    assert "films that not exactly 3 readers read: 1" in cohort.notes
    assert positives(cohort, cohort.records[0].states) == {"Cardiomegaly"}  # 2 of 2; ILD 1 of 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"{FILMS[0]},R8,0", f"{FILMS[0]},R8,2", "row 2: a label must be 1 (positive), 0"),
        (f"{FILMS[0]},R8,0", f"{FILMS[0]},R8,yes", "got 'yes'"),
        (f"{FILMS[0]},R8,0", f"{FILMS[0]},,0", "row 2: image_id and rad_id must be given"),
        (f"{FILMS[0]},R8,0", ",R8,0", "row 2: image_id and rad_id must be given"),
        ("Atelectasis", "Atelektasis", "it lacks Atelectasis"),
    ],
)
def test_a_row_that_cannot_be_is_refused(example: Path, old: str, new: str, message: str) -> None:
    edit(example / "annotations/image_labels_train.csv", old, new)
    with pytest.raises(DatasetError, match=re.escape(message)):
        vindr.read(example)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="must have annotations/image_labels_train"):
        vindr.read(tmp_path)
