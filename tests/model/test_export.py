"""ONNX holds the network and its heatmaps, for every family; in half the bytes; always the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import Tensor

from hilum.domain.errors import BundleError
from hilum.domain.findings import nih14
from hilum.model import export
from hilum.model.classifier import Classifier, ExplainedClassifier, classifier
from hilum.model.export import export_onnx, rounded_to_half
from hilum.model.weights import digest

Make = Callable[..., Classifier]
Images = Callable[..., Tensor]
Change = Callable[[Classifier], Classifier]


def in_torch(network: Classifier, films: Tensor) -> list[NDArray[np.float32]]:
    with torch.no_grad():
        return [tensor.numpy() for tensor in ExplainedClassifier(network.eval())(films)]


def in_openvino(path: Path, films: Tensor) -> list[NDArray[np.float32]]:
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = compiled({"images": films.numpy()})
    return [got["logits"], got["heatmaps"]]


def assert_alike(got: list[NDArray[np.float32]], expected: list[NDArray[np.float32]]) -> None:
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-4, atol=1e-4)
    assert got[1].shape == expected[1].shape
    assert np.abs(got[1] - expected[1]).max() <= 2e-5 * expected[1].max()


def initializers(path: Path) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


@pytest.fixture(scope="module")
def network(make: Make, lived_in: Change) -> Classifier:
    """With a norm behind its pooling, and in training mode."""
    return lived_in(make("timm/test_convnext")).train()


@pytest.fixture(scope="module")
def file(network: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "half.onnx"
    export_onnx(network, path, 64, channels=1, half=True)
    return path


@pytest.mark.slow
def test_a_network_leaves_with_its_weights_bit_for_bit(
    make: Make, images: Images, tmp_path: Path
) -> None:
    network = make("timm/test_resnet").train()
    before = digest(network)
    path = tmp_path / "model.onnx"
    parity = export_onnx(network, path, 64, channels=1)
    assert digest(network) == before
    assert network.training, "the network is left as it was"
    assert parity.logits < 1e-5
    assert parity.heatmaps < 1e-5
    for count in (1, 3):
        films = images(count, 64, 64)
        assert_alike(in_openvino(path, films), in_torch(copy.deepcopy(network), films))
    held = initializers(path)
    for key, weight in network.named_parameters():
        stored = numpy_helper.to_array(held[f"network.{key}"])
        assert np.array_equal(stored, weight.detach().numpy())


@pytest.mark.slow
def test_the_same_weights_give_the_same_bytes(
    network: Classifier, file: Path, tmp_path: Path
) -> None:
    export_onnx(network, tmp_path / "again.onnx", 64, channels=1, half=True)
    assert (tmp_path / "again.onnx").read_bytes() == file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("member", ["convnext_tiny", "resnet50"])
def test_the_published_networks_export_in_half_the_bytes(
    member: str, lived_in: Change, images: Images, tmp_path: Path
) -> None:
    network = lived_in(classifier(member, nih14(), 1, {}, seed=0))
    path = tmp_path / "model.onnx"
    parity = export_onnx(network, path, 96, channels=1, half=True)
    assert 0 < parity.logits < 1e-3
    weights = sum(weight.numel() for weight in network.parameters())
    assert path.stat().st_size < 2 * weights * 1.1
    films = images(3, 96, 96)
    assert_alike(in_openvino(path, films), in_torch(rounded_to_half(network), films))


@pytest.mark.slow
def test_a_map_with_its_channels_last_exports(
    make: Make, lived_in: Change, images: Images, tmp_path: Path
) -> None:
    network, films = lived_in(make("timm/test_mambaout")), images(3, 64, 64)
    export_onnx(network, tmp_path / "model.onnx", 64, channels=1)
    assert_alike(in_openvino(tmp_path / "model.onnx", films), in_torch(network, films))


# half


def test_rounding_moves_kernels_by_half_a_step_and_nothing_else(make: Make) -> None:
    network = make("timm/test_convnext")
    before = digest(network)
    low = rounded_to_half(network)
    assert digest(network) == before
    for key, weight in network.named_parameters():
        other = low.get_parameter(key)
        assert other.dtype == torch.float32
        if weight.ndim < 2:
            assert torch.equal(other, weight)
            continue
        assert torch.equal(other.half().float(), other)
        # 11 significant bits, and below 2^-14 the spacing stays 2^-24
        bound = torch.clamp(weight.abs() * 2.0**-11, min=2.0**-25)
        assert ((other - weight).abs() <= bound).all()


@pytest.mark.slow
def test_half_is_stored_where_it_loses_nothing(
    network: Classifier, file: Path, images: Images
) -> None:
    kinds = {name: tensor.data_type for name, tensor in initializers(file).items()}
    kernels = [key for key, w in network.named_parameters() if w.ndim == 4 and w.shape[2] > 1]
    assert len(kernels) > 4
    assert {kinds[f"network.{key}.half"] for key in kernels} == {TensorProto.FLOAT16}
    assert kinds["network.backbone.norm.weight"] == TensorProto.FLOAT
    onnx.checker.check_model(onnx.load(file), full_check=True)
    weights = sum(weight.numel() for weight in network.parameters())
    assert file.stat().st_size < 2 * weights + 80_000
    films = images(3, 64, 64)
    assert_alike(in_openvino(file, films), in_torch(rounded_to_half(network), films))


@pytest.mark.slow
def test_the_file_names_no_path_of_the_machine(file: Path) -> None:
    for word in (str(Path(export.__file__).parent), str(Path(torch.__file__).parent), "File "):
        assert word.encode() not in file.read_bytes()


def test_weights_that_float16_cannot_hold_are_refused(make: Make, tmp_path: Path) -> None:
    network = make("timm/test_resnet")
    network.head.weight.data[0, 0] = 1e5
    with pytest.raises(BundleError, match=r"within 65504 .*; head\.weight reaches 100000"):
        export_onnx(network, tmp_path / "model.onnx", 64, channels=1, half=True)
    assert list(tmp_path.iterdir()) == []


# parity


@pytest.mark.slow
@pytest.mark.parametrize("output", ["logits", "heatmaps"])
def test_a_graph_that_gives_something_else_is_refused(
    output: str, network: Classifier, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(file)
    for node in model.graph.node:
        node.output[:] = ["before" if name == output else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.01), "factor"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["before", "factor"], [output]))
    monkeypatch.setattr(export, "_graph", lambda *_: model)
    with pytest.raises(BundleError, match=f"exported {output} must equal torch's") as caught:
        export_onnx(network, tmp_path / "model.onnx", 64, channels=1, half=True)
    assert "\n" not in str(caught.value)
