"""The heatmaps are Grad-CAM, for every family of backbones: two oracles, and the trap.

Oracles: pytorch-grad-cam, which hooks the layer, and plain autograd, which hooks nothing. Maps are
compared before any scaling.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from hilum.domain.findings import nih14
from hilum.model.backbones import Activation
from hilum.model.classifier import Classifier, ExplainedClassifier, classifier

Make = Callable[..., Classifier]
Images = Callable[..., Tensor]
Change = Callable[[Classifier], Classifier]


@pytest.fixture(scope="module")
def network(lived_in: Change, images: Images) -> Classifier:
    """DenseNet-121 in full, with evidence for every finding on the films below."""
    made = lived_in(classifier("densenet121", nih14(), 1, {}, seed=0))
    _, heatmaps = in_graph(made, images(2, 96, 96))
    silent = heatmaps.max(axis=(2, 3)).min(axis=0) == 0
    made.head.weight.data[torch.from_numpy(silent)] *= -1
    return made


@pytest.fixture(scope="module")
def slim(lived_in: Change) -> Classifier:
    return lived_in(classifier("densenet121", nih14(), 1, {"growth_rate": 4}, seed=0))


def by_library(model: nn.Module, layer: nn.Module, films: Tensor) -> np.ndarray:
    """(B, L, h, w): pytorch-grad-cam for every finding, its raw sum after ReLU."""
    from pytorch_grad_cam import GradCAM  # seconds that other tests need not pay
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
    """The same with nothing hooked: the definition, line by line, ours left aside."""
    features = network.backbone
    maps = features(films).detach().requires_grad_()
    active = torch.relu(maps) if features.activation is Activation.RELU else maps
    logits = network.head(features.norm(active.mean(dim=(2, 3))))
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


def assert_equal(got: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-5 of each film's highest peak."""
    assert got.shape == expected.shape
    peak = expected.max(axis=(1, 2, 3), keepdims=True)
    assert (peak > 0).all(), "maps of zeros would prove nothing"
    assert (np.abs(got - expected) / peak).max() <= 1e-5


# every family


@pytest.mark.parametrize(("height", "width"), [(96, 96), (97, 65)])
def test_heatmaps_are_grad_cam_by_autograd(
    name: str, height: int, width: int, make: Make, images: Images, lived_in: Change
) -> None:
    network = lived_in(make(name))
    films = images(2, height, width)
    logits, heatmaps = in_graph(network, films)
    with torch.no_grad():
        np.testing.assert_allclose(network(films).numpy(), logits, rtol=1e-5, atol=1e-5)
        cells = network.backbone(films).shape[2:]
    assert heatmaps.shape == (2, 14, *cells)
    assert_equal(heatmaps, by_autograd(network, films))


@pytest.mark.slow
def test_heatmaps_are_those_of_pytorch_grad_cam(
    name: str, make: Make, images: Images, lived_in: Change
) -> None:
    network = lived_in(make(name))
    films = images(2, 96, 96)
    _, heatmaps = in_graph(network, films)
    assert_equal(heatmaps, by_library(network, network.backbone, films))


def test_a_norm_behind_the_pooling_makes_the_weights_differ_by_film(
    make: Make, images: Images, lived_in: Change
) -> None:
    network = lived_in(make("convnext_tiny"))
    films = images(2, 96, 96)
    maps = network.backbone(films).detach()
    as_if_none = torch.relu(torch.einsum("lk,bkhw->blhw", network.head.weight, maps)) / 9
    _, heatmaps = in_graph(network, films)
    gap = np.abs(heatmaps - as_if_none.detach().numpy()).max()
    assert gap > 0.1 * heatmaps.max(), "the Jacobian of the norm must matter here"


# DenseNet-121


@pytest.mark.slow
def test_all_findings_maps_are_grad_cam_at_norm5_before_its_relu(
    network: Classifier, images: Images
) -> None:
    films = images(2, 96, 96)
    _, heatmaps = in_graph(network, films)
    assert heatmaps.shape == (2, 14, 3, 3)
    assert (heatmaps.max(axis=(2, 3)) > 0).all(), "a map of zeros would prove nothing"
    assert (network.backbone(films) < 0).any(), "the map is the one before its ReLU"
    norm5 = network.backbone.extractor.get_submodule("features.norm5")
    assert_equal(heatmaps, by_library(network, norm5, films))
    assert_equal(heatmaps, by_autograd(network, films))


@pytest.mark.slow
def test_timm_s_own_norm5_shows_hooks_another_map(network: Classifier, images: Images) -> None:
    fused = timm.create_model("densenet121", pretrained=False, num_classes=14, in_chans=1)
    state = dict(network.backbone.extractor.state_dict())
    state |= {f"classifier.{name}": t for name, t in network.head.state_dict().items()}
    fused.load_state_dict(state)
    fused.eval()
    films = images(2, 96, 96)
    logits, heatmaps = in_graph(network, films)
    with torch.no_grad():
        np.testing.assert_allclose(fused(films).numpy(), logits, atol=1e-4)
    trapped = by_library(fused, fused.features.norm5, films)
    peaks = heatmaps.max(axis=(2, 3), keepdims=True)
    assert np.median(np.abs(trapped - heatmaps) / peaks) > 0.05


def test_a_finding_s_logit_and_map_depend_on_its_own_weights_only(
    slim: Classifier, images: Images
) -> None:
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


def test_no_evidence_is_a_map_of_zeros_and_never_nan(name: str, make: Make, images: Images) -> None:
    network = make(name).eval()
    network.head.weight.data[0] = 0
    _, heatmaps = in_graph(network, images(1, 64, 64))
    assert not heatmaps[:, 0].any()
    assert np.isfinite(heatmaps).all()
