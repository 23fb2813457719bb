"""RSNA Pneumonia: targets, boxes and classes that must agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hilum.datasets import open_dataset, rsna
from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Box, Record

POSITIVE, NEGATIVE = LabelState.POSITIVE, LabelState.NEGATIVE
TABLE, CLASSES = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return rsna.write_example(tmp_path)


def films(root: Path) -> list[Record]:
    return list(open_dataset(root, "rsna").records)


def edit(table: Path, old: str, new: str) -> None:
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new, 1), "utf-8")


def test_the_example_is_read_whole(example: Path) -> None:
    cohort = rsna.read(example)
    assert cohort.labels.findings == ("Lung Opacity", "No Finding")
    assert [record.states for record in cohort.records] == [
        (NEGATIVE, POSITIVE),
        (POSITIVE, NEGATIVE),
        (NEGATIVE, NEGATIVE),
        (POSITIVE, NEGATIVE),
    ]
    second = cohort.records[1]
    assert second.view is ViewPosition.FRONTAL
    assert second.patient_id == second.image_id
    assert second.path == example / "stage_2_train_images" / f"{second.image_id}.dcm"
    assert second.boxes == (
        Box("Lung Opacity", 264 / 1024, 152 / 1024, 213 / 1024, 379 / 1024),
        Box("Lung Opacity", 562 / 1024, 152 / 1024, 0.25, 453 / 1024),
    )
    assert cohort.notes == (
        "labels are from stage_2_train_labels.csv",
        "no patient column: each film is taken as its own patient, so intervals are by film",
        "stage_2_train_labels.csv: 'Target' is read as Lung Opacity",
        "films here: 3 of 4; the rest is known by label only",
    )


def test_without_classes_no_finding_is_unlabelled_not_negative(example: Path) -> None:
    (example / CLASSES).unlink()
    cohort = rsna.read(example)
    assert {record.states[1] for record in cohort.records} == {LabelState.UNLABELLED}
    assert f"there is no {CLASSES}: No Finding is unlabelled" in cohort.notes


def test_a_film_without_a_class_is_unlabelled_and_counted(example: Path) -> None:
    text = (example / CLASSES).read_text("utf-8").splitlines()
    (example / CLASSES).write_text("\n".join(text[:-1]) + "\n", "utf-8")
    cohort = rsna.read(example)
    assert cohort.records[3].states == (POSITIVE, LabelState.UNLABELLED)
    assert "films without a class, No Finding unlabelled: 1" in cohort.notes


def test_a_row_that_is_repeated_counts_once(example: Path) -> None:
    text = (example / TABLE).read_text("utf-8").splitlines()
    (example / TABLE).write_text("\n".join([*text, text[1], text[2]]) + "\n", "utf-8")
    cohort = rsna.read(example)
    assert len(cohort.records[1].boxes) == 2
    assert "rows that repeat a film with the same labels, left out: 2" in cohort.notes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",,,,,0", ",,,,,1", "row 2: patientId must be given, and Target be 1 with a box"),
        ("379.0,1", "379.0,0", "row 3: patientId must be given, and Target be 1 with a box"),
        (",,,,,0", ",,,,,2", "row 2: patientId must be given, and Target be"),
        ("264.0,152.0", "900.0,152.0", "row 3: a box must have an area and lie in its film"),
        ("264.0", "left", "row 3: could not convert"),
        ("562.0,152.0,256.0,453.0,1", ",,,,0", "row 4: film 00000001-9eaa-42f4-b0ab-c148ed3241cd"),
    ],
)
def test_a_row_that_cannot_be_is_refused(example: Path, old: str, new: str, message: str) -> None:
    edit(example / TABLE, old, new)
    with pytest.raises(DatasetError, match=re.escape(message)):
        films(example)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",Normal", ",Lung Opacity", "is of class 'Lung Opacity', but its Target"),
        (",Lung Opacity", ",Normal", "is of class 'Normal', but its Target"),
        (",Normal", ",Norml", "row 2: a class must be one of Lung Opacity, Normal"),
    ],
)
def test_classes_must_be_known_and_fit_the_targets(
    example: Path, old: str, new: str, message: str
) -> None:
    edit(example / CLASSES, old, new)
    with pytest.raises(DatasetError, match=message):
        films(example)


def test_a_film_has_one_class(example: Path) -> None:
    text = (example / CLASSES).read_text("utf-8").splitlines()
    (example / CLASSES).write_text("\n".join([*text, text[1]]) + "\n", "utf-8")
    assert len(films(example)) == 4  # Kaggle repeats a film's class once for each of its boxes
    other = text[1].replace(",Normal", ",Lung Opacity")
    (example / CLASSES).write_text("\n".join([*text, other]) + "\n", "utf-8")
    with pytest.raises(DatasetError, match=r"row 6: film .* is listed before as 'Normal'"):
        films(example)


def test_the_card_warns_of_the_leak_and_a_bare_folder_is_refused(tmp_path: Path) -> None:
    assert any("NIH ChestX-ray14" in fault for fault in rsna.CARD.known_faults)
    with pytest.raises(DatasetError, match="must have stage_2_train_labels"):
        rsna.read(tmp_path)
