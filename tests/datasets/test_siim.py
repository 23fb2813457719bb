"""SIIM-ACR Pneumothorax: masks in the challenge's own run lengths."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.datasets import open_dataset, siim
from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState
from hilum.domain.record import Box

SIDE = 1024
PREFIX = "1.2.276.0.7230010.3.1.4.8323329."


def painted(pixels: str) -> np.ndarray:
    """The mask, painted run by run as the challenge's own sample code does it; (row, column)."""
    mask = np.zeros(SIDE * SIDE, bool)
    numbers = [int(word) for word in pixels.split()]
    at = 0
    for gap, run in zip(numbers[::2], numbers[1::2], strict=True):
        at += gap
        mask[at : at + run] = True
        at += run
    return mask.reshape(SIDE, SIDE).T


def around(mask: np.ndarray) -> Box:
    """The box around a mask, from the mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = columns[0] / SIDE, rows[0] / SIDE
    width, height = (columns[-1] + 1) / SIDE - left, (rows[-1] + 1) / SIDE - top
    return Box("Pneumothorax", left, top, width, height)


def write(folder: Path, *rows: str) -> Path:
    text = "\n".join(["ImageId, EncodedPixels", *rows]) + "\n"
    (folder / "train-rle.csv").write_text(text, "utf-8")
    return folder


def test_the_example_is_read_whole(tmp_path: Path) -> None:
    root = siim.write_example(tmp_path)
    cohort = siim.read(root)
    assert cohort.labels.findings == ("Pneumothorax",)
    assert cohort.image_ids() == [f"{PREFIX}{number}" for number in (1, 2, 3)]
    assert cohort.states().ravel().tolist() == [0, 1, 0]
    assert cohort.records[1].path == (root / "dicom-images-train/study1/series1" / f"{PREFIX}2.dcm")
    assert cohort.records[1].boxes == (
        Box("Pneumothorax", 100 / SIDE, 200 / SIDE, 2 / SIDE, 4 / SIDE),
        Box("Pneumothorax", 500 / SIDE, 10 / SIDE, 1 / SIDE, 2 / SIDE),
    )
    assert cohort.notes == (
        "labels are from train-rle.csv",
        "no patient column: each film is taken as its own patient, so intervals are by film",
        "films here: 2 of 3; the rest is known by label only",
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 2500)), min_size=1, max_size=30))
def test_a_box_bounds_the_mask_that_the_challenge_s_code_paints(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int]]
) -> None:
    pixels = " ".join(f"{gap} {run}" for gap, run in runs)
    root = write(tmp_path_factory.mktemp("siim"), f"a,{pixels}")
    (record,) = siim.read(root).records
    assert record.boxes == (around(painted(pixels)),)


def test_the_whole_film_may_be_masked_and_not_a_pixel_more(tmp_path: Path) -> None:
    (record,) = siim.read(write(tmp_path, f"a,0 {SIDE * SIDE}")).records
    assert record.boxes == (Box("Pneumothorax", 0, 0, 1, 1),)
    with pytest.raises(DatasetError, match=r"row 2: a box must .* lie in its film"):
        siim.read(write(tmp_path, f"a,1 {SIDE * SIDE}"))


def test_the_table_of_the_second_stage_has_no_blank_in_its_header(tmp_path: Path) -> None:
    (tmp_path / "stage_2_train.csv").write_text("ImageId,EncodedPixels\na,-1\nb,5 3\n", "utf-8")
    cohort = open_dataset(tmp_path)
    assert cohort.states().ravel().tolist() == [LabelState.NEGATIVE, LabelState.POSITIVE]


def test_a_row_that_is_repeated_counts_once(tmp_path: Path) -> None:
    cohort = siim.read(write(tmp_path, "a,-1", "a,-1", "b,5 3", "b,5 3"))
    assert [len(record.boxes) for record in cohort.records] == [0, 1]
    assert "rows that repeat a film with the same labels, left out: 2" in cohort.notes


@pytest.mark.parametrize(
    "pixels", ["", "5", "5 3 2", "5 0", "5 -3", "5 3.0", "a b", "9" * 5000 + " 1"]
)
def test_a_mask_that_is_none_is_refused_with_its_row(tmp_path: Path, pixels: str) -> None:
    with pytest.raises(DatasetError, match=re.escape("row 2: EncodedPixels must be -1 or pairs")):
        siim.read(write(tmp_path, f"a,{pixels}"))


def test_a_film_with_a_mask_and_without_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="row 3: film a is listed both with a box and without"):
        siim.read(write(tmp_path, "a,-1", "a,5 3"))
    with pytest.raises(DatasetError, match="row 2: ImageId must be given"):
        siim.read(write(tmp_path, ",-1"))


def test_the_card_warns_of_the_leak_and_a_bare_folder_is_refused(tmp_path: Path) -> None:
    assert any("NIH ChestX-ray14" in fault for fault in siim.CARD.known_faults)
    with pytest.raises(DatasetError, match=r"must have train-rle\.csv"):
        siim.read(tmp_path)
