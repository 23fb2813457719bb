"""Bad models, calibrators and scores, a line of the catalog each (F01 to F22).

What is not here is where the part itself is tested: wrong shapes, label orders and NaN weights (F03
to F05) in tests/model, edited bundles (F08) in tests/bundle, ties at a threshold (F17) in
tests/stages, and the curves themselves (F10 to F14) in tests/calibration.
"""

from __future__ import annotations

import csv
import json
import os
import pickle
import shutil
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import load_file, save_file
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from hilum import Bundle
from hilum.bundle import Calibration
from hilum.bundle.bundle import Prediction
from hilum.calibration import fit
from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.domain.scores import Logits
from hilum.files.sealed import file_sha256, seal
from hilum.imaging.read import read
from hilum.inference.engine import Engine, Output
from hilum.metrics.ranking import Ranking
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier
from hilum.model.weights import load, load_backbone, save
from hilum.runs.folder import RunFolder

Said = Callable[..., tuple[int, str, str]]
Tables = tuple[pd.DataFrame, pd.DataFrame]
Write = Callable[[Tables], tuple[Path, Path]]
Network = Callable[..., onnx.ModelProto]

LABELS = LabelSet("two", ("Mass", "Edema"))


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(toy / "run", tmp_path / "run")))


def strict(text: str) -> Any:
    """JSON as the standard has it: NaN and Infinity are no numbers."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def evaluated(said: Said, written: tuple[Path, Path], *options: object) -> dict[str, Any]:
    table, labels = written
    out = table.with_name("out")
    asked = ("--labels", labels, "-o", out, "--resamples", 100, "--quiet", "--json", *options)
    code, text, err = said("evaluate", table, *asked)
    assert code == 0, err
    return strict(text)


def refused(said: Said, *arguments: object) -> str:
    code, out, err = said(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("hilum: ")
    assert err.count("\n") == 1
    return err


# F01 to F08, F22: weights


def network() -> Classifier:
    parts = {"conv0": nn.Conv2d(1, 4, 3), "norm0": nn.BatchNorm2d(4)}
    return Classifier(Features(nn.Sequential(OrderedDict(parts)), 4), LABELS)


class Trap:
    """Unpickling it calls a function."""

    def __init__(self, call: Callable[..., object], *given: object) -> None:
        self.call = (call, given)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.mark.parametrize("legacy", [False, True])
def test_f01_a_pickle_is_refused_and_nothing_in_it_runs(tmp_path: Path, legacy: bool) -> None:
    owned, path = tmp_path / "owned", tmp_path / "weights.pth"
    shell = Trap(os.system, f"touch {owned}")
    torch.save(shell, tmp_path / "inner.pt")
    inner = (tmp_path / "inner.pt").read_bytes()
    traps = (
        shell,
        Trap(eval, f"__import__('pathlib').Path({str(owned)!r}).touch()"),
        Trap(torch.storage._load_from_bytes, inner),
        {"state_dict": {"conv0.weight": shell}},
    )
    for trap in traps:
        torch.save(trap, path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(BundleError, match="nothing else is unpickled"):
            load_backbone(network(), path)
        path.write_bytes(pickle.dumps(trap))
        with pytest.raises(BundleError, match="weights must be a state dict"):
            load_backbone(network(), path)
        path.rename(tmp_path / "best.safetensors")
        with pytest.raises(BundleError, match="readable safetensors file"):
            load(network(), tmp_path / "best.safetensors")
    assert not owned.exists()


def test_f02_cut_weights_and_a_page_saved_as_weights_are_refused(tmp_path: Path) -> None:
    whole, page = tmp_path / "best.safetensors", b"<!DOCTYPE html><title>404</title>"
    save(network(), whole, {})
    torch.save(network().backbone.extractor.state_dict(), tmp_path / "whole.pth")
    for name, source in (("cut.safetensors", whole), ("cut.pth", tmp_path / "whole.pth")):
        for data in (source.read_bytes()[:-100], source.read_bytes()[:300], page):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(BundleError, match=r"weights must be a (readable|state dict)"):
                load_backbone(network(), tmp_path / name)


def test_f02_a_cut_network_is_refused_by_its_hash(toy: Path, tmp_path: Path, said: Said) -> None:
    bundle = Path(shutil.copytree(toy / "bundle", tmp_path / "bundle"))
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-100])
    message = refused(said, "predict", bundle, toy / "films" / "images", "-o", tmp_path / "out")
    assert "model.onnx was changed since. Restore it or make the bundle again" in message


def test_f06_a_head_that_was_zeroed_is_refused_by_the_self_test(
    toy: Path, tmp_path: Path, network: Network
) -> None:
    dead = network()
    for tensor in dead.graph.initializer:
        if tensor.name in ("weight", "bias", "pointwise"):
            zeros = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    bundle = Path(shutil.copytree(toy / "bundle", tmp_path / "bundle"))
    onnx.save(dead, bundle / "model.onnx")
    tree = json.loads((bundle / "bundle.json").read_text())
    part, name = tree["calibration"], "evaluation.json"
    part["model_sha256"], part["bond"] = file_sha256(bundle / "model.onnx"), ""
    tree["calibration"] = Calibration.model_validate(part).model_dump(mode="json")
    said = json.loads((bundle / name).read_text())
    said["provenance"]["bond"] = tree["calibration"]["bond"]
    (bundle / name).write_text(json.dumps(said | {"seal": seal(said)}))
    tree["files"] = {file: file_sha256(bundle / file) for file in tree["files"]}
    (bundle / "bundle.json").write_text(json.dumps(tree | {"seal": seal(tree)}))
    with pytest.raises(BundleError, match="a network must tell films apart"):
        Bundle.load(bundle)


def test_f06_a_dead_head_calibrates_to_nothing_that_is_called_calibrated() -> None:
    z = Logits(np.zeros((200, 2)), LABELS)
    states = (np.arange(400).reshape(200, 2) % 7 == 0).astype(np.int8)
    for method in ("platt", "beta", "isotonic"):
        found = fit(method, z, states).findings["Mass"]
        assert (found.method, found.calibrated) == ("sigmoid", False)
        assert "equal" in found.note or "one level" in found.note


def test_f07_weights_without_batch_norm_statistics_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save(network(), path, {})
    tensors = load_file(path)
    del tensors["backbone.extractor.norm0.running_mean"]
    header = json.dumps({"labels": list(LABELS)})
    save_file(tensors, path, metadata={"hilum": header})
    for reader in (load, load_backbone):
        with pytest.raises(BundleError, match=r"tensor .*norm0\.running_mean is missing"):
            reader(network(), path)


def file_of(header: str | bytes, data: bytes = b"\0" * 16) -> bytes:
    """A safetensors file by hand: the header's length, the header, the data."""
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text)) + text + data


