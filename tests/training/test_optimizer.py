"""Every tensor moves at its part's rate; clipping and accumulation are torch's own."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, optim

from hilum.runs.recipe_parts import OptimizerConfig
from hilum.training import optimizer
from hilum.training.phases import Group

PLAIN = OptimizerConfig(name="sgd", momentum=0.0, weight_decay=0.0, clip_norm=0.0)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.GroupNorm(1, 3), nn.Flatten(), nn.Linear(12, 2))


def groups(net: nn.Sequential) -> tuple[Group, ...]:
    named = list(net.named_parameters())
    head = tuple(pair for pair in named if pair[0].startswith("3."))
    rest = tuple(pair for pair in named if not pair[0].startswith("3."))
    return Group("backbone", 0.01, rest), Group("head", 0.1, head)


def batch(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 4, 4, generator=generator)
    return images, torch.randn(count, 2, generator=generator)


def loss(net: nn.Module, count: int = 8, seed: int = 0) -> torch.Tensor:
    images, y = batch(count, seed)
    return (net(images) - y).square().mean()


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in net.parameters()]


def test_each_part_has_its_rate_and_only_kernels_decay() -> None:
    net = network()
    own = optimizer.build(groups(net), OptimizerConfig(weight_decay=0.3))
    found = [
        (g["name"], g["part"], g["peak"], g["lr"], g["weight_decay"], [p.ndim for p in g["params"]])
        for g in own.param_groups
    ]
    assert found == [
        ("backbone", "backbone", 0.01, 0.01, 0.3, [4]),
        ("backbone, no decay", "backbone", 0.01, 0.01, 0.0, [1, 1, 1]),
        ("head", "head", 0.1, 0.1, 0.3, [2]),
        ("head, no decay", "head", 0.1, 0.1, 0.0, [1]),
    ]


def test_a_part_of_norms_alone_is_one_group() -> None:
    norm = nn.LayerNorm(3)
    own = optimizer.build([Group("norm", 0.1, tuple(norm.named_parameters()))], OptimizerConfig())
    assert [(g["name"], g["weight_decay"]) for g in own.param_groups] == [("norm, no decay", 0.0)]


@pytest.mark.parametrize(
    ("config", "oracle"),
    [
        (OptimizerConfig(name="adam", weight_decay=0.0), optim.Adam),
        (
            OptimizerConfig(name="adamw", weight_decay=0.0),
            lambda p, lr: optim.AdamW(p, lr, weight_decay=0.0),
        ),
        (
            OptimizerConfig(name="sgd", weight_decay=0.0, momentum=0.8),
            lambda p, lr: optim.SGD(p, lr, momentum=0.8, nesterov=True),
        ),
        (PLAIN, optim.SGD),
    ],
)
def test_it_steps_as_torch_does(config: OptimizerConfig, oracle: type[optim.Optimizer]) -> None:
    mine, theirs = network(), network()
    all_of_it = Group("all", 0.05, tuple(mine.named_parameters()))
    own, other = optimizer.build([all_of_it], config), oracle(theirs.parameters(), lr=0.05)
    for seed in range(4):
        loss(mine, seed=seed).backward()
        optimizer.step(own, config.model_copy(update={"clip_norm": 0.0}))
        other.zero_grad()
        loss(theirs, seed=seed).backward()
        other.step()
    for a, b in zip(weights(mine), weights(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_a_tensor_moves_by_its_part_s_rate() -> None:
    net = network()
    own = optimizer.build(groups(net), PLAIN)
    optimizer.set_rates(own, 0.5)
    assert optimizer.rates(own) == {"backbone": 0.005, "head": 0.05}
    before = weights(net)
    loss(net).backward()
    gradients = [p.grad.clone() for p in net.parameters()]
    optimizer.step(own, PLAIN)
    rates = [0.005] * 4 + [0.05] * 2
    for old, new, gradient, rate in zip(before, weights(net), gradients, rates, strict=True):
        torch.testing.assert_close(new, old - rate * gradient)
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_kernel_decays_by_its_rate_times_the_decay(name: str) -> None:
    net = network()
    config = OptimizerConfig(name=name, weight_decay=0.5, momentum=0.0)
    own = optimizer.build(groups(net), config)
    before = weights(net)
    (0.0 * loss(net)).backward()
    optimizer.step(own, config)
    torch.testing.assert_close(net[0].weight.detach(), before[0] * (1.0 - 0.01 * 0.5))
    torch.testing.assert_close(net[3].weight.detach(), before[4] * (1.0 - 0.1 * 0.5))


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_without_a_gradient_only_kernels_decay(name: str) -> None:
    net = network()
    config = OptimizerConfig(name=name, weight_decay=0.5)
    own = optimizer.build(groups(net), config)
    before = weights(net)
    (0.0 * loss(net)).backward()
    assert optimizer.step(own, config) == 0.0
    for old, parameter in zip(before, net.parameters(), strict=True):
        assert torch.equal(parameter.detach(), old) == (parameter.ndim == 1)


@given(
    k=st.integers(1, 5),
    each=st.integers(1, 4),
    clip=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_k_small_batches_are_one_large(k: int, each: int, clip: float, seed: int) -> None:
    config = PLAIN.model_copy(update={"clip_norm": clip})
    images, y = batch(k * each, seed)
    norms: list[float] = []
    ends: list[list[torch.Tensor]] = []
    for parts in (1, k):
        net = network()
        own = optimizer.build(groups(net), config)
        for x, target in zip(images.chunk(parts), y.chunk(parts), strict=True):
            ((net(x) - target).square().mean() / parts).backward()
        norms.append(optimizer.step(own, config))
        ends.append(weights(net))
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bound", [1e-3, 0.1, 1e3])
def test_clipping_is_torch_s_over_all_groups_together(bound: float) -> None:
    mine, theirs = network(), network()
    config = PLAIN.model_copy(update={"clip_norm": bound})
    own = optimizer.build(groups(mine), config)
    loss(mine).backward()
    norm = optimizer.step(own, config)
    other = optimizer.build(groups(theirs), PLAIN)
    loss(theirs).backward()
    assert norm == float(nn.utils.clip_grad_norm_(theirs.parameters(), bound))
    other.step()
    assert all(torch.equal(a, b) for a, b in zip(weights(mine), weights(theirs), strict=True))


def test_clip_norm_0_clips_nothing_and_still_measures() -> None:
    net = network()
    own = optimizer.build(groups(net), PLAIN)
    (1e6 * loss(net)).backward()
    expected = math.sqrt(sum(float(p.grad.double().square().sum()) for p in net.parameters()))
    before, gradient = weights(net)[-1], net[3].bias.grad.clone()
    assert optimizer.step(own, PLAIN) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(weights(net)[-1], before - 0.1 * gradient)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_gradient_that_is_not_finite_moves_nothing(bad: float, scaled: bool) -> None:
    net = network()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0) if scaled else None
    own = optimizer.build(groups(net), OptimizerConfig())
    before = weights(net)
    value = loss(net)
    (value if scaler is None else scaler.scale(value)).backward()
    net[3].bias.grad[0] = bad
    assert not math.isfinite(optimizer.step(own, OptimizerConfig(), scaler))
    assert all(torch.equal(a, b) for a, b in zip(weights(net), before, strict=True))
    assert all(parameter.grad is None for parameter in net.parameters())
    if scaler is not None:
        assert scaler.get_scale() == 4.0


def test_a_scaled_loss_gives_the_unscaled_step_and_goes_on_after_a_resume() -> None:
    config = OptimizerConfig(clip_norm=0.05)
    plain, scaled = network(), network()
    one, two = optimizer.build(groups(plain), config), optimizer.build(groups(scaled), config)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    for seed in range(4):
        loss(plain, seed=seed).backward()
        scaler.scale(loss(scaled, seed=seed)).backward()
        norms = optimizer.step(one, config), optimizer.step(two, config, scaler)
        assert norms[0] == pytest.approx(norms[1], rel=1e-6)
        again = torch.amp.GradScaler("cpu")
        again.load_state_dict(copy.deepcopy(scaler.state_dict()))
        scaler = again
    assert scaler.get_scale() == 4096.0
    for a, b in zip(weights(plain), weights(scaled), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
