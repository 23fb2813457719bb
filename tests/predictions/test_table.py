"""One reader of anybody's table: `evaluate` and `audit` find the same films and columns in it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.predictions.columns import FILM_COLUMNS
from hilum.predictions.levels import Level
from hilum.predictions.read import read_predictions, read_scores
from hilum.predictions.table import read_table

LABELS = LabelSet("three", ("Effusion", "Mass", "Pneumonia"))


def cohort(*names: str) -> Cohort:
    """Films `PATIENT/STUDY/FILM`, or bare names, none of which has a finding."""
    records = [
        Record(
            image_id=name,
            patient_id=name.split("/")[0],
            states=(LabelState.NEGATIVE,) * 3,
            study_id=name.rpartition("/")[0] or None,
        )
        for name in names
    ]
    return Cohort("drawn", LABELS, tuple(records))


FILMS = cohort(*(f"f{number}.png" for number in range(5)))
CHEXPERT = cohort("p1/s1/view1.jpg", "p1/s1/view2.jpg", "p2/s2/view1.jpg", "p3/s3/view1.jpg")

Written = Callable[[Path, str], Path]


def plain(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text, "utf-8")
    return path


def with_mark(folder: Path, text: str) -> Path:
    return plain(folder, "\ufeff" + text)


def quoted(folder: Path, text: str) -> Path:
    lines = [",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()]
    return plain(folder, "\r\n".join(lines) + "\r\n")


def tabbed(folder: Path, text: str) -> Path:
    path = folder / "t.tsv"
    path.write_text(text.replace(",", "\t"), "utf-8")
    return path


def zipped(folder: Path, text: str) -> Path:
    path = folder / "t.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    return path


def both(path: Path, films: Cohort) -> tuple[list[str], dict[str, str], list[list[float]]]:
    """What `evaluate` finds, after a check that `audit` finds the same."""
    read, scores = read_predictions(path, films), read_scores(path, films)
    assert scores.cohort.records == read.cohort.records
    columns = {f: c for f, c in zip(scores.findings, scores.columns, strict=True) if f is not None}
    assert columns == read.columns
    order = [scores.findings.index(finding) for finding in read.columns]
    assert (scores.values[:, order] == read.probabilities.values).all()
    return read.cohort.image_ids(), read.columns, read.probabilities.values.tolist()


@pytest.mark.parametrize(
    "column", ["image", "Image Index", "filename", "", "Unnamed: 0", "path", "img"]
)
@pytest.mark.parametrize("suffix", ["", ".png", ".dcm"])
@pytest.mark.parametrize("write", [plain, with_mark, quoted, tabbed, zipped])
def test_evaluate_and_audit_find_the_same(
    tmp_path: Path, column: str, suffix: str, write: Written
) -> None:
    folder = "data/images/" if column == "path" else ""
    text = (
        f"{column},age,prob_Mass,Mass_pred,Pleural Effusion,note\n"
        f"{folder}f3{suffix},50,0.25,0,0.5,a\n"
        f"{folder}f1{suffix},60,0.75,1,0.125,b\n"
        f"{folder}f9{suffix},70,0.75,1,0.25,c\n"
    )
    assert both(write(tmp_path, text), FILMS) == (
        ["f1.png", "f3.png"],
        {"Effusion": "Pleural Effusion", "Mass": "prob_Mass"},
        [[0.125, 0.75], [0.5, 0.25]],
    )


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image_id,path,Mass", "0af3,data/f2.png,0.5"),
        ("patientId,img,Mass", "77,f2.png,0.5"),
        ("path,image_id,Mass", "f0.png,f2.png,0.5"),
        ("number,path,Mass", "f0.png,f2.png,0.5"),
        ("Mass,film,Effusion", "0.5,f2,0.5"),
    ],
)
def test_the_film_column_goes_by_name_where_its_cells_agree_and_else_by_content(
    tmp_path: Path, header: str, row: str
) -> None:
    path = plain(tmp_path, f"{header}\n{row}\n")
    assert both(path, FILMS)[0] == ["f2.png"]


def test_without_a_name_the_column_that_names_most_films_counts(tmp_path: Path) -> None:
    path = plain(tmp_path, "seen,img,Mass\nf0.png,f1.png,0.5\nno,f2.png,0.5\n")
    assert both(path, FILMS)[0] == ["f1.png", "f2.png"]


def test_a_score_is_not_taken_for_the_name_of_a_film(tmp_path: Path) -> None:
    numbered = cohort("0.png", "1.png", "2.png")
    path = plain(tmp_path, "Mass,Effusion,img\n1,0,x/2\n1,1,x/3\n0,0,x/4\n")
    assert both(path, numbered)[0] == ["2.png"]


def test_the_film_column_is_found_where_the_first_rows_name_no_labeled_film(
    tmp_path: Path,
) -> None:
    foreign = "".join(f"x{number}.png,f1.png,0.5\n" for number in range(300))
    path = plain(tmp_path, f"film,like,Mass\n{foreign}f4.png,f1.png,0.25\n")
    assert both(path, FILMS) == (["f4.png"], {"Mass": "Mass"}, [[0.25]])


@pytest.mark.parametrize("column", ["Study", "path", "exam"])
def test_a_table_of_studies_is_read_as_such(tmp_path: Path, column: str) -> None:
    path = plain(tmp_path, f"{column},Mass\ndata/p2/s2,0.5\ndata/p1/s1,0.25\n")
    assert both(path, CHEXPERT)[0] == ["p1/s1", "p2/s2"]
    assert read_table(path, CHEXPERT).level is Level.STUDY
    note = f"t.csv names studies in {column}: a row is a study"
    assert note in read_predictions(path, CHEXPERT).notes
    assert note in read_scores(path, CHEXPERT).notes


@pytest.mark.parametrize("column", ["film", "img"])
def test_films_are_preferred_to_their_studies(tmp_path: Path, column: str) -> None:
    rows = "p1/s1,p1/s1/view1.jpg,0.5\np1/s1,p1/s1/view2.jpg,0.25\n"
    path = plain(tmp_path, f"Study,{column},Mass\n{rows}")
    assert both(path, CHEXPERT)[0] == ["p1/s1/view1.jpg", "p1/s1/view2.jpg"]


def test_a_film_that_is_not_here_lends_its_scores_to_no_other(tmp_path: Path) -> None:
    path = plain(tmp_path, "Path,Mass\nX/p1/s1/view1.jpg,0.5\nX/q9/p3/s3/view1.jpg,0.9\n")
    films = cohort("X/p1/s1/view1.jpg", "X/p3/s3/view1.jpg")
    assert both(path, films)[2] == [[0.5]]


def test_values_are_kept_as_they_are(tmp_path: Path) -> None:
    path = plain(tmp_path, "film,Mass,logit_Effusion,0\nf0.png,51,-3.5,1\nf1.png,high,inf,0\n")
    table = read_table(path, FILMS)
    assert [column.name for column in table.scores] == ["Mass", "logit_Effusion", "0"]
    np.testing.assert_array_equal(table.values, [[51, -3.5, 1], [np.nan, np.inf, 0]])


def test_a_probability_counts_before_a_logit_and_numbers_before_words(tmp_path: Path) -> None:
    path = plain(tmp_path, "film,logit_Mass,prob_Mass,p_Effusion,Effusion\nf0.png,2,0.9,n/a,0.5\n")
    assert both(path, FILMS)[1] == {"Effusion": "Effusion", "Mass": "prob_Mass"}


def test_logits_alone_are_audited_and_not_evaluated(tmp_path: Path) -> None:
    path = plain(tmp_path, "film,logit_Mass\nf0.png,0.5\n")
    assert read_scores(path, FILMS).findings == ("Mass",)
    with pytest.raises(DatasetError, match="logit_Mass are logits by their names"):
        read_predictions(path, FILMS)


@pytest.mark.parametrize("read", [read_predictions, read_scores])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a column that names the film"),
        ("film,Mass\n", "must have a film in common; the table names 0, first: none"),
        ("film,Mass\nx.png,0.5\n", "must have a film in common; the table names 1, first: x.png"),
        ("film,status,Mass\nf0.png,error,\n", "must have a film in common; the table names 0"),
        ("film;Mass\nf0.png;0.5\n", "separated by ';': save it with commas"),
        ("film,prob_Mass,p_mass\nf0.png,0.1,0.2\n", "prob_Mass and p_mass are two columns of Mass"),
        ("film,Mass\nf0.png,a,0.5\n", "line 2 must have 2 fields or fewer.*it has 3"),
        ('film,Mass\n"f0.png,0.5\n', "is not a CSV table"),
    ],
)
def test_a_table_that_nobody_can_read_is_refused_in_the_same_words(
    tmp_path: Path, read: Callable[[Path, Cohort], object], text: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(plain(tmp_path, text), FILMS)


def test_blank_rows_and_blank_cells_at_the_end_are_passed_over(tmp_path: Path) -> None:
    path = plain(tmp_path, "\nfilm,Mass\nf0.png,0.5,\n,\n\nf1.png,0.25,,\n")
    assert both(path, FILMS)[2] == [[0.5], [0.25]]


@pytest.mark.parametrize("status", ["status", "Status", " STATUS "])
def test_rows_that_were_not_scored_are_left_out(tmp_path: Path, status: str) -> None:
    path = plain(tmp_path, f"film,{status},Mass\nf0.png,ok,0.5\nf1.png,error,\nf2.png,reject\n")
    assert both(path, FILMS)[0] == ["f0.png"]
    assert read_table(path, FILMS).unscored == 2


def test_a_film_counts_once_and_says_whether_its_scores_differed(tmp_path: Path) -> None:
    rows = "f0.png,0.5,a\nf0,0.5,b\nf1.png,0.25,a\nx/f1.png,0.75,a\nf1.png,0.5,a\n"
    table = read_table(plain(tmp_path, f"film,Mass,note\n{rows}"), FILMS)
    assert table.values.tolist() == [[0.5], [0.25]]
    assert [film.name for film in table.repeats] == ["f0", "x/f1.png"]
    assert table.differing == (("x/f1.png", 5, 4),)
    with pytest.raises(DatasetError, match="line 3: film f0 is listed twice, before in line 2"):
        read_predictions(plain(tmp_path, f"film,Mass,note\n{rows}"), FILMS)


def test_film_columns_are_named_once() -> None:
    folded = [name.casefold().replace(" ", "").replace("_", "") for name in FILM_COLUMNS]
    assert len(set(folded)) == len(folded)
