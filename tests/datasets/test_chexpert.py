"""CheXpert: its layouts and its traps on small tables."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.datasets import chexpert, open_dataset
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelState, label_set
from hilum.domain.policy import Blank, LabelPolicy, Uncertain, settle
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record

LABELS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
    "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
    "Support Devices"
)
HEADER = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{LABELS}"
FILM = "train/patient00001/study1/view1_frontal.jpg"
SEX_TO_PA = "Male,57,Frontal,PA"
BLANK = "," * 13
CELLS = {"1.0": 1, "1": 1, "0.0": 0, "0": 0, "-1.0": -1, "-1": -1, "": -2}

Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    def write(*rows: str, name: str = "train.csv", header: str = HEADER) -> Path:
        lines = [header, *(f"CheXpert-v1.0-small/{row}" for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", "utf-8")
        return tmp_path

    return write


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return chexpert.write_example(tmp_path)


def by_name(cohort: Cohort) -> dict[str, Record]:
    return {record.image_id: record for record in cohort.records}


def known(record: Record) -> dict[str, LabelState]:
    pairs = zip(label_set("CheXpert-14"), record.states, strict=True)
    return {name: state for name, state in pairs if state is not LabelState.UNLABELLED}


def test_the_example_is_read_whole(example: Path) -> None:
    cohort = open_dataset(example)
    first = cohort.records[0]
    assert first.image_id == FILM
    assert (first.patient_id, first.study_id) == ("patient00001", "patient00001/study1")
    assert (first.sex, first.age_years, first.view) == (Sex.FEMALE, 68.0, ViewPosition.AP)
    assert first.path == example / "CheXpert-v1.0-small" / FILM
    assert known(first) == {
        "No Finding": LabelState.POSITIVE,
        "Pneumothorax": LabelState.NEGATIVE,
        "Support Devices": LabelState.POSITIVE,
    }
    assert cohort.notes == (
        "labels are from CheXpert-v1.0-small/train.csv, CheXpert-v1.0-small/valid.csv, "
        "CheXpert-v1.0-small/test_labels.csv",
        "CheXpert: 'Pleural Effusion' is read as Effusion",
        "films whose age cannot be, taken as unknown: 1",
        "frontal films whose direction is neither AP nor PA, read as frontal: 1",
        "films here: 7 of 8; the rest is known by label only",
    )


def test_uncertain_and_blank_are_neither_positive_nor_negative(example: Path) -> None:
    film = by_name(open_dataset(example))["train/patient00002/study1/view1_frontal.jpg"]
    assert known(film) == {
        "Lung Opacity": LabelState.POSITIVE,
        "Consolidation": LabelState.UNCERTAIN,
        "Fracture": LabelState.POSITIVE,
    }


def test_what_uncertain_counts_as_must_be_said_and_lateral_films_are_left_out(
    example: Path,
) -> None:
    cohort = open_dataset(example)
    with pytest.raises(UsageError, match="what they count as must be set"):
        settle(cohort, LabelPolicy())
    settled = settle(cohort, LabelPolicy(uncertain=Uncertain.POSITIVE, blank=Blank.NEGATIVE))
    assert len(settled) == len(cohort) - 1
    assert set(np.unique(settled.states())) == {0, 1}
    assert "films left out as not frontal, policy views=frontal: 1" in settled.notes


def test_support_devices_do_not_contradict_no_finding(example: Path) -> None:
    settled = settle(open_dataset(example), LabelPolicy(uncertain=Uncertain.IGNORE))
    assert FILM in settled.image_ids()


def test_test_films_are_official_test_and_valid_films_then_official_tune(example: Path) -> None:
    top = example / "CheXpert-v1.0-small"
    valid = {f"valid/patient{n}/study1/view1_frontal.jpg" for n in (64541, 64542)}
    cohort = open_dataset(example)
    assert cohort.official_test == {"test/patient64741/study1/view1_frontal.jpg"}
    assert cohort.official_tune == valid
    (top / "test_labels.csv").unlink()
    cohort = open_dataset(example)
    assert (cohort.official_test, cohort.official_tune) == (valid, None)
    assert cohort.notes[-1] == "there is no test table: valid is the official test set"
    (top / "valid.csv").unlink()
    cohort = open_dataset(example)
    assert (cohort.official_test, cohort.official_tune) == (None, None)
    assert cohort.notes[-1] == "there is no test table: no official test set"


def test_a_test_table_says_labels_only_and_the_name_tells_the_view(example: Path) -> None:
    film = by_name(open_dataset(example))["test/patient64741/study1/view1_frontal.jpg"]
    assert (film.view, film.sex, film.age_years) == (ViewPosition.FRONTAL, Sex.UNKNOWN, None)
    assert LabelState.UNLABELLED not in film.states


@pytest.mark.parametrize("folder", [".", "CheXpert-v1.0", "CheXpert-v1.0-small", "raw"])
def test_paths_are_relocated_to_where_the_folder_is(
    example: Path, tmp_path: Path, folder: str
) -> None:
    before = open_dataset(example)
    place = tmp_path / "moved"
    shutil.copytree(example / "CheXpert-v1.0-small", place / folder)
    cohort = open_dataset(place)
    assert cohort.sha256() == before.sha256()
    for record in cohort.records:
        here = place / folder / record.image_id
        assert record.path == (here if here.is_file() else None)
    assert sum(record.path is not None for record in cohort.records) == 7


def test_tables_may_stand_beside_the_folder_of_the_films(example: Path) -> None:
    for name in ("train.csv", "valid.csv", "test_labels.csv"):
        shutil.move(example / "CheXpert-v1.0-small" / name, example / name)
    assert sum(record.path is not None for record in open_dataset(example).records) == 7


def test_the_full_size_download_has_train_in_batches(example: Path) -> None:
    small = example / "CheXpert-v1.0-small"
    first = example / "CheXpert-v1.0 batch 1 (validate & csv)"
    shutil.move(small / "train", example / "CheXpert-v1.0 batch 2 (train 1)")
    shutil.move(small, first)
    cohort = open_dataset(example)
    batch = example / "CheXpert-v1.0 batch 2 (train 1)"
    assert by_name(cohort)[FILM].path == batch / FILM.removeprefix("train/")
    assert sum(record.path is not None for record in cohort.records) == 7


def test_one_table_opens_by_itself_whatever_its_name(example: Path, tmp_path: Path) -> None:
    top = example / "CheXpert-v1.0-small"
    valid = open_dataset(top / "valid.csv")
    assert len(valid) == len(valid.official_test or ()) == 2
    assert all(record.path is not None for record in valid.records)
    other = tmp_path / "elsewhere" / "mine.csv"
    other.parent.mkdir()
    shutil.copy(top / "train.csv", other)
    assert open_dataset(other).dataset == "chexpert"


def test_a_train_csv_of_another_dataset_is_not_chexpert(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image_id,class_name,class_id,rad_id\n")
    assert not chexpert.recognize(tmp_path)
    with pytest.raises(DatasetError, match=r"CheXpert must have train\.csv.*none is in"):
        chexpert.read(tmp_path)


@pytest.mark.parametrize(
    ("plane", "direction", "view"),
    [
        ("Frontal", "AP", ViewPosition.AP),
        ("Frontal", "PA", ViewPosition.PA),
        ("Frontal", "LL", ViewPosition.FRONTAL),
        ("Frontal", "RL", ViewPosition.FRONTAL),
        ("Frontal", "", ViewPosition.FRONTAL),
        ("Lateral", "", ViewPosition.LL),
    ],
)
def test_views_are_of_plane_and_direction(
    table: Table, plane: str, direction: str, view: ViewPosition
) -> None:
    (record,) = open_dataset(table(f"{FILM},Male,57,{plane},{direction},{BLANK}")).records
    assert record.view is view


@pytest.mark.parametrize(("age", "years"), [("0", None), ("90", 90.0), ("", None), ("413", None)])
def test_an_age_that_cannot_be_is_unknown(table: Table, age: str, years: float | None) -> None:
    cohort = open_dataset(table(f"{FILM},Unknown,{age},Frontal,PA,{BLANK}"))
    assert (cohort.records[0].age_years, cohort.records[0].sex) == (years, Sex.UNKNOWN)
    told = "films whose age cannot be, taken as unknown: 1" in cohort.notes
    assert told == (age in ("0", "413"))


@pytest.mark.parametrize("value", ["2", "yes", "NaN", "nan", "0.5", "-2"])
def test_a_label_that_cannot_be_is_refused_with_its_row(table: Table, value: str) -> None:
    other = FILM.replace("view1", "view2")
    root = table(f"{FILM},{SEX_TO_PA},{BLANK}", f"{other},{SEX_TO_PA},{BLANK}{value}")
    with pytest.raises(DatasetError, match=re.escape("train.csv row 3: a label must be 1")):
        open_dataset(root)


@pytest.mark.parametrize("path", ["patient00001/study1/view1_frontal.jpg", "a.jpg", "", "../x"])
def test_a_path_that_is_not_chexpert_s_is_refused_with_its_row(table: Table, path: str) -> None:
    with pytest.raises(DatasetError, match=r"train\.csv row 2: Path must end like train/patient"):
        open_dataset(table(f"{path},{SEX_TO_PA},{BLANK}"))


def test_an_absent_finding_column_is_named(table: Table) -> None:
    with pytest.raises(DatasetError, match="it lacks Edema"):
        open_dataset(table(header=HEADER.replace(",Edema", "")))


def test_a_film_listed_twice_counts_once_unless_the_rows_disagree(table: Table) -> None:
    row = f"{FILM},{SEX_TO_PA},{BLANK}"
    cohort = open_dataset(table(row, row))
    assert len(cohort) == 1
    assert "rows that repeat a film with the same labels, left out: 1" in cohort.notes
    with pytest.raises(DatasetError, match=r"row 3: film train/.* is listed before"):
        open_dataset(table(row, f"{row}1.0"))


def test_a_byte_order_mark_and_crlf_are_read(table: Table) -> None:
    path = table(f"{FILM},{SEX_TO_PA},{BLANK}1.0") / "train.csv"
    before = open_dataset(path).sha256()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert open_dataset(path).sha256() == before


@settings(max_examples=25, deadline=None)
@given(
    cells=st.lists(st.lists(st.sampled_from(sorted(CELLS)), min_size=14, max_size=14), min_size=1),
    order=st.permutations(range(19)),
)
def test_states_are_those_written_whatever_the_order_of_columns(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], order: list[int]
) -> None:
    rows = [HEADER.split(",")]
    for number, row in enumerate(cells):
        rows.append([FILM.replace("study1", f"study{number}"), *SEX_TO_PA.split(","), *row])
    path = tmp_path_factory.mktemp("shuffled") / "train.csv"
    path.write_text("".join(",".join(row[i] for i in order) + "\n" for row in rows))
    expected = [[CELLS[cell] for cell in row] for row in cells]
    assert chexpert.read(path).states().tolist() == expected
