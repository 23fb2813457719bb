"""PadChest: how its lists of labels are read, and its traps, on small tables."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.datasets import open_dataset, padchest
from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState, label_set
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record

NAME = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
# the real header begins with a column that has no name
HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
    "Projection,Report,Labels"
)

Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """A table of one film for each list of labels, with what else differs."""

    def write(
        *labels: str, birth: str = "1950.0", sex: str = "F", view: str = "PA", report: str = "."
    ) -> Path:
        lines = [HEADER]
        for n, text in enumerate(labels):
            who = f"{n},{n}.png,0,20150101,s{n},p{n},{birth},{sex},{view}"
            lines.append(f'{who},"{report}","{text}"')
        (tmp_path / NAME).write_text("\n".join(lines) + "\n", "utf-8")
        return tmp_path

    return write


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return padchest.write_example(tmp_path)


def by_name(cohort: Cohort) -> dict[str, Record]:
    return {record.image_id: record for record in cohort.records}


def positives(record: Record) -> set[str]:
    pairs = zip(label_set("PadChest-25"), record.states, strict=True)
    return {name for name, state in pairs if state is LabelState.POSITIVE}


def silent(record: Record) -> bool:
    return set(record.states) == {LabelState.UNLABELLED}


def test_the_example_is_read_whole(example: Path) -> None:
    cohort = open_dataset(example)
    films = by_name(cohort)
    first, second = films["1a.png"], films["2a.png"]
    assert (first.patient_id, first.study_id) == ("1", "11")
    assert (first.sex, first.age_years, first.view) == (Sex.FEMALE, 84.0, ViewPosition.PA)
    assert first.path == example / "0" / "1a.png"
    assert positives(first) == {"No Finding"}
    assert positives(second) == {"Effusion"}
    assert films["1b.png"].view is ViewPosition.LL
    assert cohort.official_test is None
    assert cohort.notes == (
        f"labels are from {NAME}",
        "films whose labels say nothing, unlabelled: 2",
        "films 'unchanged' beside other labels, absent findings negative: 0",
        "read as Effusion: pleural effusion",
        "read as Mass: pulmonary mass",
        "read as Fracture: rib fracture",
        "read as No Finding: normal",
        "labels of no finding here, 1 left out: COPD signs (1)",
        "films without an age, or whose age is 0 or cannot be: 2",
        "films here: 5 of 6; the rest is known by label only",
    )


@pytest.mark.parametrize(
    ("label", "findings"),
    [
        ("pulmonary mass", {"Mass"}),
        ("infiltrates", {"Infiltration"}),
        ("hiatal hernia", {"Hernia"}),
        ("clavicle fracture", {"Fracture"}),
        ("vertebral fracture", {"Fracture"}),
        ("callus rib fracture", {"Fracture"}),
        ("laminar atelectasis", {"Atelectasis"}),
        ("apical pleural thickening", {"Pleural_Thickening"}),
        ("pulmonary edema", {"Edema"}),
        ("pulmonary fibrosis", {"Fibrosis"}),
        ("hydropneumothorax", {"Effusion", "Pneumothorax"}),
        ("air bronchogram", {"Consolidation", "Infiltration"}),
        ("consolidation", {"Consolidation", "Infiltration"}),
        ("interstitial pattern", {"ILD", "Infiltration"}),
        ("supra aortic elongation", {"Aortic elongation"}),
        ("tuberculosis sequelae", {"Tuberculosis"}),
        ("normal", {"No Finding"}),
        # near in words, not in meaning
        ("subcutaneous emphysema", set()),
        ("pericardial effusion", set()),
        ("pseudonodule", set()),
        ("vertebral compression", set()),
        ("COPD signs", set()),
    ],
)
def test_labels_are_mapped_by_name(table: Table, label: str, findings: set[str]) -> None:
    (record,) = open_dataset(table(f"['{label}']")).records
    assert positives(record) == findings
    assert set(record.states) <= {LabelState.POSITIVE, LabelState.NEGATIVE}


def test_stray_blanks_and_empty_labels_do_not_matter(table: Table) -> None:
    first, second = open_dataset(
        table("['nodule', 'scoliosis']", "[' nodule', '', 'scoliosis ','']")
    ).records
    assert positives(first) == positives(second) == {"Nodule", "Scoliosis"}
    assert first.states == second.states


@pytest.mark.parametrize(
    "text",
    [
        *("", "nan", "[]", "['']", "['exclude']", "['unchanged']", "['suboptimal study']"),
        *("['unchanged', '']", "['exclude', ' unchanged']"),
    ],
)
def test_a_list_that_says_nothing_leaves_all_unlabelled(table: Table, text: str) -> None:
    cohort = open_dataset(table(text, "['normal']"))
    assert silent(cohort.records[0])
    assert not silent(cohort.records[1])
    assert "films whose labels say nothing, unlabelled: 1" in cohort.notes


def test_unchanged_beside_a_finding_says_that_finding(table: Table) -> None:
    cohort = open_dataset(table("['unchanged', 'cardiomegaly']"))
    assert positives(cohort.records[0]) == {"Cardiomegaly"}
    assert "films 'unchanged' beside other labels, absent findings negative: 1" in cohort.notes


def test_normal_beside_a_finding_is_a_conflict_that_the_policy_settles(table: Table) -> None:
    cohort = open_dataset(table("['normal', 'nodule']", "['normal', 'NSG tube']"))
    settled = settle(cohort, LabelPolicy())
    assert settled.image_ids() == ["1.png"]
    assert settled.notes[-1] == "films with No Finding beside a finding, policy drop: 1"


def test_labels_left_out_are_counted_the_commonest_first(table: Table) -> None:
    cohort = open_dataset(table("['NSG tube', 'kyphosis']", "['kyphosis']", "['nodule']"))
    assert "labels of no finding here, 2 left out: kyphosis (2), NSG tube (1)" in cohort.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("['pneumonai']", "no label 'pneumonai' in PadChest. Did you mean 'pneumonia'?"),
        ("['nodule', 'scolosis']", "no label 'scolosis' in PadChest. Did you mean 'scoliosis'?"),
        ("yes", "Labels must be a list such as ['nodule', 'normal']; got 'yes'"),
        ("2", "Labels must be a list"),
        ("['nodule'", "Labels must be a list"),
        ("['nodule' 'normal']", "Labels must be a list"),
        ("{'nodule'}", "Labels must be a list"),
        ("[['nodule']]", "Labels must be a list"),
        ("[1]", "Labels must be a list"),
        ("['no\\x64ule']", "Labels must be a list"),
        ("__import__('os').abort()", "Labels must be a list"),
        ("[" * 10_000, "Labels must be a list"),
    ],
)
def test_labels_that_cannot_be_are_refused_with_their_row(
    table: Table, text: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=re.escape(f"{NAME} row 3: {message}")) as caught:
        open_dataset(table("['nodule']", text))
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("word", "view"),
    [
        ("PA", ViewPosition.PA),
        ("AP", ViewPosition.AP),
        ("AP_horizontal", ViewPosition.AP),
        ("L", ViewPosition.LL),
        ("COSTAL", ViewPosition.OTHER),
        ("EXCLUDE", ViewPosition.OTHER),
        ("UNK", ViewPosition.UNKNOWN),
    ],
)
def test_views_are_those_the_authors_reviewed(table: Table, word: str, view: ViewPosition) -> None:
    assert open_dataset(table("['normal']", view=word)).records[0].view is view


@pytest.mark.parametrize(
    ("birth", "years"),
    [
        *(("1950.0", 65.0), ("1950", 65.0)),
        *((birth, None) for birth in ("2015.0", "2016.0", "1850.0", "", "nan", "inf")),
    ],
)
def test_ages_are_years_between_study_and_birth(
    table: Table, birth: str, years: float | None
) -> None:
    cohort = open_dataset(table("['normal']", birth=birth))
    assert cohort.records[0].age_years == years
    note = "films without an age, or whose age is 0 or cannot be: 1"
    assert (note in cohort.notes) == (years is None)


@pytest.mark.parametrize(("word", "sex"), [("M", Sex.MALE), ("O", Sex.UNKNOWN), ("", Sex.UNKNOWN)])
def test_sex_is_unknown_unless_f_or_m(table: Table, word: str, sex: Sex) -> None:
    assert open_dataset(table("['normal']", sex=word)).records[0].sex is sex


def test_a_report_over_several_lines_moves_no_row_number(table: Table) -> None:
    root = table("['normal']", "['nodule']", "maybe", report="one\ntwo\n\nthree")
    with pytest.raises(DatasetError, match="row 4: Labels must be a list"):
        open_dataset(root)


def test_a_field_too_large_is_refused_in_one_line(table: Table) -> None:
    with pytest.raises(DatasetError, match=r"is not CSV: field larger than field limit \(131072\)"):
        open_dataset(table("['normal']", report="x" * 200_000))


def test_a_film_listed_twice_counts_once_unless_the_rows_disagree(example: Path) -> None:
    path = example / NAME
    row = path.read_text("utf-8").splitlines()[1]
    path.write_text(path.read_text("utf-8") + row + "\n", "utf-8")
    assert len(open_dataset(path)) == 6
    path.write_text(path.read_text("utf-8") + row.replace("normal", "nodule") + "\n", "utf-8")
    with pytest.raises(DatasetError, match=r"row 9: film 1a\.png is listed before"):
        open_dataset(path)


def test_films_are_found_in_any_folder_of_the_download_or_beside_the_table(example: Path) -> None:
    (example / "0" / "1a.png").rename(example / "1a.png")
    (example / "54").mkdir()
    (example / "1" / "1b.png").rename(example / "54" / "1b.png")
    films = by_name(open_dataset(example))
    assert films["1a.png"].path == example / "1a.png"
    assert films["1b.png"].path == example / "54" / "1b.png"


def test_the_table_opens_gzipped_and_under_another_name(example: Path) -> None:
    before = open_dataset(example).sha256()
    other = example / "mine.csv.gz"
    other.write_bytes(gzip.compress((example / NAME).read_bytes()))
    assert open_dataset(other).sha256() == before


def test_a_folder_without_the_table_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="PadChest must have PADCHEST_chest_x_ray"):
        padchest.read(tmp_path)
