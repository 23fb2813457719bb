"""Runs compared on tune and chosen there; a choice by test numbers is flagged for good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelState
from hilum.domain.record import Split
from hilum.evaluation.compare import ComparisonRequest
from hilum.files.sealed import file_sha256
from hilum.runs.folder import RunFolder
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.stages.compare import (
    CHOSEN_ON_TEST,
    choose_on_test,
    compare_predictions,
    compare_runs,
    write_comparison,
)
from hilum.stages.evaluate import RunEvaluation, evaluate_run
from hilum.stages.films import split_of

REQUEST = ComparisonRequest("", False, resamples=100)


@pytest.fixture(scope="module")
def made(
    toy: Path, tmp_path_factory: pytest.TempPathFactory, network: Callable[..., onnx.ModelProto]
) -> Path:
    """Two runs of one split: the toy, and one with another network."""
    root = tmp_path_factory.mktemp("made")
    shutil.copytree(toy / "run", root / "first")
    second = RunFolder(Path(shutil.copytree(toy / "run", root / "second")))
    onnx.save(network(seed=1), second.model)
    facts = second.facts()
    network = facts.network.model_copy(update={"model_sha256": file_sha256(second.model)})
    second.write_facts(facts.model_copy(update={"network": network}))
    calibrate_run(second, split_of(second, Split.CALIBRATE, None), CalibrationRequest())
    evaluate_run(second, split_of(second, Split.TEST, None), RunEvaluation(100, 0))
    return root


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    """Copies of the two, to do with as one likes."""
    root = Path(shutil.copytree(made, tmp_path / "runs"))
    return RunFolder(root / "first"), RunFolder(root / "second")


def tuned(runs: tuple[RunFolder, RunFolder]) -> list[tuple[RunFolder, object]]:
    return [(run, split_of(run, Split.TUNE, None)) for run in runs]


def test_runs_are_compared_on_tune_and_test_stays_unread(
    runs: tuple[RunFolder, RunFolder],
) -> None:
    looks = [run.ledger.read_text() for run in runs]
    found = compare_runs(tuned(runs), REQUEST).comparison
    assert found.split.name == "tune"
    assert found.split.sha256 == runs[0].films().split_sha256["tune"]
    assert set(found.models) == {"first", "second"}
    assert found.models["second"].test_auroc is not None
    assert found.chosen in ("first", "second")
    assert [run.ledger.read_text() for run in runs] == looks


@pytest.mark.usefixtures("undrawn")
def test_a_choice_by_test_numbers_is_flagged_and_stays_flagged(
    runs: tuple[RunFolder, RunFolder],
) -> None:
    found = choose_on_test(compare_runs(tuned(runs), REQUEST), runs).comparison
    assert found.chosen_on == CHOSEN_ON_TEST
    assert "BY TEST NUMBERS" in found.chosen_on
    again = evaluate_run(runs[1], split_of(runs[1], Split.TEST, None), RunEvaluation(100, 0))
    assert any("used to choose between models" in note for note in again.evaluation.notes)
    assert again.evaluation.look == 3


def test_the_page_has_every_models_own_curve(
    runs: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    compared = compare_runs(tuned(runs), REQUEST)
    for out in (tmp_path / "one", tmp_path / "two"):
        write_comparison(compared, out)
    html = (tmp_path / "one" / "comparison.html").read_text("utf-8")
    assert html == (tmp_path / "two" / "comparison.html").read_text("utf-8")
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        *("comparison.html", "comparison.json", "comparison.md")
    }
    for name, curves in compared.curves().items():
        own = curves.findings["Effusion"].roc
        assert own is not None
        points = "L".join(f"{264 * x:.1f} {264 * (1 - y):.1f}" for x, y in own).replace(".0", "")
        kind = f"model-{list(compared.curves()).index(name)}"
        assert f'<path class="{kind}" d="M{points}"/>' in html


def test_a_choice_by_test_needs_test_numbers(runs: tuple[RunFolder, RunFolder]) -> None:
    runs[1].evaluation.unlink()
    found = compare_runs(tuned(runs), REQUEST)
    with pytest.raises(UsageError, match="needs every run evaluated on test"):
        choose_on_test(found, runs)


def test_labels_that_the_policies_read_differently_do_not_count(
    runs: tuple[RunFolder, RunFolder],
) -> None:
    (first, cohort), (second, other) = tuned(runs)
    turned = other.records[0].states[0] ^ 1
    states = (LabelState(turned), *other.records[0].states[1:])
    from dataclasses import replace

    changed = replace(other, records=(replace(other.records[0], states=states), *other.records[1:]))
    found = compare_runs([(first, cohort), (second, changed)], REQUEST).comparison
    assert found.split.images == len(cohort)


def test_runs_of_other_films_are_refused(runs: tuple[RunFolder, RunFolder]) -> None:
    (first, cohort), (second, other) = tuned(runs)
    fewer = other.select(lambda record: record is not other.records[0])
    with pytest.raises(
        DatasetError, match="the same tune films and a finding in common; second and first"
    ):
        compare_runs([(first, cohort), (second, fewer)], REQUEST)


def test_predictions_are_compared_on_what_they_share(toy: Path, tmp_path: Path) -> None:
    from hilum.datasets import open_dataset

    cohort = open_dataset(toy / "films")
    names = cohort.image_ids()[:30]
    for number, films in enumerate((names, names[5:])):
        rows = [f"{film},0.{1 + (i * 7 + number) % 9},0.5" for i, film in enumerate(films)]
        text = "\n".join(["Image_ID,Effusion,Mass", *rows])
        (tmp_path / f"{number}.csv").write_text(text)
    tables = [tmp_path / "0.csv", tmp_path / "1.csv"]
    found = compare_predictions(tables, cohort, REQUEST).comparison
    assert found.split.images == 25
    assert found.labels == ("Effusion", "Mass")
    assert found.chosen is None
    assert any("0.csv: 5 rows are not in every table" in note for note in found.notes)
