"""NIH ChestX-ray14: its traps on small tables, its published numbers on the real ones."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.datasets import nih, open_dataset
from hilum.domain.errors import DatasetError, LeakError
from hilum.domain.findings import LabelState, nih14
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Box, Cohort, Record

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
V2020 = "Data_Entry_2017_v2020.csv"
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
TAIL = "2048,2500,0.168,0.168"

# Wang et al. with the table of 2020
PUBLISHED = {
    "Atelectasis": 11_559,
    "Cardiomegaly": 2_776,
    "Effusion": 13_317,
    "Infiltration": 19_894,
    "Mass": 5_782,
    "Nodule": 6_331,
    "Pneumonia": 1_431,
    "Pneumothorax": 5_302,
    "Consolidation": 4_667,
    "Edema": 2_303,
    "Emphysema": 2_516,
    "Fibrosis": 1_686,
    "Pleural_Thickening": 3_385,
    "Hernia": 227,
}

Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    def write(*rows: str, name: str = V2020, header: str = HEADER) -> Path:
        lines = [header, *(f"{row},{TAIL}" for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", "utf-8")
        return tmp_path

    return write


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return nih.write_example(tmp_path)


def positives(record: Record) -> set[str]:
    return {
        name
        for name, state in zip(nih14(), record.states, strict=True)
        if state is LabelState.POSITIVE
    }


def by_name(cohort: Cohort) -> dict[str, Record]:
    return {record.image_id: record for record in cohort.records}


def test_the_example_is_read_whole(example: Path) -> None:
    cohort = nih.read(example)
    first, *_ = cohort.records
    assert positives(first) == {"Cardiomegaly", "Emphysema"}
    assert (first.patient_id, first.age_years, first.sex) == ("1", 57.0, Sex.MALE)
    assert (first.view, first.follow_up) == (ViewPosition.PA, 0)
    assert first.path == example / "images_001/images/00000001_000.png"
    assert cohort.official_test == {"00000006_000.png", "00000006_001.png", "00000007_000.png"}
    assert cohort.notes == (
        "labels are from Data_Entry_2017_v2020.csv",
        "BBox_List_2017.csv: 'Infiltrate' is read as Infiltration",
        "films whose age cannot be, taken as unknown: 1",
        "films here: 7 of 8; the rest is known by label only",
    )


def test_an_absent_finding_is_negative_and_nothing_is_unlabelled(example: Path) -> None:
    states = nih.read(example).states()
    assert set(np.unique(states)) == {LabelState.NEGATIVE, LabelState.POSITIVE}
    assert not states[1].any()


def test_boxes_become_fractions_of_the_film_under_the_finding_s_own_name(example: Path) -> None:
    assert by_name(nih.read(example))["00000002_000.png"].boxes == (
        Box("Infiltration", 0.5, 0.25, 0.125, 0.0625),
    )


@pytest.mark.parametrize("folder", ["images", "images/images", "images_007", "sample/images"])
def test_films_are_found_in_any_of_the_layouts(example: Path, folder: str) -> None:
    (example / folder).mkdir(parents=True, exist_ok=True)
    film = example / folder / "00000007_000.png"
    film.touch()
    assert by_name(nih.read(example))["00000007_000.png"].path == film


def test_a_film_without_a_row_is_named_in_a_note(example: Path) -> None:
    (example / "images").mkdir()
    (example / "images" / "99999999_000.png").touch()
    assert (
        "films here without a row in the table, left out: 1 (99999999_000.png)"
        in nih.read(example).notes
    )


def test_the_table_of_2020_is_preferred_and_the_old_one_is_read_with_its_extra_comma(
    table: Table,
) -> None:
    root = table("a.png,Pneumonia,0,1,60,F,PA", name="Data_Entry_2017.csv", header=f"{HEADER},")
    assert nih.read(root).notes[0] == "labels are from Data_Entry_2017.csv"
    table("a.png,Mass,0,1,60,F,PA")
    cohort = nih.read(root)
    assert cohort.notes[0] == f"labels are from {V2020}"
    assert positives(cohort.records[0]) == {"Mass"}


def test_the_sample_of_kaggle_has_the_same_patients(table: Table) -> None:
    header = HEADER.replace("[Width,Height]", "Width,OriginalImageHeight").replace("[x,y]", "_x,_y")
    root = table(
        "00000013_005.png,Emphysema,005,00000013,060Y,M,AP", name="sample_labels.csv", header=header
    )
    (record,) = open_dataset(root).records
    assert (record.patient_id, record.age_years, record.follow_up) == ("13", 60.0, 5)


def test_columns_in_another_order_read_the_same(table: Table) -> None:
    values = ["a.png", "Mass|Edema", "3", "12", "60", "F", "AP"]
    row = dict(zip(HEADER.split(",")[:7], values, strict=True))
    root = table(",".join(row.values()))
    before = nih.read(root).sha256()
    names = sorted(row)
    table(",".join(row[name] for name in names), header=",".join(names))
    assert nih.read(root).sha256() == before


def test_unknown_values_of_view_and_sex_stay_unknown(table: Table) -> None:
    (record,) = nih.read(table("a.png,Mass,,1,,X,STANDING")).records
    assert (record.view, record.sex) == (ViewPosition.UNKNOWN, Sex.UNKNOWN)
    assert (record.age_years, record.follow_up) == (None, None)


@pytest.mark.parametrize("age", ["0", "148", "413", "old"])
def test_ages_that_cannot_be_are_unknown_and_counted(table: Table, age: str) -> None:
    cohort = nih.read(table(f"a.png,Mass,0,1,{age},F,PA", "b.png,Mass,0,1,95,F,PA"))
    assert [record.age_years for record in cohort.records] == [None, 95.0]
    assert "films whose age cannot be, taken as unknown: 1" in cohort.notes


def test_another_spelling_is_mapped_and_the_mapping_told(table: Table) -> None:
    cohort = nih.read(table("a.png,Pleural Effusion|Pleural Thickening,0,1,60,F,PA"))
    assert positives(cohort.records[0]) == {"Effusion", "Pleural_Thickening"}
    assert f"{V2020}: 'Pleural Effusion' is read as Effusion" in cohort.notes


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("Mass|Pneumonai", "row 3: no finding 'Pneumonai' in NIH-14. Did you mean 'Pneumonia'"),
        ("No Finding|Mass", "row 3: 'No Finding' must stand alone; got 'No Finding|Mass'"),
        ("", "row 3: no finding '' in NIH-14"),
        ("1", "row 3: no finding '1' in NIH-14"),
    ],
)
def test_a_label_that_cannot_be_is_refused_with_its_row(
    table: Table, labels: str, message: str
) -> None:
    root = table("a.png,Mass,0,1,60,F,PA", f"b.png,{labels},0,1,60,F,PA")
    with pytest.raises(DatasetError, match=re.escape(f"{V2020} {message}")):
        nih.read(root)


def test_a_row_must_name_film_and_patient(table: Table) -> None:
    with pytest.raises(DatasetError, match="row 2: Image Index and Patient ID must both be given"):
        nih.read(table("a.png,Mass,0,,60,F,PA"))


def test_a_film_listed_twice_counts_once_unless_the_rows_disagree(table: Table) -> None:
    row = "a.png,Mass,0,1,60,F,PA"
    cohort = nih.read(table(row, row))
    assert len(cohort) == 1
    assert "rows that repeat a film with the same labels, left out: 1" in cohort.notes
    for other in ("a.png,Edema,0,1,60,F,PA", "a.png,Mass,0,2,60,F,PA"):
        with pytest.raises(DatasetError, match=r"row 3: film a\.png is listed before"):
            nih.read(table(row, other))


@pytest.mark.parametrize("sides", ["1000,0,50,10", "-1,0,5,5", "0,0,0,5", "0,nan,5,5", "0,x,5,5"])
def test_a_box_must_lie_in_its_film(example: Path, sides: str) -> None:
    header = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    (example / "BBox_List_2017.csv").write_text(f"{header}\n00000002_000.png,Mass,{sides}\n")
    with pytest.raises(DatasetError, match=r"BBox_List_2017\.csv row 2: "):
        nih.read(example)


def test_a_film_on_both_official_lists_is_a_leak(example: Path) -> None:
    with (example / "train_val_list.txt").open("a") as file:
        file.write("00000007_000.png\n")
    with pytest.raises(LeakError, match=r"on both .*: 1 \(00000007_000\.png\)"):
        nih.read(example)


def test_lists_may_be_absent_or_incomplete(example: Path) -> None:
    (example / "train_val_list.txt").write_text("00000001_000.png\n")
    assert "films on neither official list: 4" in nih.read(example).notes
    (example / "test_list.txt").unlink()
    cohort = nih.read(example)
    assert cohort.official_test is None
    assert "there is no test_list.txt: no official test set" in cohort.notes


@pytest.fixture(scope="module")
def full() -> Cohort:
    if not (SHARED / "tables").is_dir():
        pytest.skip("the full NIH tables are not beside the checkout")
    return open_dataset(SHARED / "tables")


@pytest.fixture(scope="module")
def by_pandas(full: Cohort) -> pd.DataFrame:
    assert len(full)
    names = ["film", "labels", "follow_up", "patient", "age", "sex", "view", "w", "h", "sx", "sy"]
    path = SHARED / "tables" / f"{V2020}.gz"
    return pd.read_csv(path, names=names, skiprows=1, index_col=False)


def test_the_full_table_has_the_published_counts(full: Cohort) -> None:
    assert (len(full), len(set(full.patients()))) == (nih.CARD.films, nih.CARD.patients)
    counts = (full.states() == LabelState.POSITIVE).sum(axis=0)
    assert dict(zip(full.labels, counts.tolist(), strict=True)) == PUBLISHED
    assert (counts == 0).sum() == 0
    assert int((full.states().max(axis=1) == LabelState.NEGATIVE).sum()) == 60_361


@pytest.mark.slow
def test_the_full_table_equals_pandas_row_by_row(full: Cohort, by_pandas: pd.DataFrame) -> None:
    dummies = by_pandas["labels"].str.get_dummies("|")
    assert np.array_equal(full.states(), dummies[list(full.labels)].to_numpy())
    assert full.image_ids() == by_pandas["film"].tolist()
    assert full.patients().astype(int).tolist() == by_pandas["patient"].tolist()
    assert [record.sex.value for record in full.records] == by_pandas["sex"].tolist()
    assert [record.view.value for record in full.records] == by_pandas["view"].tolist()
    ages = [record.age_years or 0.0 for record in full.records]
    assert ages == by_pandas["age"].astype(float).tolist()
    assert "films whose age cannot be, taken as unknown: 14" in full.notes


def test_the_full_box_list_is_kept(full: Cohort) -> None:
    boxes = [box for record in full.records for box in record.boxes]
    assert len(boxes) == 984
    assert sum(box.finding == "Infiltration" for box in boxes) == 123


def test_the_full_official_lists_are_whole(full: Cohort) -> None:
    assert full.official_test is not None
    assert len(full.official_test) == 25_596
    tested = {r.patient_id for r in full.records if r.image_id in full.official_test}
    rest = {r.patient_id for r in full.records if r.image_id not in full.official_test}
    assert len(tested) == 2_797
    assert not tested & rest


@pytest.mark.slow
def test_the_full_table_unpacked_is_the_same(full: Cohort, tmp_path: Path) -> None:
    assert len(full)
    for path in (SHARED / "tables").glob("*.gz"):
        (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    again = open_dataset(tmp_path)
    assert again.sha256() == full.sha256()


def test_real_films_are_found() -> None:
    if not (SHARED / "nih").is_dir():
        pytest.skip("the NIH sample is not beside the checkout")
    cohort = open_dataset(SHARED / "nih")
    assert len(cohort) == 2_725
    assert all(record.path is not None and record.path.is_file() for record in cohort.records)
    assert cohort.official_test is not None
    assert len(cohort.official_test) == 201
    assert sum(bool(r.boxes) for r in cohort.records if r.image_id in cohort.official_test) == 142
