"""Convolutions in 8 bits: which they are, how far they move, in two libraries."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hilum.domain.errors import BundleError
from hilum.domain.findings import nih14
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Engine, Library, Output, Precision
from hilum.model.classifier import Classifier
from hilum.model.export import export_onnx
from hilum.model.graph import write_quantized

Make = Callable[..., Classifier]
Change = Callable[[Classifier], Classifier]
PREPROCESSING = Preprocessing(size=64, channels=1, mean=(0.5,), std=(0.25,))
RASTERS = np.random.default_rng(0).integers(0, 256, (12, 64, 64), dtype=np.uint8)

pytestmark = pytest.mark.slow


def images(rows: slice) -> NDArray[np.float32]:
    return PREPROCESSING.normalize(RASTERS[rows])


@pytest.fixture(scope="module")
def network(make: Make, lived_in: Change, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stored in half the bytes, which the quantizer must see through."""
    path = tmp_path_factory.mktemp("quantize") / "model.onnx"
    export_onnx(lived_in(make("timm/test_resnet")), path, 64, channels=1, half=True)
    return path


@pytest.fixture(scope="module")
def quantized(network: Path) -> Path:
    path = network.with_name("model-int8.onnx")
    count = sum(node.op_type == "Conv" for node in onnx.load(network).graph.node)
    assert write_quantized(network, images(slice(8)), path) == count - 1 > 5
    return path


def said(path: Path, precision: Precision, library: Library = Library.OPENVINO) -> Output:
    engine = Engine(path, PREPROCESSING, nih14(), precision, library=library)
    return engine.run(RASTERS[8:])


def test_kernels_are_whole_numbers_within_half_a_step_and_the_first_is_as_it_was(
    network: Path, quantized: Path
) -> None:
    model = onnx.load(quantized)
    onnx.checker.check_model(model, full_check=True)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    kernels = {tensor.name: tensor for tensor in onnx.load(network).graph.initializer}
    producer = {node.output[0]: node for node in model.graph.node}
    first, *others = [node for node in model.graph.node if node.op_type == "Conv"]
    assert stored[first.input[1]].data_type == TensorProto.FLOAT
    assert first.input[0] == "images"
    for node in others:
        widened = producer[node.input[1]]
        assert widened.op_type == producer[node.input[0]].op_type == "DequantizeLinear"
        whole = numpy_helper.to_array(stored[widened.input[0]])
        steps = numpy_helper.to_array(stored[widened.input[1]])
        assert whole.dtype == np.int8
        assert steps.shape == whole.shape[:1], "a step for each channel"
        name = widened.input[0].removesuffix("_quantized")
        kernel = numpy_helper.to_array(kernels[f"{name}.half"]).astype(np.float32)
        error = np.abs(whole * steps[:, None, None, None] - kernel)
        assert (error.max(axis=(1, 2, 3)) <= steps * 0.501).all()
    assert quantized.stat().st_size < 1.2 * network.stat().st_size


def test_answers_move_a_little_and_alike_in_every_library(network: Path, quantized: Path) -> None:
    floats = said(network, Precision.F32)
    whole = said(quantized, Precision.INT8)
    other = said(quantized, Precision.INT8, Library.ONNXRUNTIME)
    moved = np.abs(whole.logits.values - floats.logits.values).max()
    assert 1e-4 < moved < 0.1 * floats.logits.values.std()
    assert np.abs(whole.heatmaps - floats.heatmaps).max() < 0.1 * floats.heatmaps.max()
    assert np.abs(whole.logits.values - other.logits.values).max() < 0.5 * moved
    again = said(quantized, Precision.INT8)
    assert np.array_equal(whole.logits.values, again.logits.values)


def test_the_same_films_give_the_same_bytes_and_leave_the_log_as_it_was(
    network: Path, quantized: Path, tmp_path: Path
) -> None:
    level = logging.root.level
    write_quantized(network, images(slice(8)), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == quantized.read_bytes()
    write_quantized(network, images(slice(4)), tmp_path / "fewer.onnx")
    assert (tmp_path / "fewer.onnx").read_bytes() != quantized.read_bytes()
    assert logging.root.level == level


def test_a_network_with_one_convolution_has_nothing_to_quantize(tmp_path: Path) -> None:
    kernel = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "kernel")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "kernel"], ["heatmaps"])],
        "one",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 1, 64, 64])],
        [helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, None)],
        [kernel],
    )
    onnx.save(helper.make_model(graph), tmp_path / "one.onnx")
    with pytest.raises(BundleError, match="must have convolutions behind its first"):
        write_quantized(tmp_path / "one.onnx", images(slice(2)), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
