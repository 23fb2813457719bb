"""Tables as people write them, faults and all."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState, nih14
from hilum.domain.record import Cohort, Record
from hilum.predictions.read import read_scores

Table = Callable[..., Path]
SMALL = Cohort(
    "made",
    LabelSet("two", ("Mass", "Effusion")),
    tuple(
        Record(image_id=f"{name}.png", patient_id=name, states=(LabelState(mass), LabelState(0)))
        for name, mass in zip("abcd", (0, 1, -1, -2), strict=True)
    ),
)


def written(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_columns_are_matched_by_name_and_films_by_ending(tmp_path: Path) -> None:
    rows = [
        ["age", "path", "prob_Pleural Effusion", "logit_mass"],
        [50, "data/b.png", 0.25, -3.5],
        [60, "data/a.png", 0.5, 2],
        [70, "data/z.png", 0.5, 2],
    ]
    scores = read_scores(written(tmp_path / "t.csv", rows), SMALL)
    assert scores.cohort.image_ids() == ["a.png", "b.png"]
    assert scores.findings == ("Effusion", "Mass")
    assert scores.values.tolist() == [[0.5, 2.0], [0.25, -3.5]]
    assert scores.labels().findings == ("Mass", "Effusion")
    assert scores.notes == (
        "1 rows of t.csv name no labeled film",
        "2 labeled films have no row in t.csv",
        "1 columns of numbers name no finding: age",
    )


def test_of_several_columns_of_a_finding_the_plainest_score_counts(tmp_path: Path) -> None:
    rows = [["film", "pred_Mass", "Mass_prob", "Mass"], ["a.png", 1, 0.75, 0]]
    scores = read_scores(written(tmp_path / "t.csv", rows), SMALL)
    assert scores.columns == ("Mass_prob",)
    assert scores.values.tolist() == [[0.75]]


def test_a_gzipped_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"film,Mass\na.png,0.5\n"))
    assert read_scores(path, SMALL).values.tolist() == [[0.5]]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetError, match="must be a whole archive"):
        read_scores(path, SMALL)


def test_only_films_labeled_positive_or_negative_count(tmp_path: Path) -> None:
    rows = [["film", "Mass"], *([f"{name}.png", 0.5] for name in "dcba")]
    entries = read_scores(written(tmp_path / "t.csv", rows), SMALL).of("Mass")
    assert entries.films.tolist() == [0, 1]
    assert entries.positives.tolist() == [False, True]


@pytest.mark.parametrize("header", [["film", "0", "1"], ["", "class_1", "class_2"], None])
def test_columns_without_names_are_kept_without_findings(
    tmp_path: Path, header: list[str] | None
) -> None:
    rows = [*([header] if header else []), ["a.png", 0.5, 0.1], ["b.png", 0.25, 0.2]]
    scores = read_scores(written(tmp_path / "t.csv", rows), SMALL)
    assert not scores.named
    assert scores.findings == (None, None)
    assert scores.values.tolist() == [[0.5, 0.1], [0.25, 0.2]]
    named = scores.in_order(LabelSet("two", ("Effusion", "Mass")))
    assert named.of("Mass").scores.tolist() == [0.1, 0.2]
    with pytest.raises(UsageError, match="a finding for each of the 2 score columns"):
        scores.in_order(nih14())


def test_cells_that_are_no_numbers_and_rows_not_scored(tmp_path: Path) -> None:
    rows = [["Image_ID", "status", "Mass"], ["a.png", "ok", ""], ["b.png", "warn", "inf"]]
    rows += [["c.png", "error", ""], ["d.png", "ok", "0.5"]]
    scores = read_scores(written(tmp_path / "t.csv", rows), SMALL)
    assert np.isnan(scores.values[0, 0])
    assert np.isinf(scores.values[1, 0])
    assert len(scores.cohort) == 3
    assert scores.notes[0] == "1 rows of t.csv were not scored (status) and are left out"


def test_of_a_film_listed_twice_the_first_row_counts(tmp_path: Path) -> None:
    rows = [["film", "Mass"], ["a.png", 0.1], ["a.png", 0.2], ["b.png", 0.3], ["b.png", 0.3]]
    scores = read_scores(written(tmp_path / "t.csv", rows), SMALL)
    assert scores.values.tolist() == [[0.1], [0.3]]
    assert scores.repeated == ("a.png",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["film", "Mass"], ["x.png", 0.1]], "must have a film in common"),
        ([["film", "Nodulus"], ["a.png", 0.1]], "must have a column of scores for a finding"),
        (
            [["film", "prob_Mass", "p_mass"], ["a.png", 0.1, 0.2]],
            "prob_Mass and p_mass are two columns of Mass",
        ),
        ([["film"], ["a.png", 0.1]], "line 2 must have 1 fields or fewer"),
        ([], "must have a column that names the film; it has no rows"),
    ],
)
def test_a_table_that_cannot_be_audited_is_refused(
    tmp_path: Path, rows: list[list[object]], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read_scores(written(tmp_path / "t.csv", rows), SMALL)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_scores(tmp_path / "none.csv", SMALL)
    (tmp_path / "latin.csv").write_bytes(b"film,Mass\n\xe9,1\n")
    with pytest.raises(DatasetError, match="must be UTF-8; it has the byte 0xe9"):
        read_scores(tmp_path / "latin.csv", SMALL)
