"""VinBigData, RSNA and SIIM at full real scale: the tables in torchxrayvision's wheel."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.datasets import open_dataset, rsna, siim, vinbigdata, vindr
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort

SIDE = 1024


def real(name: str) -> Path:
    """A table of the wheel, which is not imported: it would bring torch."""
    found = importlib.util.find_spec("torchxrayvision")
    folders = [] if found is None else found.submodule_search_locations or []
    for folder in folders:
        if (path := Path(folder) / "data" / name).is_file():
            return path
    pytest.skip(f"torchxrayvision's {name} is not installed")


@pytest.fixture(scope="module")
def vinbig_rows() -> pd.DataFrame:
    return pd.read_csv(real("vinbigdata-train.csv.gz"))


@pytest.fixture(scope="module")
def vinbig() -> Cohort:
    return open_dataset(real("vinbigdata-train.csv.gz"))


def votes_by_pandas(rows: pd.DataFrame) -> pd.DataFrame:
    """Readers that listed each class, a film a row and a class a column."""
    listed = rows.drop_duplicates(["image_id", "rad_id", "class_id"])
    return pd.crosstab(listed["image_id"], listed["class_id"])


def test_vinbigdata_has_the_published_counts(vinbig: Cohort, vinbig_rows: pd.DataFrame) -> None:
    assert len(vinbig_rows) == 67_914
    assert len(vinbig) == vinbigdata.CARD.films == 15_000
    assert vinbig.dataset == "vinbigdata"
    assert {len(record.votes) for record in vinbig.records} == {3}
    assert len({vote.reader for record in vinbig.records for vote in record.votes}) == 17
    assert f"size of their film is not known here: {36_096:,}" in "\n".join(vinbig.notes)


def test_vinbigdata_s_majority_equals_pandas(vinbig: Cohort, vinbig_rows: pd.DataFrame) -> None:
    # the label set keeps Kaggle's order: class 14 is No Finding
    counts = votes_by_pandas(vinbig_rows).loc[vinbig.image_ids()].to_numpy()
    assert np.array_equal(vinbig.states(), counts >= 2)
    votes = np.array([[vote.states for vote in record.votes] for record in vinbig.records])
    assert np.array_equal((votes == LabelState.POSITIVE).sum(axis=1), counts)
    positives = dict(zip(vinbig.labels, (counts >= 2).sum(axis=0).tolist(), strict=True))
    assert (positives["No Finding"], positives["Aortic enlargement"]) == (10_606, 2_346)


def test_what_the_card_says_of_vinbigdata_s_readers(vinbig_rows: pd.DataFrame) -> None:
    counts = votes_by_pandas(vinbig_rows).to_numpy()[:, :14]
    said = next(fault for fault in vinbigdata.CARD.known_faults if "disagree" in fault)
    assert f"of {(counts > 0).sum():,} findings" in said
    assert f"{(counts == 1).sum():,} have no second reader" in said


@pytest.mark.slow
def test_vinbigdata_s_boxes_equal_pandas_where_sizes_are_known(
    vinbig_rows: pd.DataFrame, tmp_path: Path
) -> None:
    films = vinbig_rows["image_id"].unique()
    sizes = pd.DataFrame({"image_id": films, "dim0": 3_500, "dim1": 3_200})
    sizes.to_csv(tmp_path / "train_meta.csv", index=False)
    vinbig_rows.to_csv(tmp_path / "train.csv", index=False)
    cohort = open_dataset(tmp_path)
    boxed = vinbig_rows.dropna(subset=["x_min"])
    wanted = boxed[["x_min", "y_min", "x_max", "y_max"]] / [3_200, 3_500, 3_200, 3_500]
    wanted = wanted.set_index(boxed["image_id"])
    got = {
        r.image_id: [(b.x, b.y, b.x + b.width, b.y + b.height) for b in r.boxes]
        for r in cohort.records
    }
    assert sum(map(len, got.values())) == 36_096
    for film, rows in wanted.groupby(level=0):
        np.testing.assert_allclose(got[str(film)], rows.to_numpy(), atol=1e-12)


@pytest.mark.slow
def test_vindr_reads_the_same_readers_at_full_scale(
    vinbig: Cohort, vinbig_rows: pd.DataFrame, tmp_path: Path
) -> None:
    """The same votes in VinDr-CXR's own layout: 9,000 rows of 28 labels, for 3,000 films."""
    films = vinbig.image_ids()[:3_000]
    listed = vinbig_rows.drop_duplicates(["image_id", "rad_id", "class_name"])
    listed = listed[listed["image_id"].isin(films)]
    wide = pd.crosstab([listed["image_id"], listed["rad_id"]], listed["class_name"])
    example = vindr.write_example(tmp_path)
    table = example / "annotations/image_labels_train.csv"
    names = table.read_text("utf-8").splitlines()[0].split(",")[2:]
    wide.reindex(columns=names, fill_value=0).reset_index().to_csv(table, index=False)
    cohort = open_dataset(example)
    assert len(cohort) == len(films) + 2
    known = {record.image_id: record.states for record in cohort.records}
    columns = cohort.labels.columns(vinbig.labels)
    got = np.array([known[film] for film in films])[:, columns]
    assert np.array_equal(got, vinbig.states()[: len(films)])


