"""VinBigData: votes from rows, and sizes from headers or from the table of sizes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hilum.datasets import open_dataset, vinbigdata
from hilum.domain.errors import DatasetError
from hilum.domain.findings import NO_FINDING, LabelState, label_set
from hilum.domain.record import Box, Cohort

FILMS = [f"9d32{number:028x}" for number in range(3)]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return vinbigdata.write_example(tmp_path)


def positives(cohort: Cohort, states: tuple[LabelState, ...]) -> set[str]:
    return {
        name
        for name, state in zip(cohort.labels, states, strict=True)
        if state is LabelState.POSITIVE
    }


def edit(table: Path, old: str, new: str) -> None:
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new, 1), "utf-8")


def test_the_example_is_read_whole(example: Path) -> None:
    cohort = vinbigdata.read(example)
    first = cohort.records[0]
    assert cohort.labels == label_set("VinBigData-15")
    assert cohort.image_ids() == FILMS
    assert [vote.reader for vote in first.votes] == ["R8", "R9", "R10"]
    said = [positives(cohort, vote.states) for vote in first.votes]
    assert said == [{"Cardiomegaly"}, {"Cardiomegaly", "Effusion"}, {NO_FINDING}]
    assert positives(cohort, first.states) == {"Cardiomegaly"}
    assert [positives(cohort, record.states) for record in cohort.records[1:]] == [{NO_FINDING}] * 2
    assert first.boxes == (
        Box("Cardiomegaly", 0.25, 0.5, 0.5, 0.375),
        Box("Cardiomegaly", 0.25, 30 / 64, 34 / 64, 26 / 64),
        Box("Effusion", 2.5 / 64, 0.625, 9.5 / 64, 0.3125),
    )
    assert cohort.official_test is None
    assert cohort.notes == (
        "labels are from train.csv",
        "no patient column: each film is taken as its own patient, so intervals are by film",
        "train.csv: 'No finding' is read as No Finding",
        "train.csv: 'Pleural effusion' is read as Effusion",
        "films here: 2 of 3; the rest is known by label only",
    )


def test_the_table_of_sizes_serves_films_that_were_converted(example: Path) -> None:
    film = example / "train" / f"{FILMS[0]}.dicom"
    film.rename(film.with_suffix(".png"))
    assert vinbigdata.read(example).records[0].boxes == ()
    sizes = example / "train_meta.csv"
    sizes.write_text(f"image_id,dim0,dim1\n{FILMS[0]},128,64\n", "utf-8")  # 128 rows, 64 columns
    first = vinbigdata.read(example).records[0]
    assert first.path == film.with_suffix(".png")
    assert first.boxes[0] == Box("Cardiomegaly", 0.25, 0.25, 0.5, 0.1875)
    sizes.write_text(f"image_id,dim0,dim1\n{FILMS[0]},0,64\n", "utf-8")
    with pytest.raises(DatasetError, match=r"train_meta\.csv row 2: dim0 and dim1 must be"):
        vinbigdata.read(example)


def test_a_table_of_that_name_of_another_dataset_is_not_taken(example: Path) -> None:
    assert vinbigdata.recognize(example)
    assert vinbigdata.recognize(example / "train.csv")
    (example / "train.csv").write_text("Path,Sex,Age\n", "utf-8")
    assert not vinbigdata.recognize(example)


def test_rows_in_another_order_give_the_same_labels(example: Path) -> None:
    before = vinbigdata.read(example)
    table = example / "train.csv"
    header, *rows = table.read_text("utf-8").splitlines()
    table.write_text("\n".join([header, *reversed(rows)]) + "\n", "utf-8")
    assert open_dataset(table).sha256() == before.sha256()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Pleural effusion", "Pleural efusion", "row 4: no finding 'Pleural efusion'"),
        ("R10,,,,", "R8,,,,", "row 5: 'No Finding' must stand alone; R8 also lists Cardiomegaly"),
        (",R8,16", ",,16", "row 2: image_id and rad_id must both be given"),
        ("16,32,48,56", "48,32,16,56", "row 2: a box must have an area"),
    ],
)
def test_a_row_that_cannot_be_is_refused(example: Path, old: str, new: str, message: str) -> None:
    edit(example / "train.csv", old, new)
    with pytest.raises(DatasetError, match=re.escape(message)):
        vinbigdata.read(example)


def test_a_folder_without_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"must have train\.csv"):
        vinbigdata.read(tmp_path)