def tensor(start: int, end: int) -> str:
    return f'{{"dtype": "F32", "shape": [{(end - start) // 4}], "data_offsets": [{start}, {end}]}}'


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(struct.pack("<Q", 200_000_000) + b"{}", id="a header said to be of 200 MB"),
        pytest.param(file_of(b"{" + b" " * 100_000_001), id="a header of 100 MB and more"),
        pytest.param(file_of(f'{{"a": {tensor(0, 4)}, "b": {tensor(8, 16)}}}'), id="a hole"),
        pytest.param(file_of(f'{{"a": {tensor(0, 12)}, "b": {tensor(8, 16)}}}'), id="an overlap"),
        pytest.param(file_of(f'{{"a": {tensor(0, 8)}}}'), id="data behind the last tensor"),
        pytest.param(file_of(f'{{"a": {tensor(0, 32)}}}'), id="a tensor beyond the end"),
    ],
)
def test_f22_a_hostile_safetensors_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(data)
    for reader in (load, load_backbone):
        with pytest.raises(BundleError, match="weights must be a readable safetensors file"):
            reader(network(), path)


# F09 to F14: calibrators


def mapped(p: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Probabilities as torchxrayvision's `op_threshs` leaves them: the threshold at 0.5."""
    low, high = p / (2 * threshold), 1 - (1 - p) / (2 * (1 - threshold))
    return np.where(p < threshold, low, high)


@pytest.fixture
def many() -> Tables:
    """1,500 films of as many patients, and a model's probabilities of a rare finding."""
    rng = np.random.default_rng(1)
    p = rng.beta(1.2, 14, size=1500)
    names = [f"{row:04d}.png" for row in range(len(p))]
    labels = {"image_id": names, "patient_id": names, "Mass": (rng.random(1500) < p).astype(int)}
    return pd.DataFrame(labels), pd.DataFrame({"image_id": names, "Mass": p})


@pytest.mark.slow
def test_f09_scores_with_the_threshold_at_one_half_are_named_and_not_calibrated(
    said: Said, many: Tables, write: Write
) -> None:
    labels, predictions = many
    written = write(many)
    assert "no probabilities" not in " ".join(evaluated(said, written)["notes"])
    evaluated(said, written, "--calibrate", "platt")
    theirs = mapped(predictions["Mass"].to_numpy(), 0.05)
    written = write((labels, predictions.assign(Mass=theirs)))
    code, out, _ = said("audit", written[0], "--labels", written[1], "--json")
    kinds = {remark["kind"] for remark in strict(out)["remarks"]}
    assert (code, "PILE_AT_HALF" in kinds) == (0, True)
    found = evaluated(said, written)
    assert any("Mass: scores of theirs.csv pile up just above 0.5" in n for n in found["notes"])
    asked = ("--labels", written[1], "-o", written[0].with_name("new"), "--calibrate", "platt")
    message = refused(said, "evaluate", written[0], *asked)
    assert "those of Mass pile up just above 0.5. Undo the mapping" in message
    assert not written[0].with_name("new").exists()
    # undone, they are the probabilities again
    undone = np.where(theirs < 0.5, theirs * 0.1, 1 - (1 - theirs) * 1.9)
    evaluated(said, write((labels, predictions.assign(Mass=undone))), "--calibrate", "platt")


def test_f09_logits_are_refused_as_probabilities_and_named_by_the_audit(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    written = write((labels, predictions.assign(Mass=8 * predictions["Mass"] - 4)))
    asked = ("--labels", written[1], "-o", written[0].with_name("out"))
    message = refused(said, "evaluate", written[0], *asked)
    assert "a probability must be a number in [0, 1]" in message
    assert "Logits must be calibrated first" in message
    _, out, _ = said("audit", written[0], "--labels", written[1], "--json")
    remarks = {remark["kind"]: remark["findings"] for remark in strict(out)["remarks"]}
    assert remarks["LOGITS"] == ["Mass"]


@pytest.mark.slow
def test_f10_f11_f14_what_could_not_be_fitted_stands_in_the_evaluation(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    labels["Hernia"] = 0
    labels.loc[:14, "Hernia"] = 1  # of five patients
    predictions["Effusion"] = 1 - predictions["Effusion"]
    notes = evaluated(said, write(tables), "--calibrate", "isotonic")["notes"]
    assert "Effusion: isotonic refused in 5 of 5 folds; plain sigmoid there" in notes
    assert "Hernia: isotonic refused in 5 of 5 folds; platt there" in notes
    assert any(note.startswith("Hernia: fitted on only ") for note in notes)
    assert not any(note.startswith("Mass: isotonic refused") for note in notes)
    labels["Hernia"] = 0
    notes = evaluated(said, write(tables), "--calibrate", "platt")["notes"]
    assert "Hernia: platt refused in 5 of 5 folds; plain sigmoid there" in notes


def test_f12_the_calibrator_of_another_network_is_refused(said: Said, run: RunFolder) -> None:
    document = json.loads(run.calibration.read_text())
    other = {**document, "model_sha256": "0" * 64, "bond": ""}
    other = Calibration.model_validate({k: v for k, v in other.items() if k != "seal"})
    tree = other.model_dump(mode="json")
    run.calibration.write_text(json.dumps(tree | {"seal": seal(tree)}))
    for verb in (
        ("evaluate", run.root, "-o", run.root.with_name("out")),
        ("bundle", run.root, "-o", run.root.with_name("bundle")),
    ):
        assert "Run `hilum calibrate` again" in refused(said, *verb)
    assert not run.root.with_name("bundle").exists()


def test_f13_isotonic_says_nothing_is_certain_and_discloses_its_ties(
    said: Said, many: Tables, write: Write
) -> None:
    written = write(many)
    found = evaluated(said, written, "--calibrate", "isotonic")
    matched = pd.read_csv(written[0].with_name("out") / "matched_predictions.csv")
    fitted_on = len(matched) - matched["fold"].value_counts().min()
    assert matched["Mass"].min() >= 1 / (fitted_on + 2)
    assert matched["Mass"].max() <= 1 - 1 / (fitted_on + 2)
    levels = matched["Mass"].nunique()
    assert levels < len(matched)
    assert f"Mass: {levels:,} distinct values on 1,500 films" in found["notes"]


# F15 to F19: numbers


def test_f15_what_does_not_exist_is_null_with_a_reason_in_strict_json(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    labels["Hernia"], labels["Mass"] = 0, 1
    predictions["Effusion"] = 0.0
    written = write((labels, predictions))
    found = evaluated(said, written)
    assert found["findings"]["Hernia"]["auroc"]["reason"] == "no film is positive"
    assert found["findings"]["Mass"]["auroc"]["reason"] == "no film is negative"
    numbers = list(intervals(found))
    assert len(numbers) > 100
    for number in numbers:
        assert number["value"] is not None or number["reason"]
        assert number["low"] is not None or number["reason"]
    for path in written[0].with_name("out").glob("*.json"):
        strict(path.read_text())
    for name in ("Hernia", "Mass"):
        one = found["findings"][name]
        absent = (one["auroc"], one["average_precision"], one["brier_skill"])
        assert [number["value"] for number in absent] == [None] * 3


def intervals(tree: object) -> list[dict[str, Any]]:
    """Every number with its interval in a document."""
    if isinstance(tree, dict):
        own = [tree] if tree.keys() == {"value", "low", "high", "reason"} else []
        return own + [found for value in tree.values() for found in intervals(value)]
    return [found for value in tree for found in intervals(value)] if isinstance(tree, list) else []


def test_f15_a_run_s_documents_are_strict_json(toy: Path) -> None:
    documents = [*(toy / "run").glob("*.json"), *(toy / "bundle").glob("*.json")]
    assert {"evaluation.json", "calibration.json", "bundle.json"} <= {p.name for p in documents}
    for path in documents:
        strict(path.read_text())


def test_f16_tied_scores_rank_nothing_at_one_threshold(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    found = evaluated(said, write((labels, predictions.assign(Mass=0.3))))["findings"]["Mass"]
    positive = labels["Mass"].to_numpy(bool)
    assert found["auroc"] == {"value": 0.5, "low": 0.5, "high": 0.5, "reason": ""}
    assert found["average_precision"]["value"] == positive.mean()
    ranking = Ranking.of(positive, np.full(len(positive), 0.3))
    assert ranking.thresholds.tolist() == [0.3]
    chosen = {point["threshold"] for point in found["operating_points"].values()}
    # all films are called, or with a specificity to reach none: the next number above 0.3
    assert {0.3} < chosen <= {0.3, float(np.nextafter(0.3, 1.0)), None}


def test_f17_each_point_of_a_run_is_computed_again_from_its_table(toy: Path) -> None:
    with (toy / "run" / "matched_predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    evaluation = strict((toy / "run" / "evaluation.json").read_text())
    checked = 0
    for name, finding in evaluation["findings"].items():
        positive = np.array([row[f"label_{name}"] == "positive" for row in rows])
        scores = np.array([float(row[name]) for row in rows])
        for point in finding["operating_points"].values():
            if point["threshold"] is None or point["sensitivity"]["value"] is None:
                continue
            called = scores >= point["threshold"]
            assert point["sensitivity"]["value"] == pytest.approx(called[positive].mean())
            if not positive.all():
                assert point["specificity"]["value"] == pytest.approx((~called)[~positive].mean())
            checked += 1
    assert checked > 10


def test_f18_scores_that_differ_in_the_eighth_decimal_are_no_ties(
    said: Said, tables: Tables, write: Write
) -> None:
    labels, predictions = tables
    truth = labels["Mass"].to_numpy(bool)
    close = 0.12345678 + 1e-8 * truth
    assert len(np.unique(close.round(6))) == 1
    written = write((labels, predictions.assign(Mass=close)))
    found = evaluated(said, written)["findings"]
    assert found["Mass"]["auroc"]["value"] == 1.0
    matched = pd.read_csv(written[0].with_name("out") / "matched_predictions.csv")
    assert (matched["Mass"] == close).all()
    for name in ("Effusion", "Hernia"):
        y, p = labels[name], predictions[name]
        assert found[name]["auroc"]["value"] == pytest.approx(roc_auc_score(y, p), abs=1e-12)
        ap = average_precision_score(y, p)
        assert found[name]["average_precision"]["value"] == pytest.approx(ap, abs=1e-12)
        assert (matched[name] == p).all()


def test_f18_the_clinical_report_keeps_what_ranks_films(
    toy: Path, tmp_path: Path, said: Said
) -> None:
    code, _, err = said("predict", toy / "bundle", toy / "films" / "images", "-o", tmp_path / "out")
    assert code == 0, err
    report = tmp_path / "out" / "final_clinical_report.csv"
    bundle = Bundle.load(toy / "bundle")
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    films = sorted((toy / "films" / "images").iterdir())
    said_of = {path.name: bundle.predict(path).findings for path in films[:12]}
    for row in rows:
        for name, finding in said_of.get(row["Image_ID"], {}).items():
            assert float(row[name]) == pytest.approx(finding.probability, rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(("patients", "there"), [(2, False), (5, True)])
def test_f19_resamples_without_positives_are_counted(
    said: Said, tables: Tables, write: Write, patients: int, there: bool
) -> None:
    labels, _ = tables
    labels["Hernia"] = (labels["patient_id"] < patients).astype(int)
    written = write(tables)
    found = evaluated(said, written, "--resamples", 1000)["findings"]["Hernia"]
    assert (found["positives"], found["positive_patients"]) == (3 * patients, patients)
    for number in (found["auroc"], found["average_precision"]):
        assert number["value"] is not None
        assert (number["low"] is not None, number["high"] is not None) == (there, there)
        count = int(number["reason"].removeprefix("no interval: only ").split()[0])
        missing = count if there else 1000 - count
        # a resample lacks k of n patients with probability (1 - k / n) ** n
        expected = 1000 * (1 - patients / 60) ** 60
        assert abs(missing - expected) < 4 * np.sqrt(expected)
        text = f"{missing} of 1000 resamples have no value"
        short = f"no interval: only {count} of 1000 resamples have a value"
        assert number["reason"] == (text if there else short)
    page = (written[0].with_name("out") / "evaluation.md").read_text()
    assert f"Hernia: {found['auroc']['reason']}" in page


# F20, F21: maps and machines


def test_f20_an_empty_map_is_flagged_and_drawn_as_the_plain_film(
    toy: Path, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Engine.ask

    def without_evidence(engine: Engine, raster: np.ndarray) -> Output:
        answer = ask(engine, raster)
        return Output(answer.logits, np.zeros_like(answer.heatmaps))

    monkeypatch.setattr(Engine, "ask", without_evidence)
    bundle, films = Bundle.load(toy / "bundle"), sorted((toy / "films" / "images").iterdir())
    film = next(path for path in films if bundle.predict(path).positives)
    code, _, err = said("predict", toy / "bundle", film, "-o", tmp_path / "out")
    assert code == 0, err
    (line,) = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    result = strict(line)
    assert (result["status"], result["codes"]) == ("warn", ["EMPTY_HEATMAP"])
    for file in result["heatmaps"].values():
        drawn = cv2.imread(str(tmp_path / "out" / file))
        drawn = drawn[: len(drawn) * 3 // 4]  # words on a strip stand below
        assert (drawn[..., 0] == drawn[..., 1]).all()
        assert (drawn[..., 1] == drawn[..., 2]).all()


def test_f21_threads_and_neighbors_flip_no_decision(toy: Path) -> None:
    films = [read(path) for path in sorted((toy / "films" / "images").iterdir())[:12]]
    told: list[list[Prediction]] = []
    for threads in (1, 2):
        bundle = Bundle.load(toy / "bundle", threads=threads)
        told.append(bundle.predict_many(films))
        told.append([bundle.predict_many([film])[0] for film in films])
    for other in told[1:]:
        for one, two in zip(told[0], other, strict=True):
            for name, finding in one.findings.items():
                assert abs(finding.probability - two.findings[name].probability) <= 1e-5
                assert finding.positive == two.findings[name].positive
