"""A phase does what it says: hashes of every weight and statistic decide."""

from __future__ import annotations

import pytest
import torch

from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.model.classifier import Classifier, classifier
from hilum.model.weights import digest
from hilum.training import phases
from hilum.training.config import PhaseConfig

HEAD = PhaseConfig(name="first", trains="head", epochs=1, rate=0.1)
ALL = PhaseConfig(name="second", trains="all", epochs=1, rate=0.1)


@pytest.fixture
def network() -> Classifier:
    labels = LabelSet("two", ("Mass", "Edema"))
    return classifier("densenet121", labels, 1, {"growth_rate": 4}, seed=0)


def train(network: Classifier, phase: PhaseConfig) -> None:
    """Two steps of plain descent."""
    parameters = phases.begin(network, phase)
    phases.set_mode(network, phase)
    images = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(parameters, lr=phase.rate)
    for _ in range(2):
        optimizer.zero_grad()
        network(images).square().sum().backward()
        optimizer.step()


def test_the_head_phase_leaves_the_backbone_with_its_statistics(network: Classifier) -> None:
    before, head = digest(network.backbone), digest(network.head)
    train(network, HEAD)
    assert phases.verify(network, HEAD, before) == before
    assert digest(network.head) != head
    assert len(phases.begin(network, HEAD)) == 2


def test_the_second_phase_trains_every_weight(network: Classifier) -> None:
    train(network, HEAD)
    before = digest(network.backbone)
    train(network, ALL)
    assert phases.verify(network, ALL, before) == digest(network.backbone) != before
    assert len(phases.begin(network, ALL)) == len(list(network.parameters()))
    assert network.training
    assert all(module.training for module in network.backbone.modules())


def test_a_phase_that_never_unfroze_is_refused(network: Classifier) -> None:
    before = digest(network.backbone)
    train(network, HEAD)
    with pytest.raises(BundleError, match="phase 'second' must train the backbone; no weight"):
        phases.verify(network, ALL, before)


def test_a_frozen_backbone_whose_weights_moved_is_refused(network: Classifier) -> None:
    before = digest(network.backbone)
    train(network, ALL)
    with pytest.raises(BundleError, match="phase 'first' must leave the backbone as it was"):
        phases.verify(network, HEAD, before)


def test_a_frozen_backbone_whose_statistics_moved_is_refused(network: Classifier) -> None:
    before = digest(network.backbone)
    phases.begin(network, HEAD)
    network.train()  # forgets that batch norm learns in training mode too
    network(torch.randn(4, 1, 32, 32))
    with pytest.raises(BundleError, match="it changed"):
        phases.verify(network, HEAD, before)
