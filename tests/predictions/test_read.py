"""Predictions tables of others, and our own, read back and matched by name."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.predictions.levels import Level
from hilum.predictions.read import read_predictions

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
        "1 rows of predictions.csv were not scored (status): left out",
        "2 of 4 labeled films have no prediction",
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
    assert "1 films of predictions.csv are not among the labeled films" in read.notes
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
        ("Image_ID,p_Mass,prob_mass\n0.png,0.5,0.5\n", "p_Mass and prob_mass are two columns"),
        ("Image_ID,Mass\n0.png,0.5\n0.png,0.6\n", "line 3: film 0.png is listed twice"),
        (
            "Image_ID,Mass\n0.png,0.5\na/0.png,0.6\n",
            "line 3: film a/0.png is listed twice, before in line 2",
        ),
        ("Image_ID,Mass\n0.png,0.5\n,0.5\n", "line 3: column Image_ID must name the film"),
        ("Image_ID,Mass\nother.png,0.5\n", "must have a film in common"),
        ("Image_ID,Mass\n", "must have a film in common"),
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


# columns


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("prob_Mass", "prob_Mass"),
        ("Prob Mass", "Prob Mass"),
        ("p_mass", "p_mass"),
        ("probability_Mass", "probability_Mass"),
        ("Mass_prob", "Mass_prob"),
        ("Mass_score", "Mass_score"),
        ("score_Lung Mass", "score_Lung Mass"),
        ("Mass_pred", "Mass_pred"),
        ("Mass,Mass_pred,Mass_threshold", "Mass"),
        ("Mass_threshold,Mass_pred,pred_Mass_x,prob_Mass", "prob_Mass"),
        ("Mass,Mass_prob", "Mass_prob"),
        ("Mass_pred,p_Mass,Mass", "p_Mass"),
    ],
)
def test_a_probability_is_never_a_decision_or_a_threshold(
    tmp_path: Path, header: str, read: str
) -> None:
    values = ["0.25" if name == read else "1" for name in header.split(",")]
    path = table(tmp_path, f"Image_ID,{header}\n0.png,{','.join(values)}\n")
    predictions = read_predictions(path, COHORT)
    assert predictions.columns == {"Mass": read}
    assert predictions.probabilities.of("Mass").tolist() == [0.25]
    passed_over = any("another column of the finding is read" in n for n in predictions.notes)
    assert passed_over == (len({name for name in header.split(",") if names_mass(name)}) > 1)


def names_mass(column: str) -> bool:
    return not column.endswith(("_threshold", "_x"))


def test_only_decisions_are_noted_as_such(tmp_path: Path) -> None:
    path = table(tmp_path, "Image_ID,Mass_pred\n0.png,1\n1.png,0\n")
    assert any("Mass: predictions.csv has only 0 and 1" in n for n in notes(path))


def notes(path: Path) -> tuple[str, ...]:
    return read_predictions(path, COHORT).notes


@pytest.mark.parametrize(
    "text",
    [
        "0,1,2\n0.1,0.2,0.3\n",
        ",0,1\n0,0.1,0.2\n",
        "0.12,0.5,0.7\n0.1,0.2,0.3\n",
        "class_0,class_1\n0.1,0.2\n",
        "image_id,0,1,2\n0.png,0.1,0.2,0.3\n",
        "image_id,prob_0,prob_1\n0.png,0.1,0.2\n",
    ],
)
def test_a_table_whose_order_is_unknown_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DatasetError, match=r"must name .*order is (unknown|not known)") as caught:
        read_predictions(table(tmp_path, text), COHORT)
    assert "Write" in str(caught.value)


def test_e13_the_order_of_columns_and_rows_is_of_no_consequence(tmp_path: Path) -> None:
    rows = [["Image_ID", "Effusion", "Mass"], ["1.png", "0.1", "0.2"], ["0.png", "0.3", "0.4"]]
    one = read_predictions(table(tmp_path, "\n".join(map(",".join, rows))), COHORT)
    turned = [rows[0], rows[2], rows[1]]
    other = read_predictions(
        table(tmp_path, "\n".join(",".join(row[::-1]) for row in turned)), COHORT
    )
    assert one.probabilities.labels == other.probabilities.labels
    assert (one.probabilities.values == other.probabilities.values).all()


# files


def test_e16_bom_and_crlf_are_read_and_the_rest_named(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_bytes("\ufeffImage_ID,Mass\r\n0.png,0.5\r\n".encode())
    assert read_predictions(path, COHORT).probabilities.of("Mass").tolist() == [0.5]
    path.write_bytes("Image_ID,Mass\nfilm-é.png,0.5\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"it has the byte 0xe9\. Save it as UTF-8"):
        read_predictions(path, COHORT)
    path.write_text("Image_ID;Mass\n0.png;0.5\n")
    with pytest.raises(DatasetError, match="separated by ';': save it with commas"):
        read_predictions(path, COHORT)


def test_gzip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("Image_ID,Mass\n0.png,0.5\n")
    assert read_predictions(path, COHORT).probabilities.of("Mass").tolist() == [0.5]
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DatasetError, match="must be a whole archive"):
        read_predictions(path, COHORT)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"0.png,0.5,{'x' * 200_000}", "field larger than field limit"),
        ("x" * 2_000_000, "must have lines below 1,048,576 characters"),
        ("0.png", "line 2 must have 2 fields or more; it has 1"),
    ],
)
def test_e18_a_field_without_end_is_refused(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_predictions(table(tmp_path, f"Image_ID,Mass,note\n{row}\n"), COHORT)


MEMORY = """
import resource, sys
from pathlib import Path
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.predictions.read import read_predictions
records = tuple(Record(f"{i}.png", str(i), (LabelState.NEGATIVE,)) for i in range(1000))
cohort = Cohort("drawn", LabelSet("one", ("Mass",)), records)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read = read_predictions(Path(sys.argv[1]), cohort)
print(len(read.cohort), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_e18_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    with path.open("w") as file:
        file.write("Image_ID,Mass\n")
        file.writelines(f"{row}.png,0.5\n" for row in range(1_000_000))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True
    )
    films, kilobytes = map(int, done.stdout.split())
    assert films == 1000
    assert kilobytes < 20_000


