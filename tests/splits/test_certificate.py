"""The three answers of a leak certificate: a leak, none found in what was compared, not checked."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.datasets import open_dataset
from hilum.domain.documents.audit import LeakVerdict
from hilum.domain.errors import DatasetError, LeakError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record, Split
from hilum.splits import (
    Place,
    SeenPatients,
    SplitTable,
    TrainingFilms,
    certify,
    read_training_films,
    refuse_leak,
)

LABELS = LabelSet("one", ("Mass",))
LEAK, NONE, UNCHECKED = LeakVerdict.LEAK, LeakVerdict.NONE_FOUND, LeakVerdict.NOT_CHECKED
Spell = Callable[[int], str]
SPELLINGS: dict[str, Spell] = {
    "plain": str,
    "float": "{}.0".format,
    "decimal comma": "{},00".format,
    "padded": "{:05d}".format,
    "blanks": " {} ".format,
    "excel text": '="{:04d}"'.format,
    "full width": lambda n: "".join(chr(0xFF10 + int(digit)) for digit in str(n)),
}
PREFIXES: dict[str, Spell] = {
    "P": "P{}".format,
    "patient": "patient{:05d}".format,
    "Patient_": "Patient_{}".format,
    "pid-": "pid-{}.0".format,
}


def cohort(
    films: Sequence[str], patients: Sequence[str], name: str = "table", drawn: bool = False
) -> Cohort:
    rows = zip(films, patients, strict=True)
    records = tuple(Record(film, patient, (LabelState(0),)) for film, patient in rows)
    return Cohort(name, LABELS, records, synthetic=drawn)


def split_table(folder: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    path = folder / "split.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image_id", "patient_id", "split"), *rows])
    return path


def bundle(folder: Path, population: str, patients: Sequence[str]) -> Path:
    place = folder / "bundle"
    place.mkdir()
    SeenPatients.of(population, patients).write(place / "seen_patients.txt")
    return place


# a split table or run


@pytest.mark.parametrize("evaluated", SPELLINGS)
@pytest.mark.parametrize("trained", SPELLINGS)
def test_a_patient_is_found_however_either_side_spells_the_id(
    tmp_path: Path, trained: str, evaluated: str
) -> None:
    path = split_table(tmp_path, [(f"x{n}", SPELLINGS[trained](n), "train") for n in (3, 12)])
    other = cohort(["a", "b"], [SPELLINGS[evaluated](n) for n in (12, 40)])
    found = certify(read_training_films(path, other), other)
    assert (found.verdict, found.leaking_films, found.leaking_patients) == (LEAK, 1, 1)
    with pytest.raises(LeakError, match=r"patients must not cross splits: 50\.0 % of the eval"):
        refuse_leak(found)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 99_999), unique=True, min_size=1, max_size=20),
    st.data(),
)
def test_law_the_overlap_depends_on_numbers_only(numbers: list[int], data: st.DataObject) -> None:
    trained = data.draw(st.lists(st.sampled_from(numbers), unique=True))
    spell = data.draw(st.lists(st.sampled_from(sorted(SPELLINGS)), min_size=2, max_size=2))
    patients = frozenset(SPELLINGS[spell[0]](n) for n in trained)
    training = TrainingFilms("list", frozenset({"x"}), patients, 0)
    evaluated = cohort([f"f{n}" for n in numbers], [SPELLINGS[spell[1]](n) for n in numbers])
    found = certify(training, evaluated)
    assert found.leaking_films == len(trained)
    assert (found.verdict is LEAK) == bool(trained)
    assert ("0 of" in found.certificate) == (not trained)


@pytest.mark.parametrize(
    "spelled", ["f1.png", "f1", "f1.PNG", "data/images/f1.png", "C:\\films\\f1.jpg", " f1.dcm "]
)
def test_a_film_is_found_by_the_rules_of_predictions(tmp_path: Path, spelled: str) -> None:
    path = split_table(tmp_path, [(spelled, "77", "train"), ("x.png", "78", "tune")])
    evaluated = cohort(["f1.png", "f2.png"], ["f1.png", "f2.png"])
    found = certify(read_training_films(path, evaluated), evaluated)
    assert (found.verdict, found.shared_films, found.leaking_films) == (LEAK, 1, 0)
    assert found.certificate.startswith(
        "50.0 % of the evaluation films (1 of 2) are training films by name, first: f1.png"
    )
    with pytest.raises(LeakError, match="films must not cross splits"):
        refuse_leak(found)


def test_none_found_says_what_was_compared(tmp_path: Path) -> None:
    path = split_table(tmp_path, [("x.png", "1", "train"), ("f1.png", "2", "test")])
    evaluated = cohort(["f1.png", "f2.png"], ["2", "3"])
    found = certify(read_training_films(path, evaluated), evaluated)
    assert found.verdict is NONE
    assert found.certificate == (
        "0 of 2 evaluation films and 0 of 2 evaluation patients belong to training patients "
        "(train of split.csv); 0 films are on both sides; compared: 2 films by name, 2 with 1 "
        "patients by id"
    )
    refuse_leak(found)


def test_without_patients_nothing_is_certified(tmp_path: Path) -> None:
    path = split_table(tmp_path, [("x.png", "1", "train")])
    evaluated = cohort(["f1.png", "f2.png"], ["f1.png", "nan"])
    found = certify(read_training_films(path, evaluated), evaluated)
    assert found.verdict is UNCHECKED
    assert found.certificate == (
        "not checked: the patients of 2 of 2 evaluated films are not known (train of split.csv). "
        "Compared, no match: 2 films by name"
    )
    refuse_leak(found)


def test_a_training_film_without_a_patient_leaves_it_unchecked(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("f1.png\nelsewhere.png\n")
    dataset = cohort(["f1.png", "f2.png"], ["1", "2"])
    evaluated = dataset.select(lambda record: record.image_id == "f2.png")
    found = certify(read_training_films(path, dataset), evaluated)
    assert found.verdict is UNCHECKED
    assert found.unchecked == ("the patients of 1 of 2 training films are not known",)


def test_ids_that_agree_but_for_a_word_are_not_called_different(tmp_path: Path) -> None:
    path = split_table(tmp_path, [("x.png", "1", "train"), ("y.png", "2", "train")])
    evaluated = cohort(["f1.png", "f2.png"], ["P2", "P3"])
    found = certify(read_training_films(path, evaluated), evaluated)
    assert found.verdict is UNCHECKED
    assert "those of training patients but for a word before the number" in found.certificate
    apart = cohort(["f1.png", "f2.png"], ["P7", "P8"])
    assert certify(read_training_films(path, apart), apart).verdict is NONE


@pytest.mark.parametrize("blank", ["nan", "None", "NULL", "<NA>", "n/a", "unknown"])
def test_blank_ids_are_nobodys_and_never_one_patient(tmp_path: Path, blank: str) -> None:
    rows = [("x.png", blank, "train"), ("z.png", blank, "test"), ("y.png", "5", "train")]
    path = split_table(tmp_path, rows)
    evaluated = cohort(["f1.png", "f2.png"], [blank, "6"])
    found = certify(read_training_films(path, evaluated), evaluated)
    assert (found.verdict, found.leaking_films) == (UNCHECKED, 0)


def test_destroyed_ids_are_refused_in_tables_and_lists(tmp_path: Path) -> None:
    path = split_table(tmp_path, [("x.png", "1.23E+15", "train")])
    evaluated = cohort(["f1.png"], ["1"])
    with pytest.raises(DatasetError, match=r"1 film of split\.csv has one that a spreadsheet cut"):
        read_training_films(path, evaluated)
    path = tmp_path / "train.csv"
    path.write_text("image_id,patient_id,Mass\nx.png,8.39861E+35,1\n")
    with pytest.raises(DatasetError, match="cut short, first: '8"):
        read_training_films(path, evaluated)


def test_a_labels_table_is_a_training_list_with_its_patients(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("patient_id,image_id,Mass\n0012,x.png,1\n13,y.png,0\n")
    evaluated = cohort(["f1.png", "f2.png"], ["12.0", "14"])
    found = certify(read_training_films(path, evaluated), evaluated)
    assert (found.verdict, found.leaking_films, found.films_unknown) == (LEAK, 1, 0)


def test_the_same_bytes_under_another_name_are_the_same_film(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = {name: tmp_path / name for name in ("a.png", "b.png", "c.png", "d.png")}
    for path in paths.values():
        path.write_bytes(rng.bytes(9_000))
    paths["d.png"].write_bytes(paths["a.png"].read_bytes())
    # the same end and size, but not the same film
    paths["c.png"].write_bytes(b"\x00" + paths["b.png"].read_bytes()[1:])
    training = TrainingFilms(
        "run", frozenset({"a.png", "b.png"}), frozenset({"1", "2"}), 0,
        files={name: paths[name] for name in ("a.png", "b.png")},
    )  # fmt: skip
    evaluated = cohort(["c.png", "d.png"], ["3", "4"])
    records = tuple(replace(r, path=paths[r.image_id]) for r in evaluated.records)
    found = certify(training, replace(evaluated, records=records))
    assert (found.verdict, found.shared_films) == (LEAK, 1)
    assert "training films by content, first: d.png" in found.certificate


# a bundle


@pytest.mark.parametrize("spell", [*SPELLINGS.values(), *PREFIXES.values()])
def test_a_table_of_a_datasets_films_meets_a_bundles_hashes(tmp_path: Path, spell: Spell) -> None:
    place = bundle(tmp_path, "drawn-nih", ["12", "13"])
    films = ["00000012_003.png", "00000040_000.png"]
    evaluated = cohort(films, [spell(12), spell(40)])
    found = certify(read_training_films(place, evaluated), evaluated)
    assert (found.verdict, found.leaking_films) == (LEAK, 1)
    apart = cohort(["00000041_003.png", "00000040_000.png"], [spell(41), spell(40)])
    found = certify(read_training_films(place, apart), apart)
    assert found.verdict is NONE
    assert "films were not compared, since a bundle does not carry their names" in found.certificate


@pytest.mark.parametrize(
    ("population", "patient", "film", "spelled"),
    [
        ("chexpert", "patient00012", "train/patient00012/study1/view1_frontal.jpg", "12.0"),
        ("mimic", "10000032", "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.dcm", "p10000032"),
        ("nih", "12", "00000012_000.png", "00000012_000.png"),
    ],
)
def test_each_datasets_own_rule_is_declared(
    tmp_path: Path, population: str, patient: str, film: str, spelled: str
) -> None:
    place = bundle(tmp_path, population, [patient])
    evaluated = cohort([film], [spelled])
    assert certify(read_training_films(place, evaluated), evaluated).verdict is LEAK


@pytest.mark.parametrize("trained", ["plain", "float", "padded"])
@pytest.mark.parametrize("evaluated", SPELLINGS)
def test_two_tables_meet_by_hash_in_any_spelling(
    tmp_path: Path, trained: str, evaluated: str
) -> None:
    place = bundle(tmp_path, "table", [SPELLINGS[trained](12)])
    mine = cohort(["a.png"], [SPELLINGS[evaluated](12)])
    assert certify(read_training_films(place, mine), mine).verdict is LEAK


def test_another_hospitals_patient_12_is_not_called_the_datasets(tmp_path: Path) -> None:
    place = bundle(tmp_path, "nih", ["12", "13"])
    evaluated = cohort(["a.png", "b.png"], ["12", "99"])
    found = certify(read_training_films(place, evaluated), evaluated)
    assert found.verdict is UNCHECKED
    assert "nothing tells that the ids of 2 of 2 evaluated films are nih ids" in found.certificate
    assert "(if they are, 1 of these films are of training patients)" in found.certificate
    assert "0 of" not in found.certificate


def test_datasets_of_different_hospitals_share_nobody(tmp_path: Path) -> None:
    place = bundle(tmp_path, "nih", ["12", "13"])
    evaluated = cohort(
        ["train/patient00012/study1/view1_frontal.jpg"], ["patient00012"], "chexpert"
    )
    found = certify(read_training_films(place, evaluated), evaluated)
    assert (found.verdict, found.compared) == (
        NONE,
        ("chexpert and nih are of different patients",),
    )
    evaluated = cohort(["0004cfab14fd4e4980ba63a80b6bddd6"] * 1, ["f"], "vindr")
    nameless = replace(evaluated.records[0], patient_id=evaluated.records[0].image_id)
    evaluated = replace(evaluated, records=(nameless,))
    assert certify(read_training_films(place, evaluated), evaluated).verdict is NONE
    # RSNA's films are NIH's under other names
    evaluated = cohort(["0004cfab-14fd-4e49-80ba-63a80b6bddd6"], ["12"], "rsna")
    assert certify(read_training_films(place, evaluated), evaluated).verdict is UNCHECKED


def test_a_drawn_patient_is_not_the_datasets(tmp_path: Path) -> None:
    place = bundle(tmp_path, "drawn-nih", ["12"])
    evaluated = cohort(["00000012_000.png"], ["12"], "nih")
    assert certify(read_training_films(place, evaluated), evaluated).verdict is NONE


def test_a_run_knows_the_patients_of_its_first_weights_by_hash_only(tmp_path: Path) -> None:
    SplitTable("mine", {"x.png": Place("a", Split.TRAIN)}).write(tmp_path / "split.csv")
    seen = SeenPatients.of("table", ["a"]).union(SeenPatients.of("nih", ["12"]))
    seen.write(tmp_path / "seen_patients.txt")
    evaluated = cohort(["f.png"], ["b"])
    found = certify(read_training_films(tmp_path, evaluated), evaluated)
    assert found.verdict is UNCHECKED
    SeenPatients.of("table", ["a"]).write(tmp_path / "seen_patients.txt")
    assert certify(read_training_films(tmp_path, evaluated), evaluated).verdict is NONE


# splits and datasets


@pytest.mark.parametrize("first", SPELLINGS)
@pytest.mark.parametrize("second", SPELLINGS)
def test_no_split_table_parts_one_patient_by_spelling(first: str, second: str) -> None:
    films = {
        "a": Place(SPELLINGS[first](3), Split.TRAIN),
        "b": Place(SPELLINGS[second](3), Split.TEST),
    }
    with pytest.raises(LeakError, match="patients must not cross splits: 1 patient"):
        SplitTable("mine", films)


def test_films_that_are_their_own_patients_are_told_apart_as_films() -> None:
    films = {"1": Place("1", Split.TRAIN), "01": Place("01", Split.TEST)}
    assert len(SplitTable("mine", films).films) == 2


@pytest.mark.parametrize("spell", ["float", "padded"])
def test_a_dataset_has_one_spelling_of_each_patient_and_says_so(tmp_path: Path, spell: str) -> None:
    rows = [f"{n}.png,{n},0" for n in range(1, 4)]
    rows += [f"{n}b.png,{SPELLINGS[spell](n)},1" for n in range(2, 4)]
    path = tmp_path / "labels.csv"
    path.write_text("image_id,patient_id,Mass\n" + "\n".join(rows) + "\n")
    dataset = open_dataset(path)
    assert dataset.patients().tolist() == ["1", "2", "3", "2", "3"]
    assert any("patient ids folded" in note and "2 patients" in note for note in dataset.notes)
    path.write_text("image_id,patient_id,Mass\n" + "\n".join(rows[:3]) + "\n")
    assert not any("folded" in note for note in open_dataset(path).notes)


def test_a_dataset_with_destroyed_ids_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image_id,patient_id,Mass\na.png,1.23E+15,0\nb.png,1.23E+15,1\n")
    with pytest.raises(DatasetError, match=r"2 films of table have one .* Export the id column"):
        open_dataset(path)


@pytest.mark.parametrize(("trained", "evaluated"), [("12", "P0012"), ("P0012", "12.0")])
def test_a_word_before_the_number_is_not_called_another_patient(
    tmp_path: Path, trained: str, evaluated: str
) -> None:
    place = bundle(tmp_path, "table", [trained])
    mine = cohort(["a.png"], [evaluated])
    found = certify(read_training_films(place, mine), mine)
    assert found.verdict is UNCHECKED
    assert "but for a word before the number" in found.certificate
    apart = cohort(["a.png"], ["13"])
    assert certify(read_training_films(place, apart), apart).verdict is NONE


def test_the_end_of_a_path_that_names_no_film_alone_is_no_match(tmp_path: Path) -> None:
    rows = [(f"train/patient{n:05d}/study1/view1_frontal.jpg", str(n), "train") for n in (1, 2)]
    path = split_table(tmp_path, rows)
    mine = cohort(["valid/patient64541/study1/view1_frontal.jpg"], ["patient64541"], "chexpert")
    assert certify(read_training_films(path, mine), mine).verdict is NONE
    one = split_table(tmp_path, rows[:1])
    assert certify(read_training_films(one, mine), mine).verdict is NONE
    path = split_table(tmp_path, [(f"/old/f{n}.png", str(n), "train") for n in (1, 2)])
    mine = cohort(["/new/x/f1.png"], ["/new/x/f1.png"])
    assert certify(read_training_films(path, mine), mine).verdict is LEAK
