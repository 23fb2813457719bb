"""Predictions tables of others, and our own, read back and matched by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.evaluation.predictions import read_predictions

LABELS = LabelSet("three", ("Effusion", "Mass", "Pleural_Thickening"))
COHORT = Cohort(
    "drawn",
    LABELS,
    tuple(Record(f"{i}.png", f"p{i}", (LabelState.NEGATIVE,) * 3) for i in range(4)),
)


def table(folder: Path, text: str) -> Path:
    path = folder / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_our_own_report_reads_back_without_its_unscored_rows(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "Image_ID,status,codes,view,Effusion,Mass,Pleural_Thickening,Effusion_positive,bundle\n"
        "2.png,ok,,PA,0.25,0.5,0.75,1,ab\n"
        "0.png,warn,EXT_MISMATCH,PA,0.1,0.2,0.3,0,ab\n"
        "1.png,error,DECODE_TRUNCATED,unknown,,,,,ab\n",
    )
    read = read_predictions(path, COHORT)
    assert read.cohort.image_ids() == ["0.png", "2.png"]
    assert read.probabilities.values.tolist() == [[0.1, 0.2, 0.3], [0.25, 0.5, 0.75]]
    assert read.probabilities.labels == LABELS
    assert read.notes == (
        "1 rows of predictions.csv were not scored (status) and are left out",
        "2 of 4 labelled films have no prediction",
        "4 columns name no finding of three: codes, view, Effusion_positive, bundle",
    )


@pytest.mark.parametrize("film", ["Image Index", "image_id", "Path", "filename", "IMAGE_ID"])
def test_other_spellings_and_orders(tmp_path: Path, film: str) -> None:
    path = table(
        tmp_path,
        f"\ufeffprob_pleural thickening,{film},prob_Pleural Effusion\r\n"
        "0.3,images/b/1.png,0.1\r\n0.4,3.png,0.2\r\n0.9,foreign.png,0.9\r\n",
    )
    read = read_predictions(path, COHORT)
    assert read.cohort.image_ids() == ["1.png", "3.png"]
    assert read.probabilities.labels.findings == ("Effusion", "Pleural_Thickening")
    assert read.probabilities.values.tolist() == [[0.1, 0.3], [0.2, 0.4]]
    assert "1 films of predictions.csv are not among the labelled films" in read.notes
    assert "findings without a column in predictions.csv: Mass" in read.notes


@pytest.mark.parametrize("value", ["1.2", "-0.1", "nan", "", "high"])
def test_what_is_no_probability_is_refused_with_its_place(tmp_path: Path, value: str) -> None:
    path = table(tmp_path, f"Image_ID,Mass\n0.png,0.5\n1.png,{value}\n")
    with pytest.raises(DatasetError, match=r"predictions\.csv line 3, Mass: a probability must"):
        read_predictions(path, COHORT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a column that names the film"),
        ("Mass\n0.5\n", "a column that names the film"),
        ("Image_ID,Efusion\n0.png,0.5\n", "no column of a finding of three.*Effusion"),
        ("Image_ID,Mass,prob_mass\n0.png,0.5,0.5\n", "two columns of Mass: Mass and prob_mass"),
        ("Image_ID,Mass\n0.png,0.5\n0.png,0.6\n", "line 3: film 0.png is listed twice"),
        ("Image_ID,Mass\n0.png,0.5\na/0.png,0.6\n", "two rows are for film 0.png"),
        ("Image_ID,Mass\n,0.5\n", "line 2: column Image_ID must name the film"),
        ("Image_ID,Mass\nother.png,0.5\n", "no film in common"),
        ("Image_ID,Mass\n", "no film in common"),
        ('Image_ID,Mass\n"0.png,0.5\n', "not a CSV table"),
    ],
)
def test_tables_that_cannot_be_used_say_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_predictions(table(tmp_path, text), COHORT)


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_predictions(tmp_path / "none.csv", COHORT)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("Image_ID,Mass\nfilm-é.png,0.5\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="UTF-8"):
        read_predictions(latin, COHORT)


def test_nine_digits_keep_the_value(tmp_path: Path) -> None:
    p = float(np.float32(0.123456789))
    path = table(tmp_path, f"Image_ID,Mass\n0.png,{p:.9g}\n")
    read = read_predictions(path, COHORT).probabilities.of("Mass")
    assert np.float32(read[0]) == np.float32(p)