def test_f18_full_precision_survives(tmp_path: Path) -> None:
    p = float(np.nextafter(0.3, 1.0))
    path = table(tmp_path, f"Image_ID,Mass\n0.png,0.3\n1.png,{p!r}\n")
    low, high = read_predictions(path, COHORT).probabilities.of("Mass")
    assert (low, high) == (0.3, p)
    assert low < high


# names


def named(*names: str, studies: bool = False) -> Cohort:
    return Cohort(
        "drawn",
        LABELS,
        tuple(
            Record(
                name,
                name.split("/")[1] if "/" in name else name,
                (LabelState.NEGATIVE,) * 3,
                study_id="/".join(name.split("/")[1:3]) if studies else None,
            )
            for name in names
        ),
    )


CHEXPERT = named(
    "valid/patient64541/study1/view1_frontal.jpg",
    "valid/patient64542/study1/view1_frontal.jpg",
    "valid/patient64542/study1/view2_lateral.jpg",
    studies=True,
)


@pytest.mark.parametrize(
    ("film", "row"),
    [
        ("CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg", 0),
        ("valid/patient64542/study1/view1_frontal.jpg", 1),
        ("valid/patient64542/study1/view1_frontal", 1),
        ("patient64542\\study1\\view1_frontal.png", 1),
        ("./patient64542/study1/view1_frontal.dcm", 1),
        ("elsewhere/patient64541/study1/view1_frontal.jpg", 0),
        ("view2_lateral.jpg", 2),
    ],
)
def test_a_path_is_found_by_its_end(tmp_path: Path, film: str, row: int) -> None:
    read = read_predictions(table(tmp_path, f"Path,Mass\n{film},0.5\n"), CHEXPERT)
    assert read.cohort.records == (CHEXPERT.records[row],)


def test_an_ambiguous_file_name_is_not_used(tmp_path: Path) -> None:
    text = "Path,Mass\nview1_frontal.jpg,0.5\n"
    with pytest.raises(DatasetError, match=r"view1_frontal\.jpg; 1 of them fit several films"):
        read_predictions(table(tmp_path, text), CHEXPERT)
    more = "valid/patient64541/study1/view1_frontal.jpg,0.5\n"
    read = read_predictions(table(tmp_path, text + more), CHEXPERT)
    assert len(read.cohort) == 1
    assert "1 names of predictions.csv fit several films and are left out" in read.notes