def test_rsna_equals_pandas(tmp_path: Path) -> None:
    with zipfile.ZipFile(real("kaggle_stage_2_train_labels.csv.zip")) as archive:
        archive.extractall(tmp_path)
    rows = pd.read_csv(tmp_path / "stage_2_train_labels.csv")
    cohort = open_dataset(tmp_path)
    targets = rows.groupby("patientId", sort=False)["Target"].max()
    assert len(cohort) == len(targets) == rsna.CARD.films == 26_684
    assert cohort.image_ids() == targets.index.tolist()
    opacity = cohort.states()[:, cohort.labels.index("Lung Opacity")]
    assert np.array_equal(opacity, targets.to_numpy())
    assert opacity.sum() == 6_012
    assert set(cohort.states()[:, cohort.labels.index("No Finding")]) == {LabelState.UNLABELLED}
    boxes = [
        (record.image_id, box.x * SIDE, box.y * SIDE, box.width * SIDE, box.height * SIDE)
        for record in cohort.records
        for box in record.boxes
    ]
    assert len(boxes) == 9_555
    wanted = rows[rows["Target"] == 1].sort_values(["patientId", "x", "y"])
    got = pd.DataFrame(boxes).sort_values([0, 1, 2])
    np.testing.assert_allclose(got.iloc[:, 1:].to_numpy(), wanted.iloc[:, 1:5].to_numpy())


@pytest.mark.slow
def test_siim_equals_masks_that_are_painted(tmp_path: Path) -> None:
    path = real("siim-pneumothorax-train-rle.csv.gz")
    rows = pd.read_csv(path, skipinitialspace=True)
    rows["EncodedPixels"] = rows["EncodedPixels"].str.strip()
    cohort = open_dataset(path)
    positive = rows.groupby("ImageId", sort=False)["EncodedPixels"].agg(lambda x: (x != "-1").any())
    assert len(cohort) == len(positive) == siim.CARD.films == 12_047
    assert cohort.image_ids() == positive.index.tolist()
    assert np.array_equal(cohort.states()[:, 0], positive.to_numpy())
    assert positive.sum() == 2_669
    assert (
        sum(len(record.boxes) for record in cohort.records) == (rows["EncodedPixels"] != "-1").sum()
    )
    known = {record.image_id: record.boxes for record in cohort.records}
    masked = rows[rows["EncodedPixels"] != "-1"].groupby("ImageId")["EncodedPixels"]
    for film, encoded in list(masked)[::10]:
        wanted = [painted_box(pixels) for pixels in encoded]
        got = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in known[str(film)]]
        np.testing.assert_allclose(np.array(got) * SIDE, wanted, atol=1e-9)


def painted_box(pixels: str) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a mask painted as the challenge's sample code does it."""
    mask = np.zeros(SIDE * SIDE, bool)
    at = 0
    numbers = [int(word) for word in pixels.split()]
    for gap, run in zip(numbers[::2], numbers[1::2], strict=True):
        mask[at + gap : at + gap + run] = True
        at += gap + run
    columns, rows = np.nonzero(mask.reshape(SIDE, SIDE))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.slow
def test_a_table_of_chexpert_s_columns_keeps_its_states_apart(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    pd.read_csv(real("chexpert_train.csv.gz"), nrows=30_000).to_csv(path, index=False)
    cohort = open_dataset(path, "table")
    rows = pd.read_csv(path)
    assert cohort.image_ids() == rows["Path"].tolist()
    wanted = rows.iloc[:, 5:].fillna(LabelState.UNLABELLED.value).to_numpy()
    assert np.array_equal(cohort.states(), wanted)
