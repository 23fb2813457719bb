"""The whole pipeline as a user runs it: every verb, real training, and serving without torch."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from hilum import Bundle
from hilum.datasets import open_dataset
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.findings import nih14
from hilum.files.sealed import read_sealed
from hilum.runs.folder import RunFolder

pytestmark = pytest.mark.slow

Hilum = Callable[..., subprocess.CompletedProcess[str]]
Said = Callable[..., tuple[int, str, str]]

WITHOUT = """
import sys

LAB = {"torch", "torchvision", "timm", "safetensors", "onnx", "onnxscript"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in LAB:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Absent())
try:
    import torch
except ImportError:
    pass
else:
    raise SystemExit("torch was not hidden")
from hilum.cli import main
main()
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    """All but a batch's journal, whose lines come as films are finished."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != "journal.jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_training_left_a_whole_run(pipeline: Path) -> None:
    run = RunFolder(pipeline / "run")
    facts = run.facts()
    assert {path.name for path in run.root.iterdir()} >= {
        *("run.json", "config.yaml", "split.csv", "log.jsonl", "curves.png", "model.onnx"),
        *("environment.json", "prevalence.csv", "weights.csv", "learning_rates.csv"),
        *("calibration.json", "evaluation.json", "evaluation.md", "localisation.json"),
    }
    trained = run.trained()
    assert facts.network.labels == nih14().findings
    assert trained.config_sha256 == run.config().sha256()
    head, rest = trained.phases
    assert (head.phase, rest.phase) == ("head", "all")
    assert head.backbone_before == head.backbone_after == rest.backbone_before
    assert rest.backbone_before != rest.backbone_after
    epochs = run.epochs()
    best = max(epochs, key=lambda line: line["tune_auroc"])
    assert (trained.best_epoch, trained.best_tune_auroc) == (best["epoch"], best["tune_auroc"])
    assert max(facts.network.parity.values()) < 1e-3


def test_the_official_test_list_is_the_test_split(pipeline: Path) -> None:
    listed = (pipeline / "films" / "test_list.txt").read_text().split()
    assert [r["image_id"] for r in rows(pipeline / "run/split.csv") if r["split"] == "test"] == (
        sorted(listed)
    )
    evaluation = read_sealed(Evaluation, pipeline / "run" / "evaluation.json")
    assert evaluation.split.images == len(listed)
    assert evaluation.split.sha256 == RunFolder(pipeline / "run").films().split_sha256["test"]


def test_the_table_is_the_one_promised(pipeline: Path) -> None:
    table = (pipeline / "run" / "evaluation.md").read_text()
    assert "| Class | AUROC | AP | Thr | Sen@Spec(0.8) |" in table
    for finding in nih14():
        assert f"\n| {finding} |" in table
    assert "constant predictor" in table


def test_the_bundle_holds_what_was_promised_and_loads(pipeline: Path) -> None:
    assert {path.name for path in (pipeline / "bundle").iterdir()} == {
        *("bundle.json", "model.onnx", "golden.npz", "evaluation.json", "CARD.md"),
        "seen_patients.txt",
    }
    bundle = Bundle.load(pipeline / "bundle")
    run = RunFolder(pipeline / "run")
    assert bundle.manifest.preprocessing == run.config().preprocessing
    # all that the run knows but where it lay
    assert bundle.manifest.facts == run.facts().for_bundle()
    assert "not a medical device" in (pipeline / "bundle" / "CARD.md").read_text()


def test_the_served_heatmaps_are_grad_cam_of_the_trained_weights(pipeline: Path) -> None:
    import torch

    from hilum.model import weights
    from hilum.model.classifier import classifier

    run = RunFolder(pipeline / "run")
    config = run.config()
    network = classifier("densenet121", nih14(), 1, config.model.options, seed=9)
    weights.load(network, run.checkpoint("best"))
    network.eval()
    engine = Bundle.load(pipeline / "bundle").engine
    rasters = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    maps = network.backbone(torch.from_numpy(config.preprocessing.normalize(rasters)))
    maps = maps.detach().requires_grad_()
    logits = network.head(torch.relu(maps).mean(dim=(2, 3)))
    output = engine.run(rasters)
    np.testing.assert_allclose(output.logits.values, logits.detach().numpy(), atol=1e-4)
    for column in range(14):
        (slope,) = torch.autograd.grad(logits[:, column].sum(), maps, retain_graph=True)
        alpha = slope.mean(dim=(2, 3), keepdim=True)
        cam = torch.relu((alpha * maps).sum(dim=1)).detach().numpy()
        assert np.abs(output.heatmaps[:, column] - cam).max() <= 1e-5 * max(1.0, cam.max())


def test_every_input_has_its_row_and_every_positive_its_map(pipeline: Path) -> None:
    said = rows(pipeline / "out" / "final_clinical_report.csv")
    inputs = sorted(path.name for path in (pipeline / "inbox").iterdir())
    assert [row["Image_ID"] for row in said] == inputs
    bad = [row for row in said if row["status"] not in ("ok", "warn")]
    assert [(row["Image_ID"], row["status"], row["codes"]) for row in bad] == [
        ("damaged.png", "error", "DECODE_TRUNCATED")
    ]
    positive = {
        f"{Path(row['Image_ID']).stem}__{finding}.png"
        for row in said
        for finding in nih14()
        if row[f"{finding}_positive"] == "1"
    }
    maps = pipeline / "out" / "maps"
    assert {path.name for path in maps.iterdir()} == positive
    for name in sorted(positive)[:5]:
        with Image.open(maps / name) as drawn:
            assert (drawn.size, drawn.mode) == ((320, 320), "P")
    for page in ("report.html", "dashboard.html"):
        assert "not a medical device" in (pipeline / "out" / page).read_text()


@pytest.mark.usefixtures("undrawn")
def test_the_report_is_read_back_and_scores_as_scikit_learn_says(
    pipeline: Path, tmp_path: Path, said: Said
) -> None:
    report = pipeline / "out" / "final_clinical_report.csv"
    code, _, err = said(
        *("evaluate", report, "--labels", pipeline / "films"),
        *("-o", tmp_path, "--resamples", 100, "--quiet"),
    )
    assert code == 0, err
    evaluation = read_sealed(Evaluation, tmp_path / "evaluation.json")
    scored = {row["Image_ID"]: row for row in rows(report) if row["status"] in ("ok", "warn")}
    cohort = open_dataset(pipeline / "films").select(lambda record: record.image_id in scored)
    assert evaluation.split.images == len(scored) == 20
    areas = []
    for column, finding in enumerate(nih14()):
        y = cohort.states()[:, column] == 1
        scores = [float(scored[name][finding]) for name in cohort.image_ids()]
        value = evaluation.findings[finding].auroc.value
        if len(set(y)) < 2:
            assert value is None
        else:
            areas.append(roc_auc_score(y, scores))
            assert value == pytest.approx(areas[-1], abs=1e-12)
    assert len(areas) > 3
    assert evaluation.macro.auroc.value == pytest.approx(np.mean(areas), abs=1e-12)


def test_predict_needs_no_torch_and_gives_the_same_bytes(pipeline: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", WITHOUT, "predict", pipeline / "bundle"),
            *(pipeline / "inbox", "-o", tmp_path / "out"),
        ],
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, f"{tmp_path / 'out' / 'report.html'}\n")
    told = r"21 inputs: (\d+ ok, )?(\d+ warn, )?1 error\n21 films in .* films/s; 0 taken .*\n"
    assert re.fullmatch(told, done.stderr)
    assert files_of(tmp_path / "out") == files_of(pipeline / "out")


@pytest.mark.parametrize("verb", ["train", "demo"])
def test_the_lab_says_what_it_lacks_where_torch_is_missing(
    pipeline: Path, tmp_path: Path, verb: str
) -> None:
    given = (pipeline / "tiny.yaml", "--data", pipeline / "films") if verb == "train" else ()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, verb, *given, "-o", tmp_path / "new", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "hilum: this needs torch, which is not installed; install hilum[train]\n"
    )


@pytest.mark.parametrize("verb", ["calibrate", "evaluate"])
def test_a_patient_in_two_splits_stops_every_later_stage(
    pipeline: Path, hilum: Hilum, tmp_path: Path, verb: str
) -> None:
    run = Path(shutil.copytree(pipeline / "run", tmp_path / "run"))
    text = (run / "split.csv").read_text()
    lines = text.splitlines()
    moved = next(line for line in lines if line.endswith(",train,nih-official"))
    (run / "split.csv").write_text(text.replace(moved, moved.replace(",train,", ",test,"), 1))
    done = hilum(verb, run, code=2)
    assert done.stderr.count("\n") == 1
    assert "patients must not cross splits: 1 patient" in done.stderr
    assert f"first: {moved.split(',')[1]}" in done.stderr


def test_an_edited_bundle_is_refused_by_the_command(
    pipeline: Path, hilum: Hilum, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(pipeline / "bundle", tmp_path / "bundle"))
    whole = (bundle / "model.onnx").read_bytes()
    (bundle / "model.onnx").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = hilum("predict", bundle, pipeline / "inbox", "-o", tmp_path / "out", code=2)
    assert done.stderr.count("\n") == 1
    assert "model.onnx was changed since" in done.stderr
    assert not (tmp_path / "out").exists()


def test_calibrating_and_bundling_again_gives_the_same_bytes(
    pipeline: Path, hilum: Hilum, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pipeline / "run", tmp_path / "run"))
    hilum("calibrate", run, "--quiet")
    hilum("bundle", run, "-o", tmp_path / "bundle")
    assert files_of(tmp_path / "bundle") == files_of(pipeline / "bundle")
    hilum("calibrate", run, "--quiet", "--method", "temperature")
    done = hilum("bundle", run, "-o", tmp_path / "other", code=2)
    assert "Run `hilum evaluate` again" in done.stderr


def test_localization_stands_beside_a_prior_that_sees_no_film(pipeline: Path) -> None:
    localisation = json.loads((pipeline / "run" / "localisation.json").read_text())
    assert localisation["reference"] == "reader boxes"
    for share in ("hits", "prior_hits"):
        assert {"value", "low", "high"} <= set(localisation["mean"][share])