def test_a_film_that_is_not_here_lends_its_scores_to_no_other(tmp_path: Path) -> None:
    cohort = named("valid/a/study1/view1.jpg", "valid/b/study2/view1.jpg")
    text = "Path,Mass\nX/valid/a/study1/view1.jpg,0.5\nX/train/c/study2/view1.jpg,0.9\n"
    read = read_predictions(table(tmp_path, text), cohort)
    assert read.cohort.image_ids() == ["valid/a/study1/view1.jpg"]
    assert "1 films of predictions.csv are not among the labeled films" in read.notes


@settings(max_examples=25, deadline=None)
@given(
    st.sets(st.text("ab/", min_size=1, max_size=6).filter(lambda s: s.strip("/")), min_size=1),
    st.text("ab/", max_size=4),
)
def test_every_film_is_found_by_its_own_name_under_any_folder(names: set[str], folder: str) -> None:
    clean = {"/".join(part for part in name.split("/") if part) + ".png" for name in names}
    films = FilmNames(sorted(clean))
    for row, name in enumerate(sorted(clean)):
        assert films.find(name).row == row
        found = films.find(f"{folder}/{name}").row
        assert found is not None
        asked = re.sub("/+", "/", f"/{folder}/{name}")
        assert asked.endswith(sorted(clean)[found])


@pytest.mark.parametrize("column", ["Study", "study_id", "Path"])
def test_studies_are_matched_as_films_are(tmp_path: Path, column: str) -> None:
    text = (
        f"{column},Mass\nCheXpert-v1.0/valid/patient64542/study1,0.5\n"
        "CheXpert-v1.0/valid/patient64541/study1,0.25\n"
    )
    read = read_predictions(table(tmp_path, text), CHEXPERT)
    assert read.level is Level.STUDY
    assert read.cohort.image_ids() == ["patient64541/study1", "patient64542/study1"]
    assert read.probabilities.of("Mass").tolist() == [0.25, 0.5]
    assert f"predictions.csv names studies in {column}: a row is a study" in read.notes


def test_a_film_column_is_preferred_to_a_study_column(tmp_path: Path) -> None:
    film = CHEXPERT.records[2].image_id
    path = table(tmp_path, f"study_id,Mass,image_id\npatient64542/study1,0.5,{film}\n")
    read = read_predictions(path, CHEXPERT)
    assert (read.level, read.cohort.image_ids()) == (Level.FILM, [film])


# the truth beside the scores

