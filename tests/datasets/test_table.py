"""A table of one's own: columns by many names, every label state, films found anywhere below."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.datasets import nih, open_dataset, table
from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort

POSITIVE, NEGATIVE = LabelState.POSITIVE, LabelState.NEGATIVE
UNCERTAIN, UNLABELLED = LabelState.UNCERTAIN, LabelState.UNLABELLED
NO_PATIENTS = "no patient column: each film is taken as its own patient, so intervals are by film"

Table = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Table:
    def write(*rows: str, name: str = "labels.csv") -> Path:
        (tmp_path / name).write_text("".join(f"{row}\n" for row in rows), "utf-8")
        return tmp_path / name

    return write


def by_name(cohort: Cohort) -> dict[str, dict[str, LabelState]]:
    return {
        record.image_id: dict(zip(cohort.labels, record.states, strict=True))
        for record in cohort.records
    }


def test_the_example_is_read_whole(tmp_path: Path) -> None:
    root = table.write_example(tmp_path)
    cohort = table.read(root)
    assert (cohort.labels.name, cohort.labels.findings) == (
        "table",
        ("Effusion", "Mass", "No Finding"),
    )
    assert [record.states for record in cohort.records] == [
        (POSITIVE, NEGATIVE, NEGATIVE),
        (NEGATIVE, UNLABELLED, NEGATIVE),
        (UNCERTAIN, NEGATIVE, NEGATIVE),
        (NEGATIVE, NEGATIVE, POSITIVE),
        (NEGATIVE, POSITIVE, NEGATIVE),
    ]
    first, second, third, fourth, fifth = cohort.records
    assert (first.patient_id, first.age_years, first.sex) == ("P1", 57.0, Sex.FEMALE)
    assert (first.view, second.view, third.view) == (
        ViewPosition.PA,
        ViewPosition.LL,
        ViewPosition.AP,
    )
    assert first.path == root / "a/one.png"
    assert fourth.path == root / "b/deep/four.png"  # by its name without the suffix
    assert fifth.path is None
    assert (cohort.official_test, cohort.official_tune) == ({"five"}, {"four"})
    assert cohort.notes == (
        "labels are from labels.csv",
        "labels.csv: 'Pleural Effusion' is read as Effusion",
        "films here: 4 of 5; the rest is known by label only",
        "films whose split is train or calibrate, drawn anew among these: 3",
    )


@pytest.mark.parametrize(
    "film",
    ["image_id", "Image Index", "Image_ID", "imageid", "path", "Path", "filename", "file", "Study"],
)
@pytest.mark.parametrize("patient", ["patient_id", "Patient ID", "PatientID", "subject_id"])
def test_columns_are_known_by_many_names(write: Table, film: str, patient: str) -> None:
    cohort = open_dataset(write(f"pleural_effusion,{patient},{film}", "1,7,a.png"))
    (record,) = cohort.records
    assert (record.image_id, record.patient_id, record.states) == ("a.png", "7", (POSITIVE,))
    assert NO_PATIENTS not in cohort.notes


def test_without_patients_each_film_is_its_own_and_the_report_can_say_so(write: Table) -> None:
    cohort = open_dataset(write("image_id,Mass", "a,1", "b,0"))
    assert [record.patient_id for record in cohort.records] == ["a", "b"]
    assert NO_PATIENTS in cohort.notes


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(5)))
def test_columns_in_any_order_say_the_same_by_name(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    rows = ["image_id,patient,Edema,Mass,Hernia", "a,1,1,0,-1", "b,2,,1,0", "c,1,0.0,1.0,-1.0"]
    cohorts: list[Cohort] = []
    for places in (range(5), order):
        path = tmp_path_factory.mktemp("table") / "t.csv"
        shuffled = (",".join(row.split(",")[place] for place in places) for row in rows)
        path.write_text("\n".join(shuffled) + "\n", "utf-8")
        cohorts.append(open_dataset(path))
    first, second = cohorts
    assert by_name(first) == by_name(second)
    assert first.patients().tolist() == second.patients().tolist()
    assert [n for n in rows[0].split(",") if n in first.labels] == list(first.labels)


@pytest.mark.parametrize("cell", ["NaN", "nan", "2", "yes", "true", "-2", "0.5", "1,0"])
def test_a_label_that_is_none_is_refused_with_its_row_and_column(write: Table, cell: str) -> None:
    cell = f'"{cell}"' if "," in cell else cell
    path = write("image_id,Edema,Mass", "a,1,0", f"b,0,{cell}")
    message = "labels.csv row 3: Mass: a label must be 1 (positive), 0 (negative), -1 (uncertain)"
    with pytest.raises(DatasetError, match=re.escape(message)):
        open_dataset(path)


def test_joined_labels_list_what_is_there(write: Table) -> None:
    path = write(
        "Image Index,Finding Labels",
        "a,Mass|Pleural Effusion",
        "b,No Finding",
        "c,",
        "d, Edema | mass",
    )
    cohort = open_dataset(path)
    assert cohort.labels.findings == ("Effusion", "Mass", "Edema")  # the catalog's order
    assert [record.states for record in cohort.records] == [
        (POSITIVE, POSITIVE, NEGATIVE),
        (NEGATIVE,) * 3,
        (UNLABELLED,) * 3,
        (NEGATIVE, POSITIVE, POSITIVE),
    ]
    assert "labels.csv: 'Pleural Effusion' is read as Effusion" in cohort.notes


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("Mass|Pneumonai", "row 3: no finding 'Pneumonai' in the catalog. Did you mean 'Pneum"),
        ("No Finding|Mass", "row 3: 'No Finding' must stand alone; got 'No Finding|Mass'"),
        ("Mass|", "row 3: no finding '' in the catalog"),
    ],
)
def test_joined_labels_that_cannot_be_are_refused(write: Table, cell: str, message: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(message)):
        open_dataset(write("image,labels", "a,Mass", f"b,{cell}"))


def test_a_table_without_any_finding_is_refused(write: Table) -> None:
    with pytest.raises(DatasetError, match="must name a finding in column labels; it names none"):
        open_dataset(write("image,labels", "a,No Finding", "b,"))


def test_columns_of_findings_count_before_joined_labels(write: Table) -> None:
    cohort = open_dataset(write("image,labels,Mass,Efusion,", "a,Edema,1,1,x"))
    assert cohort.labels.findings == ("Mass",)
    assert "labels.csv: columns not read: labels, Efusion" in cohort.notes


def test_two_columns_of_one_finding_are_refused(write: Table) -> None:
    path = write("image,Effusion,Pleural Effusion", "a,1,0")
    with pytest.raises(DatasetError, match=r"names a finding twice: .* Keep one column of each"):
        open_dataset(path)


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfimage_id,Mass\r\na,1\r\n\r\nb,0\r\n")
    assert open_dataset(path).states().ravel().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"image_id;Mass\na;1\n", "Its columns are separated by ';': save it with commas"),
        (b"image_id,Mass,note\na,1,caf\xe9\n", "must be UTF-8; it has the byte 0xe9"),
        (b"image_id,Mass\na\n", "row 2 must have 2 fields or more; it has 1"),
        (b"image_id,Mass\na," + b"1" * 200_000 + b"\n", "row 2 is not CSV: field larger"),
        (b"image_id,Mass\n,1\n", "row 2: image_id must be given; it is blank"),
        (b"image_id,Mass,patient\na,1,\n", "row 2: patient must be given; it is blank"),
    ],
)
def test_a_table_that_cannot_be_read_is_recognized_and_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    assert table.recognize(path)
    with pytest.raises(DatasetError, match=re.escape(message)):
        open_dataset(path)


@pytest.mark.parametrize(
    ("tail", "reason"), [(b"", "end-of-stream"), (b"\x07", "while decompressing")]
)
def test_a_gzip_that_was_damaged_on_the_way_is_refused(
    tmp_path: Path, tail: bytes, reason: str
) -> None:
    path = tmp_path / "t.csv.gz"
    gzip = zlib.compressobj(wbits=31)
    rows = "".join(f"{number:06d}.png,1\n" for number in range(5_000))
    whole = gzip.compress(f"image_id,Mass\n{rows}".encode()) + gzip.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(whole + tail)  # no block has the type of 7
    assert table.recognize(path)
    with pytest.raises(DatasetError, match=rf"t\.csv\.gz must be a whole archive: .*{reason}"):
        open_dataset(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"image_id\na\n",
        b"Mass\n1\n",
        b"\x89PNG\r\n\x1a\n\0\0",
        "image_id,Mass".encode("utf-16"),
    ],
)
def test_other_files_are_not_recognized(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    assert not table.recognize(tmp_path / "t.csv")
    assert not table.recognize(tmp_path)


def test_a_film_listed_twice_counts_once_unless_the_rows_disagree(write: Table) -> None:
    cohort = open_dataset(write("image_id,Mass", "a,1", "a,1.0"))
    assert len(cohort) == 1
    assert "rows that repeat a film with the same labels, left out: 1" in cohort.notes
    with pytest.raises(DatasetError, match="row 3: film a is listed before with other labels"):
        open_dataset(write("image_id,Mass", "a,1", "a,"))
    with pytest.raises(DatasetError, match="row 3: film a must have one split"):
        open_dataset(write("image_id,Mass,split", "a,1,train", "a,1,test"))


def test_splits_are_words(write: Table) -> None:
    cohort = open_dataset(
        write("image_id,Mass,Split", "a,1,train", "b,0,Val", "c,0,TEST", "d,0,", "e,1,calibrate")
    )
    assert (cohort.official_test, cohort.official_tune) == ({"c"}, {"b"})
    found = open_dataset(write("image_id,Mass,split", "a,1,train"))
    assert found.official_test is None
    assert "films whose split is train or calibrate, drawn anew among these: 1" in found.notes
    with pytest.raises(DatasetError, match=r"row 2: a split must be one of train, tune, calibrate"):
        open_dataset(write("image_id,Mass,split", "a,1,trian"))


def test_what_is_not_known_of_a_film_stays_unknown_and_is_counted(write: Table) -> None:
    cohort = open_dataset(
        write(
            "image_id,Mass,View Position,Patient Age,Patient Gender,study_id",
            "a,1,PA,61.0,Female,S1",
            "b,0,lateral,413,m,S1",
            "c,0,upside down,,x,",
        )
    )
    assert [record.view for record in cohort.records] == [
        ViewPosition.PA,
        ViewPosition.LL,
        ViewPosition.UNKNOWN,
    ]
    assert [record.age_years for record in cohort.records] == [61.0, None, None]
    assert [record.sex for record in cohort.records] == [Sex.FEMALE, Sex.MALE, Sex.UNKNOWN]
    assert [record.study_id for record in cohort.records] == ["S1", "S1", None]
    assert "films whose age cannot be, taken as unknown: 1" in cohort.notes
    assert "films whose view is no known word, taken as unknown: 1" in cohort.notes


def test_films_are_found_by_path_then_by_name_and_never_guessed(write: Table) -> None:
    rows = ["x/a.png", "a.png", "y\\b.jpg", "b", "./z/c.dcm", "d" * 5000]
    root = write("image_id,Mass", *(f"{row},1" for row in rows)).parent
    for name in ("x/a.png", "w/a.png", "y/b.jpg", "z/c.dcm", "z/._c.dcm", "z/left_over.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    cohort = open_dataset(root)
    assert [record.path for record in cohort.records] == [
        root / "x/a.png",
        None,  # there are two of that name
        root / "y/b.jpg",
        root / "y/b.jpg",
        root / "z/c.dcm",
        None,
    ]
    assert (
        "films here without a row in the table, left out: 2 (w/a.png, z/left_over.png)"
        in cohort.notes
    )


def test_a_column_of_paths_beside_the_film_s_name_is_where_it_is(write: Table) -> None:
    path = write("image_id,path,Mass", "one,films/1.png,1")
    (path.parent / "films").mkdir()
    (path.parent / "films/1.png").touch()
    (record,) = open_dataset(path).records
    assert (record.image_id, record.path) == ("one", path.parent / "films/1.png")


def test_beside_a_single_table_nothing_is_searched(write: Table) -> None:
    path = write("image_id,Mass", "a.png,1", "deep/b.png,0")
    (path.parent / "deep").mkdir()
    for name in ("deep/a.png", "deep/b.png"):
        (path.parent / name).touch()
    found = [record.path for record in open_dataset(path).records]
    assert found == [None, path.parent / "deep/b.png"]


def test_a_folder_has_one_table_or_it_must_be_named(write: Table) -> None:
    one = write("image_id,Mass", "a,1")
    write("film,probability", "a,0.3", name="other.csv")
    assert table.recognize(one.parent)
    write("image_id,Edema", "a,1", name="second.csv.gz.csv")
    assert not table.recognize(one.parent)
    with pytest.raises(DatasetError, match=r"it has labels\.csv, second\.csv\.gz\.csv\. Name the"):
        table.read(one.parent)
    assert len(open_dataset(one)) == 1


def test_another_dataset_s_table_is_its_reader_s(tmp_path: Path) -> None:
    root = nih.write_example(tmp_path)
    assert table.recognize(root)
    assert open_dataset(root).dataset == "nih"
    by_hand = open_dataset(root / "Data_Entry_2017_v2020.csv", "table")
    theirs = by_name(nih.read(root))
    for film, states in by_name(by_hand).items():
        assert {name: theirs[film][name] for name in states} == states


def test_predictions_are_not_labels(write: Table) -> None:
    path = write("image_id,Mass", "a,0.37")
    with pytest.raises(DatasetError, match=r"row 2: Mass: a label must be .* got '0\.37'"):
        open_dataset(path)


def test_rows_of_several_readers_are_votes(tmp_path: Path) -> None:
    """Who did not judge has no vote; half of two is no majority."""
    rows = ("a,R1,1,", "a,R2,0,1", "a,R3,1,", "b,R1,1,0", "b,R2,0,", "a,R3,1,")
    table = "\n".join(("image_id,reader,Mass,Edema", *rows))
    (tmp_path / "labels.csv").write_text(table, "utf-8")
    cohort = open_dataset(tmp_path)
    states = {record.image_id: [int(state) for state in record.states] for record in cohort.records}
    assert states == {"a": [1, 1], "b": [0, 0]}
    assert [vote.reader for vote in cohort.records[0].votes] == ["R1", "R2", "R3"]
    assert any("repeat a film with the same labels" in note for note in cohort.notes)


def test_a_reader_has_one_opinion_of_a_film(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image_id,reader,Mass\na,R1,1\na,R1,0\n", "utf-8")
    with pytest.raises(DatasetError, match="row 3: R1 has other labels for this film"):
        open_dataset(tmp_path)
