"""The heatmaps are Grad-CAM at `features.norm5`, before its ReLU: two oracles, and the trap.

Oracles: pytorch-grad-cam, which hooks the layer, and plain autograd, which hooks nothing. Maps are
compared before any scaling.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest
import timm
import torch
from torch import Tensor, nn

from hilum.domain.findings import nih14
from hilum.model.classifier import Classifier, ExplainedClassifier, classifier
from hilum.model.export import export_onnx

SIZE = 96


def lived_in(network: Classifier, seed: int = 0) -> Classifier:
    """The network with batch-norm statistics as after training: none is 0, 1 or positive alone."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.data.copy_(torch.rand(tensor.shape, generator=draw) * (high - low) + low)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            uniform(module.running_mean, -0.2, 0.2)
            uniform(module.running_var, 0.6, 1.6)
            uniform(module.weight, 0.5, 1.5)
            uniform(module.bias, -0.3, 0.3)
    return network.eval()


def images(count: int, height: int = SIZE, width: int = SIZE, seed: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, height, width, generator=draw)


@pytest.fixture(scope="module")
def network() -> Classifier:
    """DenseNet-121 in full, with evidence for every finding on the films below."""
    made = lived_in(classifier("densenet121", nih14(), 1, {}, seed=0))
    _, heatmaps = in_graph(made, images(2))
    silent = heatmaps.max(axis=(2, 3)).min(axis=0) == 0
    made.head.weight.data[torch.from_numpy(silent)] *= -1
    return made


@pytest.fixture(scope="module")
def slim() -> Classifier:
    return lived_in(classifier("densenet121", nih14(), 1, {"growth_rate": 4}, seed=0))


def by_library(model: nn.Module, layer: nn.Module, films: Tensor) -> np.ndarray:
    """(B, L, h, w): pytorch-grad-cam for every finding, its raw sum after ReLU."""
    from pytorch_grad_cam import GradCAM  # seconds that the fast tests need not pay
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    maps = []
    with GradCAM(model=model, target_layers=[layer]) as oracle:
        for column in range(len(nih14())):
            targets = [ClassifierOutputTarget(column)] * len(films)
            oracle(films, targets)
            hooked = oracle.activations_and_grads
            activations, gradients = hooked.activations[0].numpy(), hooked.gradients[0].numpy()
            raw = oracle.get_cam_image(films, layer, targets, activations, gradients)
            maps.append(np.maximum(raw, 0))
    return np.stack(maps, axis=1)


def by_autograd(network: Classifier, films: Tensor) -> np.ndarray:
    """The same with nothing hooked: the definition, line by line."""
    maps = network.backbone(films).detach().requires_grad_()
    logits = network.head(torch.relu(maps).mean(dim=(2, 3)))
    found = []
    for column in range(logits.shape[1]):
        (slope,) = torch.autograd.grad(logits[:, column].sum(), maps, retain_graph=True)
        alpha = slope.mean(dim=(2, 3), keepdim=True)
        found.append(torch.relu((alpha * maps).sum(dim=1)).detach().numpy())
    return np.stack(found, axis=1)


def in_graph(network: Classifier, films: Tensor) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        logits, heatmaps = ExplainedClassifier(network)(films)
    return logits.numpy(), heatmaps.numpy()


def norm5(network: Classifier) -> nn.Module:
    return network.backbone.extractor.get_submodule("features.norm5")


def assert_equal(got: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-5 of each map's own peak, which is far less than 1e-5 absolute here."""
    assert got.shape == expected.shape
    peak = np.maximum(expected.max(axis=(2, 3), keepdims=True), 1e-30)
    assert (np.abs(got - expected) / peak).max() <= 1e-5


@pytest.mark.slow
def test_all_findings_maps_are_grad_cam_of_both_oracles(network: Classifier) -> None:
    films = images(2)
    _, heatmaps = in_graph(network, films)
    assert heatmaps.shape == (2, 14, 3, 3)
    assert (heatmaps.max(axis=(2, 3)) > 0).all(), "a map of zeros would prove nothing"
    assert (network.backbone(films) < 0).any(), "the map is the one before its ReLU"
    assert_equal(heatmaps, by_library(network, norm5(network), films))
    assert_equal(heatmaps, by_autograd(network, films))


@pytest.mark.slow
def test_timm_s_own_norm5_shows_hooks_another_map(network: Classifier) -> None:
    fused = timm.create_model("densenet121", pretrained=False, num_classes=14, in_chans=1)
    state = dict(network.backbone.extractor.state_dict())
    state |= {f"classifier.{name}": t for name, t in network.head.state_dict().items()}
    fused.load_state_dict(state)
    fused.eval()
    films = images(2)
    logits, heatmaps = in_graph(network, films)
    with torch.no_grad():
        np.testing.assert_allclose(fused(films).numpy(), logits, atol=1e-4)
    trapped = by_library(fused, fused.features.norm5, films)
    peaks = heatmaps.max(axis=(2, 3), keepdims=True)
    assert np.median(np.abs(trapped - heatmaps) / peaks) > 0.05


@pytest.mark.slow
def test_the_exported_graph_holds_the_same_maps_for_any_batch(
    network: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    parity = export_onnx(network, path, SIZE, channels=1)
    core = openvino.Core()
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 3):
        films = images(count, seed=count)
        logits, _ = in_graph(network, films)
        got = compiled({"images": films.numpy()})
        np.testing.assert_allclose(got["logits"], logits, atol=1e-4)
        expected = by_library(network, norm5(network), films)
        assert np.abs(got["heatmaps"] - expected).max() <= 1e-5 * expected.max()
    assert parity.logits < 1e-3
    assert parity.heatmaps < 1e-5


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (97, 65)])
def test_any_film_size_gives_grad_cam(slim: Classifier, height: int, width: int) -> None:
    films = images(1, height, width)
    logits, heatmaps = in_graph(slim, films)
    with torch.no_grad():
        np.testing.assert_allclose(slim(films).numpy(), logits, atol=1e-5)
        cells = slim.backbone(films).shape[2:]
    assert heatmaps.shape == (1, 14, *cells)
    assert_equal(heatmaps, by_autograd(slim, films))


def test_a_finding_s_logit_and_map_depend_on_its_own_weights_only(slim: Classifier) -> None:
    films = images(2, 64, 64)
    before = in_graph(slim, films)
    kept = slim.head.weight.data.clone()
    try:
        slim.head.weight.data[3] *= -2
        after = in_graph(slim, films)
    finally:
        slim.head.weight.data.copy_(kept)
    others = [column for column in range(14) if column != 3]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[:, others], new[:, others])
        assert (old[:, 3] != new[:, 3]).any()


def test_no_evidence_is_a_map_of_zeros_and_never_nan(slim: Classifier) -> None:
    kept = slim.head.weight.data.clone()
    try:
        slim.head.weight.data[0] = 0
        _, heatmaps = in_graph(slim, images(1, 64, 64))
    finally:
        slim.head.weight.data.copy_(kept)
    assert not heatmaps[:, 0].any()
    assert np.isfinite(heatmaps).all()
