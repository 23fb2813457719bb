"""Bad labels, splits and datasets, a line of the catalog each (E01 to E22).

Each test goes in by the door that a user has: a verb of `hilum`, or a room's public function.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import pytest

from hilum.datasets import open_dataset, reader
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.errors import DatasetError, LeakError
from hilum.domain.findings import LabelState
from hilum.domain.record import Split
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih
from hilum.predictions.read import read_predictions
from hilum.runs.folder import RunFolder
from hilum.splits import Place, SplitTable
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.stages.evaluate import RunEvaluation, evaluate_run
from hilum.stages.films import split_of

Said = Callable[..., tuple[int, str, str]]
Tables = tuple[pd.DataFrame, pd.DataFrame]
Write = Callable[[Tables], tuple[Path, Path]]

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "tables"
NIH = "Data_Entry_2017_v2020.csv"
OLD = "Data_Entry_2017.csv"
PRESET = "demo"


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    return reader("nih").write_example(tmp_path / "nih")


@pytest.fixture
def chexpert(tmp_path: Path) -> Path:
    return reader("chexpert").write_example(tmp_path / "chexpert")


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(toy / "run", tmp_path / "run")))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def problems(said: Said, *arguments: object) -> dict[str, Mapping[str, Any]]:
    """What `hilum check` finds, by code; of a code that comes twice the first."""
    code, out, err = said("check", *arguments, "--json")
    assert code in (0, 3), err
    found = json.loads(out)["problems"]
    assert code == (3 if any(problem["level"] == "error" for problem in found) else 0)
    return {problem["code"]: problem for problem in reversed(found)}


def refused(said: Said, *arguments: object) -> str:
    """The one line that a verb ends with."""
    code, out, err = said(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("hilum: ")
    assert err.count("\n") == 1
    return err


def train(root: Path, *options: object) -> tuple[object, ...]:
    return ("train", PRESET, "--data", root, "-o", root.with_name("new"), "--quiet", *options)


def evaluated(said: Said, written: tuple[Path, Path], *options: object) -> dict[str, Any]:
    table, labels = written
    out = table.with_name("out")
    asked = ("--labels", labels, "-o", out, "--resamples", 100, "--quiet", "--json", *options)
    code, text, err = said("evaluate", table, *asked)
    assert code == 0, err
    return json.loads(text)


# E01 to E05: rows and films


def test_e01_films_without_rows_are_refused_with_count_and_names(said: Said, nih: Path) -> None:
    table = nih / NIH
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    one = problems(said, nih)["UNLABELLED_FILMS"]
    assert (one["level"], one["count"]) == ("error", 5)
    for film in ("2_000", "3_000", "4_000", "6_000", "6_001"):
        assert f"/0000000{film}.png" in one["message"]
    assert problems(said, nih, "--allow-unlabelled")["UNLABELLED_FILMS"]["level"] == "warning"
    message = refused(said, *train(nih))
    assert "every film must have a row in the table; 5 in " in message
    assert "00000002_000.png, " in message
    # with leave to go on, the two films of the table are too few for the four splits
    assert "must have a film" in refused(said, *train(nih, "--allow-unlabelled"))


def test_e02_rows_without_films_are_counted_and_no_error(said: Said, nih: Path) -> None:
    row = (nih / NIH).read_text().splitlines()[-1]
    more = "".join(f"{row.replace('00000007', f'000001{n:02d}')}\n" for n in range(20))
    with (nih / NIH).open("a") as file:
        file.write(more)
    found = problems(said, nih)
    assert (found["ABSENT_FILMS"]["level"], found["ABSENT_FILMS"]["count"]) == ("warning", 21)
    assert "21 of 28 films listed are not here" in found["ABSENT_FILMS"]["message"]
    assert "UNLABELLED_FILMS" not in found


def test_e03_an_unknown_label_is_refused_with_the_nearest_name(said: Said, nih: Path) -> None:
    edit(nih / NIH, "Mass", "Pneumonai")
    for verb in (("check", nih), train(nih)):
        message = refused(said, *verb)
        assert f"{NIH} row 6: no finding 'Pneumonai'" in message
        assert "Did you mean 'Pneumonia'?" in message


def test_e04_synonyms_are_mapped_by_one_table_and_the_mapping_is_printed(
    said: Said, nih: Path
) -> None:
    before = open_dataset(nih)
    for word, synonym in (
        ("Effusion", "Pleural Effusion"),
        ("Infiltration", "Infiltrate"),
        ("Pleural_Thickening", "Pleural Thickening"),
    ):
        edit(nih / NIH, word, synonym)
    assert open_dataset(nih).sha256() == before.sha256()
    _, out, _ = said("check", nih, "--no-films", "--full")
    for synonym, word in (
        ("Pleural Effusion", "Effusion"),
        ("Infiltrate", "Infiltration"),
        ("Pleural Thickening", "Pleural_Thickening"),
    ):
        assert f"- spelling: {NIH}: '{synonym}' is read as {word}" in out
    assert "- spelling: BBox_List_2017.csv: 'Infiltrate' is read as Infiltration" in out


def test_e05_a_repeated_film_is_counted_and_two_labelings_are_refused(
    said: Said, nih: Path
) -> None:
    table, row = nih / NIH, (nih / NIH).read_text().splitlines()[1]
    whole = table.read_text()
    table.write_text(f"{whole}{row}\n")
    _, out, _ = said("check", nih, "--no-films", "--full")
    assert "rows that repeat a film with the same labels, left out: 1" in out
    table.write_text(f"{whole}{row.replace('Cardiomegaly', 'Mass')}\n")
    message = refused(said, "check", nih)
    assert f"{NIH} row 10: film 00000001_000.png is listed before with other labels" in message


# E06, E07: leaks


def test_e06_a_patient_in_two_splits_is_refused_and_nothing_overrides_it(
    said: Said, nih: Path, tmp_path: Path, tables: Tables, write: Write
) -> None:
    name = "00000006_001.png\n"
    edit(nih / "test_list.txt", name, "")
    with (nih / "train_val_list.txt").open("a") as file:
        file.write(name)
    one = problems(said, nih, "--no-films")["PATIENT_LEAK"]
    assert (one["level"], one["count"]) == ("error", 1)
    assert "first: 6." in one["message"]
    assert "patients must not cross splits: 1 patient (2 films)" in refused(said, *train(nih))
    # stricter than an override that is written down: there is none
    assert "No such option: --i-know" in refused(said, *train(nih, "--i-know"))
    split = tmp_path / "split.csv"
    split.write_text("image_id,patient_id,split\n000.png,0,train\n001.png,0,test\n")
    theirs, labels = write(tables)
    asked = ("--labels", labels, "-o", tmp_path / "out", "--trained-on", split)
    assert "patients must not cross splits" in refused(said, "evaluate", theirs, *asked)


@pytest.mark.slow
def test_e07_a_jpeg_copy_of_a_train_film_in_test_is_an_error(said: Said, tmp_path: Path) -> None:
    corpus = PhantomCorpus(patients=9, seed=3, enrichment=4, size=192)
    root = write_nih(corpus, tmp_path / "drawn")
    assert "NEAR_DUPLICATE" not in problems(said, root, "--quiet")
    source = (root / "train_val_list.txt").read_text().split()[0]
    target = (root / "test_list.txt").read_text().split()[0]
    film = cv2.imread(str(root / "images" / source), cv2.IMREAD_GRAYSCALE)
    data = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    copy = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(root / "images" / target), copy)
    one = problems(said, root, "--quiet")["NEAR_DUPLICATE"]
    assert (one["level"], one["count"]) == ("error", 1)
    assert source in one["message"]
    assert f"{target} (test)" in one["message"]


# E08 to E13: label states


def test_e08_uncertain_labels_have_no_default_policy(
    said: Said, chexpert: Path, tmp_path: Path
) -> None:
    wanted = "uncertain labels: what they count as must be set, as ignore, positive, negative or"
    assert wanted in refused(said, *train(chexpert))
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("Path,Edema\nvalid/patient64541/study1/view1_frontal.jpg,0.5\n")
    asked = ("--labels", chexpert, "-o", tmp_path / "out")
    assert wanted in refused(said, "evaluate", theirs, *asked)
    one = problems(said, chexpert, "--no-films")["UNCERTAIN_POLICY_MISSING"]
    assert (one["level"], one["count"]) == ("error", 1)
    for policy in ("ignore", "positive", "negative", "soft"):
        found = problems(said, chexpert, "--no-films", "--uncertain", policy)
        assert "UNCERTAIN_POLICY_MISSING" not in found


def test_e09_a_blank_is_not_negative_unless_that_is_said(said: Said, chexpert: Path) -> None:
    def edema(*options: str) -> dict[str, int]:
        asked = ("--no-films", "--uncertain", "ignore", "--views", "all", "--json")
        _, out, _ = said("check", chexpert, *asked, *options)
        return json.loads(out)["labels"]["findings"]["Edema"]["used"]

    plain, stated = edema(), edema("--blank", "negative")
    assert plain["unlabelled"] == 4
    assert stated == {**plain, "unlabelled": 0, "negative": plain["negative"] + 4}


def test_e10_no_finding_beside_a_finding_is_refused_or_settled_by_name(
    said: Said, nih: Path, chexpert: Path
) -> None:
    edit(nih / NIH, "Effusion|Pneumothorax", "No Finding|Pneumothorax")
    message = refused(said, "check", nih)
    assert f"{NIH} row 7: 'No Finding' must stand alone; got 'No Finding|Pneumothorax'" in message
    train_table = chexpert / "CheXpert-v1.0-small" / "train.csv"
    lines = train_table.read_text().splitlines()
    lines[2] = lines[2].replace(",PA,,,,1.0", ",PA,1.0,,,1.0")
    train_table.write_text("\n".join(lines))
    for policy, level in (("drop", "warning"), ("trust_findings", "warning"), ("keep", "error")):
        asked = ("--no-films", "--uncertain", "ignore", "--no-finding", policy)
        one = problems(said, chexpert, *asked)["NO_FINDING_CONFLICT"]
        assert (one["level"], one["count"]) == (level, 1)
        assert f"(--no-finding {policy})" in one["message"]


@pytest.mark.parametrize("cell", ["NaN", "2", "yes"])
def test_e11_a_label_that_is_none_is_refused_with_its_row(
    said: Said, tables: Tables, write: Write, chexpert: Path, tmp_path: Path, cell: str
) -> None:
    labels, predictions = tables
    labels = labels.astype({"Mass": object})
    labels.loc[4, "Mass"] = cell
    theirs, path = write((labels, predictions))
    asked = ("--labels", path, "-o", tmp_path / "out")
    message = refused(said, "evaluate", theirs, *asked)
    assert "labels.csv row 6: Mass: a label must be 1 (positive), 0 (negative)" in message
    assert f"got '{cell}'" in message
    edit(chexpert / "CheXpert-v1.0-small" / "valid.csv", "PA,1.0", f"PA,{cell}")
    message = refused(said, "check", chexpert)
    assert "row 3" in message
    assert f"got '{cell}'" in message


def test_e12_a_finding_of_one_class_is_null_with_a_reason_and_not_in_the_mean(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    labels["Hernia"], labels["Mass"] = 0, 1
    written = write((labels, predictions))
    found = evaluated(said, written)
    for name, reason in (("Hernia", "no film is positive"), ("Mass", "no film is negative")):
        auroc = found["findings"][name]["auroc"]
        assert auroc == {"value": None, "low": None, "high": None, "reason": reason}
    assert (found["macro"]["findings_counted"], found["macro"]["findings_total"]) == (1, 3)
    assert found["macro"]["auroc"] == {
        **found["findings"]["Effusion"]["auroc"],
        "reason": found["macro"]["auroc"]["reason"],
    }
    page = (written[0].with_name("out") / "evaluation.md").read_text()
    assert "1 of 3" in page


@pytest.mark.parametrize("which", ["labels", "predictions"])
def test_e13_the_order_of_columns_changes_nothing(
    said: Said, tables: Tables, write: Write, which: str
) -> None:
    straight = evaluated(said, write(tables))
    tables = tuple(
        table[[table.columns[0], *reversed(table.columns[1:])]] if name == which else table
        for name, table in zip(("labels", "predictions"), tables, strict=True)
    )
    shuffled = evaluated(said, write(tables))
    assert shuffled["findings"] == straight["findings"]
    for mean in ("macro", "micro"):
        for measure in ("auroc", "average_precision", "brier", "ece_equal_mass"):
            one, other = (found[mean][measure] for found in (straight, shuffled))
            assert other["value"] == pytest.approx(one["value"], abs=1e-12)


# E14 to E18: files as they are


def old_table(root: Path) -> None:
    """The table of 2020 as that of 2017: with a twelfth column, which is empty and has no name."""
    lines = (root / NIH).read_text().splitlines()
    (root / OLD).write_text("".join(f"{line},\n" for line in lines))


def test_e14_the_comma_in_the_header_shifts_nothing(nih: Path) -> None:
    old_table(nih)
    new, old = (open_dataset(nih / name) for name in (NIH, OLD))
    assert len((nih / NIH).read_text().splitlines()[0].split(",")) == 11
    assert len((nih / OLD).read_text().splitlines()[0].split(",")) == 12
    assert old.records == new.records
    first = new.records[0]
    assert (first.image_id, first.patient_id, first.view.value) == ("00000001_000.png", "1", "PA")
    positive = [n for n, s in zip(new.labels, first.states, strict=True) if s]
    assert positive == ["Cardiomegaly", "Emphysema"]
    assert (first.age_years, first.sex.value, first.follow_up) == (57.0, "M", 0)


def test_e15_which_table_the_labels_are_from_stands_in_the_evaluation(
    said: Said, nih: Path, tmp_path: Path
) -> None:
    old_table(nih)
    edit(nih / OLD, "Infiltration", "Pneumonia")
    theirs = tmp_path / "theirs.csv"
    names = open_dataset(nih / NIH).image_ids()
    rows = [f"{name},{0.1 + 0.1 * n}" for n, name in enumerate(names)]
    theirs.write_text("\n".join(["image_id,Pneumonia", *rows]))
    found = {name: evaluated(said, (theirs, nih / name)) for name in (NIH, OLD)}
    for name, evaluation in found.items():
        assert f"labels are from {name}" in evaluation["notes"]
    assert [e["findings"]["Pneumonia"]["positives"] for e in found.values()] == [0, 1]
    assert len({e["provenance"]["records_sha256"] for e in found.values()}) == 2
    _, out, _ = said("check", nih, "--no-films", "--full")
    assert f"labels are from {NIH}" in out
    assert "Pneumonia has 1,353 films in one, 1,431 in the other" in out


@pytest.mark.slow
def test_e15_the_table_of_2020_has_1431_films_with_pneumonia() -> None:
    table = SHARED / f"{NIH}.gz"
    if not table.is_file():
        pytest.skip("the real NIH table is not beside the checkout")
    cohort = open_dataset(table)
    pneumonia = cohort.states()[:, cohort.labels.index("Pneumonia")]
    assert (pneumonia == LabelState.POSITIVE).sum() == 1431
    assert f"labels are from {table.name}" in cohort.notes


def test_e16_a_byte_order_mark_and_crlf_change_no_number(
    said: Said, tables: Tables, write: Write
) -> None:
    written = write(tables)
    plain = evaluated(said, written)
    for path in written:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    again = evaluated(said, written)
    assert again["findings"] == plain["findings"]
    assert again["split"] == plain["split"]


@pytest.mark.parametrize("spoilt", [0, 1])
def test_e16_semicolons_and_latin_1_are_refused_with_the_byte(
    said: Said, tables: Tables, write: Write, tmp_path: Path, spoilt: int
) -> None:
    written = write(tables)
    path, whole = written[spoilt], written[spoilt].read_bytes()
    asked = ("evaluate", written[0], "--labels", written[1], "-o", tmp_path / "out")
    path.write_bytes(whole.replace(b",", b";"))
    message = refused(said, *asked)
    assert path.name in message
    assert "columns are separated by ';': save it with commas" in message
    path.write_bytes(whole.replace(b"005.png", "é.png".encode("latin-1")))
    message = refused(said, *asked)
    assert path.name in message
    assert "the byte 0xe9. Save it as UTF-8" in message


def test_e17_ages_that_cannot_be_are_in_no_age_group_and_counted(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    labels.loc[:2, "age"] = (0, 148, 413)
    written = write((labels, predictions))
    found = evaluated(said, written)
    groups = {g["group"]: g for g in found["subgroups"] if g["attribute"] == "age"}
    assert groups["unknown"]["images"] == 3
    assert groups["unknown"]["auroc"]["value"] is None
    assert sum(group["images"] for group in groups.values()) == len(labels)
    note = "films whose age cannot be, taken as unknown: 3"
    assert note in found["notes"]
    assert note in (written[0].with_name("out") / "evaluation.md").read_text()
    one = problems(said, written[1])["IMPOSSIBLE_AGE"]
    assert (one["level"], one["count"]) == ("warning", 3)


def peak_bytes(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_e18_a_long_table_is_read_row_by_row(tables: Tables, write: Write) -> None:
    theirs, labels = write(tables)
    cohort = open_dataset(labels)
    rows = "".join(f"elsewhere-{n:06d}.png,0.1,0.2,0.3\n" for n in range(30_000))
    with theirs.open("a") as file:
        file.write(rows)
    read_predictions(theirs, cohort)
    # a fifth of the file, and of what a list of its rows would take a hundredth
    assert peak_bytes(lambda: read_predictions(theirs, cohort)) < theirs.stat().st_size / 5
    assert len(read_predictions(theirs, cohort).cohort) == len(cohort)


@pytest.mark.parametrize("name", ["labels.csv", f"{NIH}.gz", "theirs.csv", "theirs.csv.gz"])
def test_e18_an_endless_line_is_refused_before_it_fills_the_memory(
    tables: Tables, write: Write, tmp_path: Path, name: str
) -> None:
    theirs, labels = write(tables)
    cohort, table = open_dataset(labels), tmp_path / "bomb" / name
    table.parent.mkdir()
    head = theirs.read_bytes() if name.startswith("theirs") else labels.read_bytes()
    if name.startswith(NIH):
        head = (reader("nih").write_example(tmp_path / "nih") / NIH).read_bytes()
    opener = gzip.open if name.endswith(".gz") else open
    with opener(table, "wb") as file:
        file.write(head)
        for _ in range(48):
            file.write(b"x" * 2**20)

    def read() -> None:
        with pytest.raises(DatasetError, match=r"must have lines (below|shorter than) 1,048,576"):
            read_predictions(table, cohort) if "theirs" in name else open_dataset(table)

    assert peak_bytes(read) < 24 * 2**20


def test_e18_a_field_too_large_is_refused_with_its_row(
    said: Said, tables: Tables, write: Write, tmp_path: Path
) -> None:
    written = write(tables)
    asked = ("evaluate", written[0], "--labels", written[1], "-o", tmp_path / "out")
    for path in written:
        whole = path.read_text()
        path.write_text(f'{whole}"{"x" * 200_000}",1,1,1,1,1\n')
        message = refused(said, *asked)
        assert "field larger than field limit (131072)" in message
        assert path.name in message
        path.write_text(whole)


# E19 to E22: the four uses


@pytest.mark.parametrize("split", ["tune", "calibrate"])
def test_e19_an_empty_split_is_refused_before_anything_is_read(
    said: Said, nih: Path, split: str
) -> None:
    rest = {"tune": "calibrate", "calibrate": "tune"}[split]
    changes = (f"split.{split}=0", f"split.{rest}=0.5", "split.train=0.5", "split.test=0")
    shares = [word for change in changes for word in ("--set", change)]
    assert f"split '{split}' of nih-official must have a film" in refused(
        said, *train(nih, *shares)
    )


def test_e19_films_cannot_be_for_tuning_and_for_test(
    said: Said, tables: Tables, write: Write, nih: Path, tmp_path: Path
) -> None:
    assert "split.val" in refused(said, *train(nih, "--set", "split.val=test_list.txt"))
    shutil.copyfile(nih / "test_list.txt", nih / "train_val_list.txt")
    assert "a film must be on one official list" in refused(said, *train(nih))
    labels, predictions = tables
    twice = pd.concat([labels.assign(split="tune"), labels.assign(split="test")])
    _, path = write((twice, predictions))
    assert "must have one split; it has another above" in refused(said, "check", path)
    own = tmp_path / "split.csv"
    own.write_text("image_id,patient_id,split\na.png,1,tune\na.png,1,test\n")
    with pytest.raises(DatasetError, match=r"line 3: film a\.png is listed twice"):
        SplitTable.read(own)


def test_e20_another_test_set_than_the_one_trained_with_is_refused(
    said: Said, run: RunFolder
) -> None:
    table = SplitTable.read(run.split)
    before = table.sha256(Split.TEST)
    moved = min(table.patients(Split.TEST))
    films = {
        name: Place(place.patient_id, Split.TRAIN) if place.patient_id == moved else place
        for name, place in table.films.items()
    }
    SplitTable(table.name, films).write(run.split)
    message = refused(said, "evaluate", run.root, "-o", run.root.with_name("out"))
    assert "the split must be the one of the run" in message
    assert "films are different. Restore it" in message
    table.write(run.split)
    assert run.films().split_sha256["test"] == before
    assert json.loads(run.evaluation.read_text())["split"]["sha256"] == before


def test_e21_the_test_split_calibrates_nothing(
    said: Said, run: RunFolder, tables: Tables, write: Write, tmp_path: Path
) -> None:
    with pytest.raises(LeakError, match="a calibrator must be fitted on calibrate films only"):
        calibrate_run(run, split_of(run, Split.TEST, None), CalibrationRequest())
    assert "No such option: --split" in refused(said, "calibrate", run.root, "--split", "test")
    theirs, labels = write(tables)
    asked = ("--labels", labels, "-o", tmp_path / "out", "--calibrate", "test")
    assert "--calibrate must be one of beta, " in refused(said, "evaluate", theirs, *asked)


def test_e22_without_patients_the_report_says_that_intervals_are_by_film(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    assert "patient bootstrap" in evaluated(said, write(tables))["interval"]
    written = write((labels.drop(columns="patient_id"), predictions))
    found = evaluated(said, written)
    assert "image-level bootstrap" in found["interval"]
    assert "patient bootstrap" not in found["interval"]
    assert NO_PATIENTS in found["notes"]
    page = (written[0].with_name("out") / "evaluation.md").read_text()
    assert "image-level bootstrap resamples, too narrow where films are of one patient" in page
    copy = shutil.copyfile(written[0], written[0].with_name("copy.csv"))
    asked = ("--labels", written[1], "-o", written[0].with_name("compared"), "--resamples", 100)
    code, out, err = said("compare", written[0], copy, *asked)
    assert (code, NO_PATIENTS in out) == (0, True), err
    one = problems(said, written[1])["PATIENT_UNKNOWN"]
    assert (one["level"], one["count"]) == ("warning", len(labels))
    assert "intervals are by film" in one["message"]


@pytest.mark.usefixtures("undrawn")
def test_e22_a_run_without_patients_says_it_too(run: RunFolder, tmp_path: Path) -> None:
    cohort = split_of(run, Split.TEST, None)
    nameless = replace(cohort, notes=(*cohort.notes, NO_PATIENTS))
    interval = evaluate_run(
        run, nameless, RunEvaluation(100, 0, tmp_path / "out")
    ).evaluation.interval
    assert "image-level bootstrap" in interval
    assert "patient bootstrap" not in interval
