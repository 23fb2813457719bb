"""MIMIC-CXR-JPG: three tables joined, and its traps."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.datasets import mimic, open_dataset
from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState, label_set
from hilum.domain.policy import LabelPolicy, Uncertain, Views, settle
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record

CHEXPERT, NEGBIO, METADATA, SPLIT = (
    f"mimic-cxr-2.0.0-{kind}.csv" for kind in ("chexpert", "negbio", "metadata", "split")
)

Change = Callable[[str, str, str], None]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return mimic.write_example(tmp_path)


@pytest.fixture
def change(example: Path) -> Change:
    def replace(table: str, old: str, new: str) -> None:
        text = (example / table).read_text("utf-8")
        assert old in text
        (example / table).write_text(text.replace(old, new, 1), "utf-8")

    return replace


def by_name(cohort: Cohort) -> dict[str, Record]:
    return {record.image_id: record for record in cohort.records}


def known(record: Record) -> dict[str, LabelState]:
    pairs = zip(label_set("CheXpert-14"), record.states, strict=True)
    return {name: state for name, state in pairs if state is not LabelState.UNLABELLED}


def test_the_example_is_read_whole(example: Path) -> None:
    cohort = open_dataset(example)
    films = by_name(cohort)
    first = films["0a"]
    assert (first.patient_id, first.study_id) == ("10000032", "50414267")
    assert first.path == example / "files/p10/p10000032/s50414267/0a.jpg"
    assert known(first) == {"No Finding": LabelState.POSITIVE}
    assert known(films["1a"]) == {
        "Consolidation": LabelState.POSITIVE,
        "Effusion": LabelState.UNCERTAIN,
        "Pneumonia": LabelState.UNCERTAIN,
    }
    assert known(films["2a"]) == {
        "Atelectasis": LabelState.POSITIVE,
        "Cardiomegaly": LabelState.NEGATIVE,
        "Pneumonia": LabelState.NEGATIVE,
        "Pneumothorax": LabelState.NEGATIVE,
    }
    assert cohort.official_test == {"2a", "3a"}
    assert cohort.official_tune == {"1a"}
    assert cohort.notes == (
        f"labels are from {CHEXPERT}, films from {METADATA}",
        f"{CHEXPERT}: 'Pleural Effusion' is read as Effusion",
        f"films whose study is not in {CHEXPERT}, unlabelled: 1",
        "films here: 4 of 5; the rest is known by label only",
    )


def test_labels_belong_to_the_study_and_all_its_films_carry_them(example: Path) -> None:
    films = by_name(open_dataset(example))
    assert films["0a"].states == films["0b"].states
    assert films["0a"].study_id == films["0b"].study_id


def test_a_film_of_a_study_without_labels_stays_unlabelled(example: Path) -> None:
    assert known(by_name(open_dataset(example))["3a"]) == {}


@pytest.mark.parametrize(
    ("word", "view"),
    [
        ("PA", ViewPosition.PA),
        ("AP", ViewPosition.AP),
        ("LATERAL", ViewPosition.LL),
        ("LL", ViewPosition.LL),
        ("", ViewPosition.UNKNOWN),
        ("AP LLD", ViewPosition.OTHER),
        ("XTABLE LATERAL", ViewPosition.OTHER),
        ("SWIMMERS", ViewPosition.OTHER),
    ],
)
def test_views(example: Path, change: Change, word: str, view: ViewPosition) -> None:
    change(METADATA, "50414267,PA", f"50414267,{word}")
    assert by_name(open_dataset(example))["0a"].view is view


def test_a_film_without_a_view_is_frontal_only_where_the_policy_says_so(example: Path) -> None:
    settled = settle(open_dataset(example), LabelPolicy(uncertain=Uncertain.IGNORE))
    assert settled.image_ids() == ["0a"]
    assert "films of unknown view left out, policy views=frontal: 1" in settled.notes
    policy = LabelPolicy(uncertain=Uncertain.IGNORE, views=Views.FRONTAL_OR_UNKNOWN)
    assert settle(open_dataset(example), policy).image_ids() == ["0a", "1a"]


def test_gzipped_tables_and_those_of_version_2_1_0_are_read(example: Path) -> None:
    before = open_dataset(example).sha256()
    for name in (CHEXPERT, METADATA, SPLIT):
        data = (example / name).read_bytes()
        (example / name).unlink()
        (example / f"{name.replace('2.0.0', '2.1.0')}.gz").write_bytes(gzip.compress(data))
    cohort = open_dataset(example)
    assert cohort.sha256() == before
    assert cohort.official_test == {"2a", "3a"}


def test_chexpert_s_labels_are_preferred_to_negbio_s_unless_asked_for(
    example: Path, change: Change
) -> None:
    shutil.copy(example / CHEXPERT, example / NEGBIO)
    change(NEGBIO, "50771383,1.0", "50771383,-1.0")
    assert open_dataset(example) == open_dataset(example / CHEXPERT)
    negbio = open_dataset(example / NEGBIO)
    assert known(by_name(negbio)["2a"])["Atelectasis"] is LabelState.UNCERTAIN
    assert negbio.notes[0] == f"labels are from {NEGBIO}, films from {METADATA}"
    (example / CHEXPERT).unlink()
    assert open_dataset(example) == negbio


@pytest.mark.parametrize("table", [CHEXPERT, METADATA, SPLIT])
def test_any_of_the_tables_opens_the_dataset(example: Path, table: str) -> None:
    assert open_dataset(example / table) == open_dataset(example)


@pytest.mark.parametrize(("given", "absent"), [(CHEXPERT, METADATA), (METADATA, CHEXPERT)])
def test_a_table_alone_says_which_other_it_needs(example: Path, given: str, absent: str) -> None:
    (example / absent).unlink()
    message = f"MIMIC-CXR-JPG needs a table of labels and one of films, side by side: .*{absent}"
    for place in (example, example / given):
        with pytest.raises(DatasetError, match=message):
            open_dataset(place)


def test_without_a_split_table_there_is_no_official_test_set(example: Path) -> None:
    (example / SPLIT).unlink()
    cohort = open_dataset(example)
    assert (cohort.official_test, cohort.official_tune) == (None, None)
    assert "films without an official split: 5" in cohort.notes


def test_labeled_studies_without_a_film_are_counted(example: Path, change: Change) -> None:
    change(METADATA, "2a,10000898,50771383,LL\n", "")
    notes = open_dataset(example).notes
    assert f"labeled studies without a film in {METADATA}, left out: 1" in notes


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (CHEXPERT, "50771383,1.0", "50771383,2", f"{CHEXPERT} row 4: a label must be 1"),
        (CHEXPERT, "50771383,1.0", "50771383,yes", f"{CHEXPERT} row 4: a label must be 1"),
        (CHEXPERT, "50771383,1.0", "50771383,NaN", f"{CHEXPERT} row 4: a label must be 1"),
        (CHEXPERT, "Edema", "Oedem", "it lacks Edema"),
        (CHEXPERT, "57375967", "50414267", f"{CHEXPERT} row 3: study 50414267 is listed before"),
        (CHEXPERT, "10000898", "10000899", "study 50771383 must have one patient"),
        (METADATA, "0b,", ",", f"{METADATA} row 3: film and patient must both be named"),
        (SPLIT, "validate", "valid", f"{SPLIT} row 4: film 1a must have one split"),
        (SPLIT, "0b,", "2a,", f"{SPLIT} row 5: film 2a must have one split"),
    ],
)
def test_what_breaks_the_format_is_refused_with_its_row(
    example: Path, change: Change, table: str, old: str, new: str, message: str
) -> None:
    change(table, old, new)
    with pytest.raises(DatasetError, match=re.escape(message)):
        open_dataset(example)


def test_a_film_of_two_patients_is_refused_with_its_row(example: Path, change: Change) -> None:
    change(METADATA, "0b,10000032,50414267", "0a,10000764,57375967")
    with pytest.raises(DatasetError, match="row 3: film 0a is listed before with other labels"):
        open_dataset(example)
