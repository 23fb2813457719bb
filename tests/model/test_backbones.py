"""The contract of a backbone, for every member of the folder."""

from __future__ import annotations

import pytest
import torch

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.model.backbones import backbone, members
from hilum.model.classifier import classifier
from hilum.model.weights import digest

LABELS = LabelSet("two", ("Mass", "Edema"))
SLIM = {"densenet121": {"growth_rate": 4}}
"""Options that make a member small, where it has such."""


@pytest.fixture(params=members())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_feature_maps_before_their_relu(name: str, channels: int) -> None:
    features = backbone(name).build(channels, SLIM.get(name, {})).eval()
    films = torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = features(films)
        assert maps.shape[:2] == (2, features.channels)
        assert (maps < 0).any(), "Grad-CAM needs the map before its ReLU"
        before = maps.clone()
        torch.relu(maps)
        assert torch.equal(maps, before)
        assert features(films[:, :, :33, :40]).shape[0] == 2


def test_gradients_reach_every_weight(name: str) -> None:
    network = classifier(name, LABELS, 1, SLIM.get(name, {}), seed=0).train()
    films = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    network(films).square().sum().backward()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_the_seed_fixes_every_weight_and_leaves_the_world_alone(name: str) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    made = [digest(classifier(name, LABELS, 1, SLIM.get(name, {}), seed)) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_an_option_it_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no option 'growth'"):
        backbone(name).build(1, {"growth": 4})


def test_there_is_one_logit_a_finding(name: str) -> None:
    network = classifier(name, LABELS, 1, SLIM.get(name, {}), seed=0)
    assert network(torch.zeros(3, 1, 32, 32)).shape == (3, 2)
    assert network.labels is LABELS


def test_an_unknown_backbone_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"no backbone 'densenet12'; .* Did you mean 'densenet121"):
        backbone("densenet12")
    with pytest.raises(UsageError, match="no backbone 'base'"):
        backbone("base")


def test_densenet_121_is_the_published_one() -> None:
    features = backbone("densenet121").build(3, {})
    # Huang et al. 2017, table 1: 7.98 M parameters with the classifier of 1000 classes
    weights = sum(parameter.numel() for parameter in features.parameters())
    assert weights + 1024 * 1000 + 1000 == 7_978_856
    assert features.channels == 1024
