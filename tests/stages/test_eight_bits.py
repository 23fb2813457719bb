"""A run calibrated in 8 bits: its own network, its own calibration, and no way to mix them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilum import Bundle
from hilum.bundle.manifest import read_calibration
from hilum.datasets import open_dataset
from hilum.domain.errors import BundleError, DatasetError, UsageError
from hilum.domain.record import Split
from hilum.files.sealed import file_sha256
from hilum.inference.engine import Precision
from hilum.runs.folder import RunFolder
from hilum.stages.calibrate import CalibrationRequest, calibrate_run, engine_of
from hilum.stages.films import split_of
from hilum.stages.localize import localize, sanity, subject_of
from hilum.training.quantize import FILMS, quantize_run

Said = Callable[..., tuple[int, str, str]]
Hilum = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow

CPUINFO = Path("/proc/cpuinfo")
HAS_VNNI = not CPUINFO.exists() or "vnni" in CPUINFO.read_text("ascii", "replace")


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(toy / "run", tmp_path / "run")))


@pytest.fixture(scope="module")
def made(toy: Path, hilum: Hilum, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run calibrated and evaluated by the command line."""
    run = Path(shutil.copytree(toy / "run", tmp_path_factory.mktemp("eight") / "run"))
    done = hilum("calibrate", run, "--precision", "int8")
    moved = r"8 bits move the logits of the calibrate films by (\d\.\d{3}) on average and"
    found = re.search(moved, done.stderr)
    assert found is not None
    assert 0.0 < float(found[1]) < 0.1
    hilum("evaluate", run, "--resamples", 100, "--quiet")
    return run


@pytest.fixture
def eight(made: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(made, tmp_path / "eight")))


def test_a_run_has_both_networks_and_says_where_the_second_comes_from(
    toy: Path, eight: RunFolder
) -> None:
    assert file_sha256(eight.model) == eight.facts().network.model_sha256
    facts, calibration = eight.quantization(), read_calibration(eight)
    assert facts.model_sha256 == eight.facts().network.model_sha256
    assert facts.quantized_sha256 == file_sha256(eight.quantized) == calibration.model_sha256
    cohort = split_of(eight, Split.CALIBRATE, toy / "films")
    assert facts.films.images == min(FILMS, len(cohort))
    assert facts.films.name == "calibrate"
    assert facts.convolutions == 1
    assert "onnxruntime" in facts.provenance
    assert calibration.precision is Precision.INT8


def test_its_bundle_serves_in_8_bits_and_in_nothing_else(
    eight: RunFolder, toy: Path, tmp_path: Path, said: Said
) -> None:
    bundle = tmp_path / "bundle"
    assert said("bundle", eight.root, "-o", bundle)[0] == 0
    assert "in int8" in (bundle / "CARD.md").read_text()
    assert "8 bits move the logits" in (bundle / "CARD.md").read_text()
    assert file_sha256(bundle / "model.onnx") == file_sha256(eight.quantized)
    film = sorted((toy / "films" / "images").iterdir())[0]
    code, _, _ = said("predict", bundle, film, "-o", tmp_path / "out", "--quiet")
    assert code == 0
    (line,) = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["precision"] == "int8"
    loaded = Bundle.load(bundle)
    if HAS_VNNI:
        other = Bundle.load(bundle, runtime="onnxruntime")
    else:  # ONNX Runtime's sums of 8-bit products overflow there, and the self-test sees it
        with pytest.raises(BundleError, match="must give the self-test's logits"):
            Bundle.load(bundle, runtime="onnxruntime")
        other = loaded
    floats = Bundle.load(toy / "bundle")
    raster = loaded.engine.preprocessing.raster(loaded.predict(film).film)
    logits = [one.engine.ask(raster).logits.values for one in (loaded, other, floats)]
    assert np.abs(logits[0] - logits[1]).max() < 0.02
    assert 0.0 < np.abs(logits[0] - logits[2]).max() < 0.2
    code, out, err = said("predict", bundle, film, "-o", tmp_path / "new", "--precision", "f32")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "computes in int8 or int8-bf16; got f32" in err
    with pytest.raises(UsageError, match="computes in f32 or bf16; got int8"):
        Bundle.load(toy / "bundle", precision="int8")


def test_no_other_network_passes_for_the_quantized_one(eight: RunFolder, toy: Path) -> None:
    cohort = split_of(eight, Split.CALIBRATE, toy / "films")
    whole = eight.quantized.read_bytes()
    eight.quantized.write_bytes(whole + b"\0")
    with pytest.raises(BundleError, match=r"model-int8\.onnx must be the one calibrating quant"):
        engine_of(eight, Precision.INT8)
    eight.quantized.write_bytes(whole)
    engine_of(eight, Precision.INT8)
    first = cohort.records[0]
    quantize_run(eight, "calibrate", cohort.select(lambda record: record == first))
    with pytest.raises(BundleError, match="a calibration must belong to the run's network"):
        read_calibration(eight)
    facts = eight.quantization()
    eight.write_quantization(facts.model_copy(update={"model_sha256": "0" * 64}))
    with pytest.raises(BundleError, match="was made from a different one"):
        engine_of(eight, Precision.INT8)


def test_a_run_that_was_not_quantized_says_what_to_do(run: RunFolder, toy: Path) -> None:
    cohort = split_of(run, Split.CALIBRATE, toy / "films")
    with pytest.raises(BundleError, match=r"has none. Run `hilum calibrate RUN --precision int8`"):
        calibrate_run(run, cohort, CalibrationRequest(precision=Precision.INT8))
    gone = cohort.select(lambda _: False)
    with pytest.raises(DatasetError, match="none of the 0 of"):
        quantize_run(run, "calibrate", gone)
    assert not run.quantized.exists()


def test_its_heatmaps_are_measured_and_its_weights_drawn_anew_as_floats(
    eight: RunFolder, toy: Path, tmp_path: Path, said: Said
) -> None:
    cohort = open_dataset(toy / "films")
    subject = subject_of(eight.root)
    assert localize(subject, cohort, toy / "films", seed=0).precision == "int8"
    assert sanity(subject, cohort, seed=0).precision == "f32"
    assert said("bundle", eight.root, "-o", tmp_path / "bundle")[0] == 0
    with pytest.raises(BundleError, match="Ask the run that it was made of"):
        sanity(subject_of(tmp_path / "bundle"), cohort, seed=0)


def test_calibrating_again_as_floats_leaves_8_bits_behind(eight: RunFolder, said: Said) -> None:
    before = eight.quantized.read_bytes()
    assert said("calibrate", eight.root, "--quiet")[0] == 0
    assert read_calibration(eight).precision is Precision.F32
    assert said("calibrate", eight.root, "--quiet", "--precision", "int8")[0] == 0
    assert eight.quantized.read_bytes() == before
