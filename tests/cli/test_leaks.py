"""`evaluate --trained-on`, `audit --trained-on` and `check` over ids that were saved again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.record import Split
from hilum.splits import SeenPatients, SplitTable

Said = Callable[..., tuple[int, str, str]]
Spell = Callable[[str], str]
RESAVED: dict[str, Spell] = {
    "float": "{}.0".format,
    "padded": lambda patient: patient.zfill(6),
    "prefixed": "P{}".format,
    "blank": lambda _: "",
}


@pytest.fixture
def place(toy: Path, tmp_path: Path) -> Path:
    """run/ and bundle/ that know whom they have seen."""
    run = shutil.copytree(toy / "run", tmp_path / "run")
    table = SplitTable.read(run / "split.csv")
    seen = {p.patient_id for p in table.films.values() if p.split is not Split.TEST}
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for folder in (run, bundle):
        SeenPatients.of("drawn-nih", seen).write(folder / "seen_patients.txt")
    return tmp_path


def write_table(place: Path, spell: Spell, kept: Callable[[Split], bool], rename: str = "") -> int:
    """Write labels.csv and scores.csv of the films of some splits; return their number."""
    rng = np.random.default_rng(0)
    films = SplitTable.read(place / "run" / "split.csv").films
    own = {film: p for film, p in sorted(films.items()) if kept(p.split)}
    named = spell("7") != ""
    labels = ["image_id," + "patient_id," * named + "Mass,Effusion"]
    scores = ["image_id,Mass,Effusion"]
    for row, (film, where) in enumerate(own.items()):
        name = f"{rename}{row}.png" if rename else film
        patient = f"{spell(where.patient_id)}," * named
        labels.append(f"{name},{patient}{row % 2},{row // 2 % 2}")
        scores.append(f"{name},{rng.random():.4f},{rng.random():.4f}")
    (place / "labels.csv").write_text("\n".join(labels) + "\n")
    (place / "scores.csv").write_text("\n".join(scores) + "\n")
    return len(own)


def evaluated(said: Said, place: Path, source: str) -> tuple[int, str, str]:
    return said(
        *("evaluate", place / "scores.csv", "--labels", place / "labels.csv"),
        *("-o", place / "out", "--resamples", 100, "--trained-on", place / source, "-q"),
    )


def audited(said: Said, place: Path, source: str) -> dict[str, str]:
    code, out, err = said(
        *("audit", place / "scores.csv", "--labels", place / "labels.csv"),
        *("--resamples", 100, "--trained-on", place / source, "--json"),
    )
    assert code == 0, err
    found = json.loads(out)
    kinds = {remark["kind"] for remark in found["remarks"]} & {
        *("LEAK", "NO_LEAK_FOUND", "LEAK_NOT_CHECKED")
    }
    assert len(kinds) == 1
    return {"kind": kinds.pop(), "verdict": found["leak"]["verdict"]}


@pytest.mark.parametrize("source", ["run", "run/split.csv", "bundle"])
@pytest.mark.parametrize("spell", RESAVED)
def test_training_films_under_other_ids_are_a_leak(
    said: Said, undrawn: None, place: Path, spell: str, source: str
) -> None:
    write_table(place, RESAVED[spell], lambda split: split is not Split.TEST)
    code, _, err = evaluated(said, place, source)
    assert (code, err.count("\n")) == (2, 1)
    assert "must not cross splits: 100.0 % of the evaluation films" in err
    assert not (place / "out").exists()
    assert audited(said, place, source) == {"kind": "LEAK", "verdict": "leak"}


@pytest.mark.parametrize("source", ["run", "bundle"])
def test_test_films_under_other_ids_pass(
    said: Said, undrawn: None, place: Path, source: str
) -> None:
    count = write_table(place, RESAVED["float"], lambda split: split is Split.TEST)
    code, _, err = evaluated(said, place, source)
    assert code == 0, err
    found = json.loads((place / "out" / "evaluation.json").read_text())
    assert found["leak"]["verdict"] == "none found in what was compared"
    assert any(f"0 of {count} evaluation films" in note for note in found["notes"])
    assert audited(said, place, source)["kind"] == "NO_LEAK_FOUND"


@pytest.mark.parametrize("source", ["run", "bundle"])
def test_what_cannot_be_compared_exits_with_3(
    said: Said, undrawn: None, place: Path, source: str
) -> None:
    write_table(place, RESAVED["blank"], lambda split: split is not Split.TEST, rename="scan")
    code, out, err = evaluated(said, place, source)
    assert code == 3, err
    found = json.loads((place / "out" / "evaluation.json").read_text())
    assert found["leak"]["verdict"] == "not checked"
    assert "leak certificate: not checked: the patients of" in out
    assert not any("belong to training" in note for note in found["notes"])
    assert audited(said, place, source)["kind"] == "LEAK_NOT_CHECKED"


def test_the_films_of_a_run_are_known_by_content(
    said: Said, undrawn: None, toy: Path, place: Path
) -> None:
    films = SplitTable.read(place / "run" / "split.csv").films
    own = [film for film, p in sorted(films.items()) if p.split is not Split.TEST]
    write_table(place, RESAVED["blank"], lambda split: split is not Split.TEST, rename="scan")
    here = {path.name: path for path in (toy / "films").rglob("*.png")}
    for row, film in enumerate(own):
        shutil.copy(here[film], place / f"scan{row}.png")
    code, _, err = evaluated(said, place, "run")
    assert code == 2
    assert "are training films by content, first: scan" in err


def test_an_evaluation_without_a_training_list_has_no_certificate(
    said: Said, undrawn: None, place: Path
) -> None:
    write_table(place, str, lambda split: split is Split.TEST)
    table = ("evaluate", place / "scores.csv", "--labels", place / "labels.csv")
    code, _, err = said(*table, "-o", place / "out", "--resamples", 100, "-q")
    assert code == 0, err
    assert "leak" not in json.loads((place / "out" / "evaluation.json").read_text())


@pytest.mark.parametrize("spell", ["float", "padded"])
def test_check_finds_a_patient_in_two_splits_under_two_spellings(
    said: Said, tmp_path: Path, spell: str
) -> None:
    rows = ["image_id,patient_id,split,Mass"]
    for patient in range(1, 41):
        rows.append(f"{patient}a.png,{RESAVED[spell](str(patient))},test,1")
        rows.append(f"{patient}b.png,{patient},train,0")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    code, out, err = said("check", tmp_path, "--no-films", "-q")
    assert code == 3, err
    assert "error PATIENT_LEAK: patients must not cross splits: 40 patients (80 films)" in out


def test_a_shipped_bundle_is_found_by_its_name(
    said: Said, undrawn: None, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(place, RESAVED["float"], lambda split: split is Split.TEST)
    monkeypatch.chdir(place)
    code, _, err = evaluated(said, Path(), "starter")
    assert code == 2  # drawn patients have the same numbers in every corpus
    assert "patients that starter has seen" in err
