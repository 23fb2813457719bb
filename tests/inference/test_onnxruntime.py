"""Where OpenVINO is not, ONNX Runtime gives the same numbers, and says that it did."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from hilum import Bundle
from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import nih14
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Engine, Library, Precision

pytest.importorskip("onnxruntime", reason="needs the extra onnxruntime")

PREPROCESSING = Preprocessing(size=64, channels=1, mean=(0.5,), std=(0.25,))
RASTERS = np.random.default_rng(0).integers(0, 256, (9, 64, 64), np.uint8)


@pytest.fixture
def model(tmp_path: Path, network: Callable[..., onnx.ModelProto]) -> Path:
    onnx.save(network(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def of(model: Path, threads: int = 2, preprocessing: Preprocessing = PREPROCESSING) -> Engine:
    return Engine(model, preprocessing, nih14(), threads=threads, library=Library.ONNXRUNTIME)


def agree(one: Engine, other: Engine, rasters: np.ndarray) -> None:
    got, want = one.run(rasters), other.run(rasters)
    np.testing.assert_allclose(got.logits.values, want.logits.values, atol=1e-4)
    np.testing.assert_allclose(got.heatmaps, want.heatmaps, atol=1e-4)
    assert got.heatmaps.dtype == np.float32


def test_it_gives_what_openvino_gives(model: Path) -> None:
    agree(of(model), Engine(model, PREPROCESSING, nih14()), RASTERS)


def test_it_gives_what_openvino_gives_of_a_trained_network() -> None:
    bundle = Bundle.load("starter")
    size = bundle.manifest.preprocessing.size
    rasters = np.random.default_rng(1).integers(0, 256, (4, size, size), np.uint8)
    other = Bundle.load("starter", runtime="onnxruntime")
    assert other.engine.runtime.startswith("onnxruntime 1.")
    agree(other.engine, bundle.engine, rasters)


def test_a_score_does_not_depend_on_threads(model: Path) -> None:
    whole = of(model, threads=1).run(RASTERS)
    engine = of(model, threads=4)
    with ThreadPoolExecutor(8) as threads:
        for row, output in enumerate(threads.map(engine.ask, RASTERS)):
            np.testing.assert_array_equal(output.logits.values, whole.of(row).logits.values)
            np.testing.assert_array_equal(output.heatmaps, whole.of(row).heatmaps)


def test_it_stands_in_where_openvino_cannot_be_imported(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert Engine(model, PREPROCESSING, nih14()).runtime.startswith("onnxruntime 1.")
    with pytest.raises(UsageError, match="a network needs openvino to run; here import of openv"):
        Engine(model, PREPROCESSING, nih14(), library=Library.OPENVINO)
    with pytest.raises(UsageError, match="onnxruntime computes in f32; got bf16"):
        Engine(model, PREPROCESSING, nih14(), Precision.BF16)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match="a network needs openvino or onnxruntime to run"):
        Engine(model, PREPROCESSING, nih14())


def test_what_is_no_network_is_refused_in_one_line(model: Path) -> None:
    three = Preprocessing(size=64)
    small = PREPROCESSING.model_copy(update={"size": 32})
    for preprocessing in (three, small):
        with pytest.raises(BundleError, match="must be a network hilum exported") as caught:
            of(model, preprocessing=preprocessing)
        assert "\n" not in str(caught.value)
    model.write_bytes(b"hello\nthere")
    with pytest.raises(BundleError, match="must be a network hilum exported"):
        of(model)
