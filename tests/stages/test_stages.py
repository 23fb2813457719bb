"""Calibrate and evaluate: on the right films of the right run, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import onnx
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from hilum import Bundle
from hilum.bundle.manifest import Calibration
from hilum.domain.errors import BundleError, DatasetError, HilumError, LeakError, UsageError
from hilum.domain.findings import LabelState
from hilum.domain.record import Box, Split
from hilum.domain.scores import Target
from hilum.files.sealed import seal
from hilum.inference.cohort import score_cohort
from hilum.inference.engine import Precision
from hilum.runs.folder import RunFolder
from hilum.stages.calibrate import GOALS, CalibrationRequest, calibrate_run, engine_of
from hilum.stages.evaluate import GRID, RunEvaluation, evaluate_run, localize_boxes, map_on_grid
from hilum.stages.films import split_of

CHOICE = CalibrationRequest()


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(toy / "run", tmp_path / "run")))


@pytest.fixture
def films(toy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy / "films", tmp_path / "films"))


def refused(kind: type[HilumError], message: str, call: Callable[..., object], *given: object):
    with pytest.raises(kind, match=message) as caught:
        call(*given)
    assert "\n" not in str(caught.value)


# calibrate


def test_calibration_is_the_same_every_time(toy: Path, run: RunFolder) -> None:
    before = run.calibration.read_bytes()
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), CHOICE)
    assert run.calibration.read_bytes() == before


def test_calibration_is_fitted_on_calibrate_and_says_so(run: RunFolder) -> None:
    cohort = split_of(run, Split.CALIBRATE, None)
    calibration = calibrate_run(run, cohort, CalibrationRequest("isotonic"))
    facts = calibration.fitted_on
    assert (facts.name, facts.images, facts.patients) == (
        "calibrate",
        len(cohort),
        len(set(cohort.patients())),
    )
    assert facts.sha256 == run.films().split_sha256["calibrate"]
    states = cohort.states()
    for column, finding in enumerate(cohort.labels):
        assert calibration.prevalence[finding] == pytest.approx(states[:, column].mean())
    assert {point.target for point in calibration.operating_points} == {Target.F1}
    assert calibration.calibrator.method == "isotonic"


def bound(calibration: Calibration) -> tuple[object, ...]:
    others = [(p.finding, p.name, p.threshold) for p in calibration.other_points]
    return calibration.calibrator, calibration.thresholds(), others


def test_the_bond_differs_when_the_calibrator_or_a_threshold_does(run: RunFolder) -> None:
    cohort = split_of(run, Split.CALIBRATE, None)
    choices = [
        CalibrationRequest(method, target) for method in ("platt", "sigmoid") for target in GOALS
    ]
    made = [calibrate_run(run, cohort, choice) for choice in choices]
    for one, other in combinations(made, 2):
        assert (one.bond == other.bond) == (bound(one) == bound(other))
    assert len({one.bond for one in made}) > 1


def test_the_network_must_be_the_one_that_training_exported(
    run: RunFolder, network: Callable[..., onnx.ModelProto]
) -> None:
    onnx.save(network(seed=1), run.model)
    refused(BundleError, "model.onnx must be the one training exp", engine_of, run, Precision.F32)
    run.model.unlink()
    refused(BundleError, r"changed or removed since", engine_of, run, Precision.F32)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.25", "0.5", "config.yaml must be what the run was trained with"),
        ("name: toy", "name: other", "was edited since"),
        ("batch_size: 16", "batch_size: 0", "config.yaml: batch_size: Input should be greater"),
        ("name: toy", "nam: toy", r"config.yaml: name: Field required"),
        ("name: toy", "[", r"config\.yaml must be YAML"),
    ],
)
def test_an_edited_configuration_is_refused(
    run: RunFolder, old: str, new: str, message: str
) -> None:
    path = run.root / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    refused(BundleError, message, engine_of, run, Precision.F32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"a finished run must have run\.json"),
        ("{", r"run\.json must be JSON"),
        ("[]", r"run\.json must be as hilum wrote it"),
        (json.dumps({"a": 1, "seal": seal({"a": 1})}), r"run\.json: network: Field required"),
    ],
)
def test_a_run_without_its_facts_is_refused(run: RunFolder, text: str | None, message: str) -> None:
    path = run.root / "run.json"
    path.unlink() if text is None else path.write_text(text)
    refused(BundleError, message, run.facts)


def test_an_edited_label_order_of_a_run_is_refused(run: RunFolder) -> None:
    path = run.root / "run.json"
    text = path.read_text()
    names = ('"Mass"', '"Nodule"')
    path.write_text(text.replace(names[0], "?").replace(names[1], names[0]).replace("?", names[1]))
    refused(BundleError, "its labels, .* and hashes cannot be trusted", run.labels)
    refused(BundleError, "was edited since", split_of, run, Split.TEST, None)


# the cohort of a run


def test_a_moved_dataset_is_found_by_name(run: RunFolder, films: Path, toy: Path) -> None:
    there = split_of(run, Split.TEST, None)
    here = split_of(run, Split.TEST, films)
    assert here.sha256() == there.sha256()
    shutil.rmtree(films / "images")
    assert split_of(run, Split.TEST, films).sha256() == there.sha256()


@pytest.mark.parametrize("split", [Split.CALIBRATE, Split.TEST])
def test_a_patient_in_two_splits_is_refused(run: RunFolder, split: Split) -> None:
    lines = run.split.read_text().splitlines()
    patients = [line.split(",")[1] for line in lines if ",calibrate," in line]
    patient = next(name for name in patients if patients.count(name) > 1)
    home = next(line for line in lines if f",{patient},calibrate," in line)
    lines[lines.index(home)] = home.replace(",calibrate,", ",test,")
    run.split.write_text("\n".join(lines))
    message = rf"1 patient \(\d+ films\) is in both calibrate and test, first: {patient}\."
    refused(LeakError, message, split_of, run, split, None)


def test_a_patient_moved_whole_to_another_split_is_refused(run: RunFolder) -> None:
    lines = run.split.read_text().splitlines()
    patient = next(line for line in lines if ",train," in line).split(",")[1]
    moved = [
        line.replace(",train,", ",test,") if line.split(",")[1] == patient else line
        for line in lines
    ]
    run.split.write_text("\n".join(moved))
    message = "the split must be the one of the run; .* its train films are different"
    refused(DatasetError, message, split_of, run, Split.TEST, None)


def test_labels_that_changed_since_are_refused(run: RunFolder, films: Path) -> None:
    table = films / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace("No Finding", "Hernia", 1))
    message = "the dataset must be the one of the run"
    refused(DatasetError, message, split_of, run, Split.TEST, films)


def test_films_left_out_stay_left_out(run: RunFolder, films: Path) -> None:
    run.excluded.write_text("00000001_000.png\n")
    message = "films, patients or labels in .* differ"
    refused(DatasetError, message, split_of, run, Split.TEST, films)


# evaluate


@pytest.mark.usefixtures("undrawn")
def test_evaluation_is_what_scikit_learn_says_of_the_bundle(toy: Path, run: RunFolder) -> None:
    cohort = split_of(run, Split.TEST, None)
    done = evaluate_run(run, cohort, RunEvaluation(100, 0))
    bundle = Bundle.load(toy / "bundle")
    said = [bundle.predict(record.path).findings for record in cohort.records]
    checked = 0
    for column, finding in enumerate(cohort.labels):
        y = cohort.states()[:, column] == LabelState.POSITIVE
        scores = [findings[finding].probability for findings in said]
        numbers = done.evaluation.findings[finding]
        if len(set(y)) == 2:
            checked += 1
            assert numbers.auroc.value == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
            assert numbers.average_precision.value == pytest.approx(
                average_precision_score(y, scores), abs=1e-12
            )
        else:
            assert numbers.auroc.value is None
    assert checked > 3
    assert done.evaluation.provenance["bond"] == bundle.manifest.calibration.bond
    assert done.evaluation.split.sha256 == run.films().split_sha256["test"]
    # the first look was the toy's own
    assert done.evaluation.look == 2
    lines = [json.loads(line) for line in run.ledger.read_text().splitlines()]
    assert [line["model_sha256"] for line in lines] == [run.facts().network.model_sha256] * 2


@pytest.mark.parametrize("split", [Split.TRAIN, Split.TUNE, Split.CALIBRATE])
def test_patients_that_made_the_model_cannot_test_it(run: RunFolder, split: Split) -> None:
    cohort = split_of(run, split, None)
    looks = run.ledger.read_text()
    message = r"100\.0 % of the evaluation films .* belong to training patients"
    refused(LeakError, message, evaluate_run, run, cohort, 100, 0)
    assert run.ledger.read_text() == looks


def test_evaluation_needs_the_run_s_own_calibration(run: RunFolder) -> None:
    cohort = split_of(run, Split.TEST, None)
    document = json.loads(run.calibration.read_text())
    run.calibration.write_text(json.dumps(document | {"model_sha256": "0" * 64}))
    refused(BundleError, "calibration.json must be as hilum", evaluate_run, run, cohort, 100, 0)
    other = {k: v for k, v in document.items() if k != "seal"} | {
        "model_sha256": "0" * 64,
        "bond": "",
    }
    run.calibration.write_text(json.dumps(other | {"seal": seal(other)}))
    refused(BundleError, "was fitted on a different one", evaluate_run, run, cohort, 100, 0)
    run.calibration.unlink()
    refused(BundleError, r"calibration\.json must be there", evaluate_run, run, cohort, 100, 0)


# localisation


def test_boxes_are_compared_on_one_grid(run: RunFolder) -> None:
    whole = (Box("Mass", 0.0, 0.0, 1.0, 1.0),)
    cohort = split_of(run, Split.CALIBRATE, None)
    boxed = tuple(replace(record, boxes=whole) for record in cohort.records[:3])
    scored = score_cohort(engine_of(run, Precision.F32), replace(cohort, records=boxed))
    preprocessing = run.config().preprocessing
    heatmaps = [map_on_grid(scored, preprocessing, row, "Mass") for row in range(3)]
    assert {heatmap.shape for heatmap in heatmaps} == {GRID}
    localisation = localize_boxes(scored, preprocessing, seed=0)
    # the box is the whole film: every map with evidence hits it
    hits = sum(heatmap.max() > 0 for heatmap in heatmaps) / 3
    assert localisation.findings["Mass"].hits.value == pytest.approx(hits)


def test_films_without_boxes_have_no_localization(run: RunFolder) -> None:
    cohort = split_of(run, Split.CALIBRATE, None)
    bare = tuple(replace(record, boxes=()) for record in cohort.records[:2])
    scored = score_cohort(engine_of(run, Precision.F32), replace(cohort, records=bare))
    assert localize_boxes(scored, run.config().preprocessing, seed=0).mean is None


def test_a_film_missing_on_disk_is_noted_and_never_scored(run: RunFolder) -> None:
    cohort = split_of(run, Split.CALIBRATE, None)
    first, *others = cohort.records
    some = replace(cohort, records=(replace(first, path=None), *others))
    calibration = calibrate_run(run, some, CHOICE)
    assert calibration.notes[0] == "1 rows have no film on disk; left out"
    assert calibration.fitted_on.images == len(others)


def test_an_unknown_calibrator_is_refused_by_name(run: RunFolder) -> None:
    cohort = split_of(run, Split.CALIBRATE, None)
    request = CalibrationRequest("plat")
    refused(UsageError, "Did you mean 'platt'", calibrate_run, run, cohort, request)


@pytest.mark.parametrize("split", [Split.TRAIN, Split.TUNE, Split.TEST])
def test_e21_only_the_calibrate_split_may_calibrate(run: RunFolder, split: Split) -> None:
    message = f"must be fitted on calibrate films only; got films of {split}"
    refused(LeakError, message, calibrate_run, run, split_of(run, split, None), CHOICE)


def test_all_targets_have_their_thresholds_the_serving_one_first(run: RunFolder) -> None:
    request = CalibrationRequest(target=Target.SENSITIVITY, goal=0.8)
    calibration = calibrate_run(run, split_of(run, Split.CALIBRATE, None), request)
    assert {p.name for p in calibration.operating_points} == {"sensitivity 0.80"}
    names = {p.name for p in calibration.other_points}
    assert names == {"f1", "youden", "balanced_accuracy", "specificity 0.90", "ppv 0.50"}


def test_a_goal_belongs_to_a_target_that_has_one() -> None:
    with pytest.raises(UsageError, match=r"a goal must lie in \(0, 1\)"):
        CalibrationRequest(target=Target.F1, goal=0.9)
    with pytest.raises(UsageError, match="thresholds must be chosen for f1"):
        CalibrationRequest(target=Target.GIVEN)
    with pytest.raises(UsageError, match=r"got 1\.5 for ppv"):
        CalibrationRequest(target=Target.PPV, goal=1.5)


def test_an_asked_for_prevalence_moves_probabilities_and_is_written_down(run: RunFolder) -> None:
    cohort = split_of(run, Split.CALIBRATE, None)
    plain = calibrate_run(run, cohort, CHOICE)
    finding = next(name for name, share in plain.prevalence.items() if 0.02 < share < 1.0)
    moved = calibrate_run(run, cohort, CalibrationRequest(prevalences={finding: 0.02}))
    scored = score_cohort(engine_of(run, Precision.F32), cohort)
    before, after = (c.calibrator.apply(scored.logits).of(finding) for c in (plain, moved))
    assert (after < before).all()
    assert moved.bond != plain.bond
    assert any("0.02" in note for note in moved.notes)
