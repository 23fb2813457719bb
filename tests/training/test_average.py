"""The average is torch's own, goes on after a resume, and keeps what is frozen."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier
from hilum.runs.recipe_parts import PhaseConfig
from hilum.training import phases
from hilum.training.average import Average


@pytest.fixture
def network() -> Classifier:
    torch.manual_seed(0)
    extractor = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout())
    return Classifier(Features(extractor, 3), LabelSet("two", ("Mass", "Edema")))


def shake(network: Classifier, seed: int) -> None:
    """Moves every parameter and statistic, as a step does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.1)
            else:
                tensor.add_(1)


def same(a: Classifier, b: Classifier) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in a.state_dict().items())


def test_it_is_torch_s_average_of_weights_and_statistics_to_the_bit(network: Classifier) -> None:
    average = Average(network, 0.9)
    oracle = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for seed in range(4):
        shake(network, seed)
        average.update(network)
        oracle.update_parameters(network)
    theirs = oracle.module.state_dict()
    for name, tensor in average.module.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, theirs[name]), name
        else:
            assert tensor == network.state_dict()[name], name


def test_the_first_update_copies(network: Classifier) -> None:
    average = Average(network, 0.999)
    shake(network, 0)
    assert not same(average.module, network)
    average.update(network)
    assert same(average.module, network)


def test_it_goes_on_to_the_same_bits_after_a_resume(network: Classifier) -> None:
    fresh, whole = copy.deepcopy(network), Average(network, 0.9)
    for seed in range(3):
        shake(network, seed)
        whole.update(network)
    again = Average(fresh, 0.9)
    again.resume({name: tensor.clone() for name, tensor in whole.state().items()})
    for seed in range(3, 5):
        shake(network, seed)
        whole.update(network)
        again.update(network)
    assert same(whole.module, again.module)
    assert again.updates == whole.updates == 5


def test_a_phase_s_frozen_part_stays_in_the_average_what_it_is(network: Classifier) -> None:
    average = Average(network, 0.97)
    shake(network, 0)
    average.update(network)
    head = PhaseConfig(name="head", trains={"head": 0.1}, epochs=1)
    for _ in range(5):
        with torch.no_grad():
            network.head.weight.add_(0.1)
        average.update(network)
    now, averaged = network.state_dict(), average.module.state_dict()
    still = phases.frozen(network, head)
    assert all(torch.equal(averaged[name], now[name]) for name in still)
    assert not torch.equal(averaged["head.weight"], now["head.weight"])


def test_it_neither_trains_nor_drops_out_nor_shares_memory(network: Classifier) -> None:
    network.train()
    average = Average(network, 0.9)
    assert not any(module.training for module in average.module.modules())
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    mine = {tensor.data_ptr() for tensor in average.module.parameters()}
    assert not mine & {tensor.data_ptr() for tensor in network.parameters()}
    assert network.training


def test_the_average_of_another_network_is_refused(network: Classifier) -> None:
    average = Average(network, 0.9)
    state = average.state()
    for missing in ("updates", "head.bias"):
        with pytest.raises(BundleError, match="must be of the network that trains"):
            average.resume({name: t for name, t in state.items() if name != missing})