TRUTH = Cohort(
    "drawn",
    LABELS,
    tuple(
        Record(f"{i}.png", f"p{i}", (LabelState(i % 2), LabelState(i // 2 % 2), LabelState(0)))
        for i in range(8)
    ),
)
OUTPUTS = [
    *("Effusion_pred", "predicted_Effusion", "Effusion_output", "Effusion_yhat", "y_hat_Effusion"),
    *("Effusion_sigmoid", "Effusion_score", "pred.Effusion", "EffusionPred", "effusion-prediction"),
    *("model_Effusion", "Pleural Effusion_pred", "Effusion (pred)", "preds/Effusion"),
]


def beside(folder: Path, header: str, rows: list[str]) -> Path:
    lines = [f"{row}.png,{text}" for row, text in enumerate(rows)]
    return table(folder, f"Image_ID,{header}\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("bare", ["Effusion", "Pleural Effusion", "effusion"])
@pytest.mark.parametrize("first", [True, False])
def test_law_a_bare_column_of_0_and_1_beside_an_output_is_the_truth(
    tmp_path: Path, output: str, bare: str, first: bool
) -> None:
    rows = [[str(i % 2), f"0.{i + 1}5"] for i in range(8)]
    header = [bare, output]
    if not first:
        header, rows = header[::-1], [row[::-1] for row in rows]
    read = read_predictions(beside(tmp_path, ",".join(header), list(map(",".join, rows))), TRUTH)
    assert read.columns == {"Effusion": output}
    assert read.probabilities.of("Effusion").tolist() == [float(f"0.{i + 1}5") for i in range(8)]
    assert any((bare in note and "instead" in note) or "truth" in note for note in read.notes)


@pytest.mark.parametrize("states", ["0,1,-1,", "0,1,1,0", "1.0,0.0,,1.0"])
def test_the_truth_may_have_blanks_and_uncertain_labels(tmp_path: Path, states: str) -> None:
    rows = [f"{state},0.{row}5" for row, state in enumerate(states.split(","))]
    read = read_predictions(beside(tmp_path, "Mass,Mass_pred", rows), TRUTH)
    assert read.columns == {"Mass": "Mass_pred"}
    taken = "columns of 0 and 1 beside an output of the finding, taken as the truth: Mass"
    assert taken in read.notes


def test_the_truth_beside_logits_is_not_scored_either(tmp_path: Path) -> None:
    path = beside(tmp_path, "Mass,Mass_logit", ["1,2.5", "0,-1.0"])
    with pytest.raises(DatasetError, match="Mass_logit are logits by their names"):
        read_predictions(path, TRUTH)


@pytest.mark.parametrize("column", ["Mass", "Mass_pred", "prob_Mass", "Mass_score"])
def test_a_column_that_equals_the_labels_is_refused(tmp_path: Path, column: str) -> None:
    rows = [str(float(i // 2 % 2)) for i in range(8)]
    with pytest.raises(DatasetError, match=f"column {column} equals the labels on all 8 labeled"):
        read_predictions(beside(tmp_path, column, rows), TRUTH)
    rows[0] = "1"
    assert read_predictions(beside(tmp_path, column, rows), TRUTH).columns == {"Mass": column}


@pytest.mark.parametrize(
    "pair", [("Mass", "Mass_output"), ("Mass_pred", "Mass"), ("Mass_yhat", "Mass_pred")]
)
def test_two_outputs_are_refused_by_name(tmp_path: Path, pair: tuple[str, str]) -> None:
    path = beside(tmp_path, ",".join(pair), ["0.1,0.2", "0.3,0.4"])
    with pytest.raises(DatasetError, match=r"two columns of Mass\. Keep one") as caught:
        read_predictions(path, TRUTH)
    assert all(name in str(caught.value) for name in pair)


# cells


@pytest.mark.parametrize(
    ("cells", "remedy"),
    [
        (["13.4", "84.7"], "got '13.4'. Are these percent? Divide by 100"),
        (["19.8 %", "0.5"], "got '19.8 %'. Are these percent? Divide by 100"),
        (["", "0.5"], "got a blank cell. Not scored: leave the row out"),
        (["nan", "0.5"], "got 'nan'. Not scored: leave the row out"),
        (['"0,5"', '"0,7"'], "got '0,5'. Is that a decimal comma? Write 0.5"),
        (["-3.1", "4.5"], "got '-3.1'. Logits must be calibrated first"),
        (["0.1_98", "0.5"], "got '0.1_98'. It is not a number"),
        (["high", "0.5"], "got 'high'. It is not a number"),
        (["inf", "0.5"], "got 'inf'. The model failed on this film"),
        (["1.25", "0.5"], "got '1.25'. It is 0.25 above 1, more than rounding (1e-06)"),
    ],
)
def test_what_is_no_probability_says_what_it_may_be(
    tmp_path: Path, cells: list[str], remedy: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        read_predictions(beside(tmp_path, "Mass", cells), TRUTH)
    assert remedy in str(caught.value)


@given(st.floats(0.0, 9e-7), st.booleans())
@settings(max_examples=20, deadline=None)
def test_law_rounding_is_taken_as_0_or_1_and_said(
    tmp_path_factory: pytest.TempPathFactory, excess: float, above: bool
) -> None:
    value = 1.0 + excess if above else -excess
    path = beside(tmp_path_factory.mktemp("t"), "Mass", [repr(value), "0.25"])
    read = read_predictions(path, TRUTH)
    assert read.probabilities.of("Mass").tolist() == [1.0 if above else 0.0, 0.25]
    assert any("1 scores of predictions.csv are outside" in n for n in read.notes) == (
        not 0.0 <= value <= 1.0
    )
