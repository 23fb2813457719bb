"""Tables of label errors: what ships, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import HilumError
from hilum.predictions.label_errors import read_label_errors

HEAD = "finding,sensitivity,positives,specificity,negatives"
TXV = "torchxrayvision"
ENTRIES = Path(__file__).resolve().parents[2] / "../shared/data/tables/Data_Entry_2017_v2020.csv.gz"


def table(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "errors.csv"
    path.write_text("\n".join((head, *lines)) + "\n", "utf-8")
    return path


def test_the_table_of_nih_ships_with_its_source() -> None:
    rows = {row.name: row for row in read_label_errors("nih")}
    assert set(rows) == {
        "Pneumothorax",
        "Mass or Nodule",
        "Consolidation or Edema or Infiltration or Pneumonia",
    }
    assert rows["Pneumothorax"].sensitivity == pytest.approx(109 / 238, abs=1e-6)
    assert rows["Pneumothorax"].positives == pytest.approx(238 / 1.12)
    assert all("Majkowska" in row.source for row in rows.values())


@pytest.mark.skipif(not ENTRIES.exists(), reason="the table of NIH's labels is not here")
def test_the_shipped_numbers_are_those_of_the_public_tables() -> None:
    """NIH's labels against the adjudicated ones, as torchxrayvision ships them."""
    from importlib.util import find_spec

    import pandas as pd

    spec = find_spec(TXV)
    if spec is None or spec.origin is None:
        pytest.skip("torchxrayvision is not installed")
    place = Path(spec.origin).parent / "data/google2019_nih-chest-xray-labels.csv.gz"
    adjudicated = pd.read_csv(place)
    both = adjudicated.merge(pd.read_csv(ENTRIES), on="Image Index", suffixes=("", " NIH"))
    assert (len(both), both["Patient ID"].nunique()) == (4376, 1695)
    mined = both["Finding Labels NIH"].str.split("|")
    columns = {"Pneumothorax": "Pneumothorax", "Mass": "Nodule or mass"}
    for row in read_label_errors("nih"):
        truth = (both[columns.get(row.findings[0], "Airspace opacity")] == "YES").to_numpy()
        wanted = set(row.findings)
        labeled = mined.map(lambda own, wanted=wanted: bool(wanted & set(own))).to_numpy()
        patients = both["Patient ID"].to_numpy()
        for right, kind, value, n in (
            (labeled[truth], truth, row.sensitivity, row.positives),
            (~labeled[~truth], ~truth, row.specificity, row.negatives),
        ):
            assert value == pytest.approx(right.mean(), abs=1e-6)
            effect = design_effect(right, patients[kind])
            assert n == pytest.approx(len(right) / effect, rel=0.01)


def design_effect(right: np.ndarray, patients: np.ndarray) -> float:
    _, code = np.unique(patients, return_inverse=True)
    sizes, sums = np.bincount(code), np.bincount(code, right)
    share, k = right.mean(), len(sizes)
    variance = k / (k - 1) * ((sums - share * sizes) ** 2).sum() / len(right) ** 2
    return float(variance / (share * (1 - share) / len(right)))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "a table of label errors must have a row"),
        (("Mass,0.4,60,1.2,70",), "row 2: specificity must be a number, between 0 and 1"),
        (("Mass,nan,60,0.9,70",), "row 2: sensitivity must be a number"),
        (("Mass,0.4,0,0.9,70",), "row 2: positives must be a number, 1 or more; got '0'"),
        (("Mass,0.4,inf,0.9,70",), "row 2: positives must be a number, 1 or more"),
        (("Mass,0.4,many,0.9,70",), "got 'many'"),
        (("Mass,0.4,60,0.5,70",), "no better than chance"),
        (("Efusion,0.4,60,0.9,70",), "row 2: no finding 'Efusion' in the catalog"),
        (("Mass,0.4,60,0.9,70", "Lung Mass,0.4,60,0.9,70"), "two rows of Mass"),
        (("Mass|Mass,0.4,60,0.9,70",), "a finding must be named once"),
        (("Mass,0.4,60",), "row 2 must have 5 fields or more"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(HilumError) as refused:
        read_label_errors(table(tmp_path, *lines))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_columns_and_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="sensitivity"):
        read_label_errors(table(tmp_path, "Mass,3", head="finding,n"))
    with pytest.raises(HilumError, match="must name a table, or nih; "):
        read_label_errors(tmp_path / "none.csv")


def test_a_design_effect_makes_cases_count_less(tmp_path: Path) -> None:
    head = HEAD + ",design_effect_positives,source"
    (row,) = read_label_errors(table(tmp_path, "Mass,0.4,60,0.9,70,1.5,ours", head=head))
    assert (row.positives, row.negatives, row.source) == (40.0, 70.0, "ours")
