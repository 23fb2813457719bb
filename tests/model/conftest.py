"""A small network of each backbone family, as after some training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hilum.domain.findings import nih14
from hilum.model.classifier import Classifier, classifier

SMALL: dict[str, dict[str, int]] = {
    "convnext_tiny": {"width": 8},
    "densenet121": {"growth_rate": 4},
    "resnet10t_lite0": {},
    "resnet50": {"width": 8},
    "timm/test_convnext": {},
    "timm/test_mambaout": {},
    "timm/test_resnet": {},
}
"""Each member with options that make it small; of timm's others, one with a norm behind the
pooling, one whose map has its channels last, and one with neither."""


@pytest.fixture
def small() -> dict[str, dict[str, int]]:
    return SMALL


@pytest.fixture(params=sorted(SMALL))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def make() -> Callable[..., Classifier]:
    def of(name: str, channels: int = 1, seed: int = 0, **others: float) -> Classifier:
        return classifier(name, nih14(), channels, SMALL[name], seed, **others)

    return of


@pytest.fixture(scope="session")
def images() -> Callable[..., Tensor]:
    def of(count: int, height: int, width: int, channels: int = 1, seed: int = 1) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        return torch.randn(count, channels, height, width, generator=draw)

    return of


@pytest.fixture(scope="session")
def lived_in() -> Callable[..., Classifier]:
    """The network with norms as after training: none is 0, 1 or positive alone."""

    def after(network: Classifier, seed: int = 0) -> Classifier:
        draw = torch.Generator().manual_seed(seed)

        def uniform(tensor: Tensor, low: float, high: float) -> None:
            tensor.data.copy_(torch.rand(tensor.shape, generator=draw) * (high - low) + low)

        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                uniform(module.running_mean, -0.2, 0.2)
                uniform(module.running_var, 0.6, 1.6)
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                uniform(module.weight, 0.5, 1.5)
                uniform(module.bias, -0.3, 0.3)
            if isinstance(getattr(module, "gamma", None), nn.Parameter):
                uniform(module.gamma, 0.1, 0.5)
        return network.eval()

    return after
