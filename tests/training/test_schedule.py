"""The trace of learning rates is the one of torch's own schedulers, step by step."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import optim
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
)

from hilum.runs.recipe_parts import Criterion, OptimizerConfig, Schedule, ScheduleConfig
from hilum.training import optimizer
from hilum.training.optimizer import Plateau, factor
from hilum.training.phases import Group

PEAKS = {"head": 0.3, "backbone": 1e-4}


def groups() -> list[Group]:
    return [
        Group(part, rate, ((part, torch.nn.Parameter(torch.zeros(1))),))
        for part, rate in PEAKS.items()
    ]


def trace(config: ScheduleConfig, steps: int) -> list[dict[str, float]]:
    """The rates that the optimizer is given."""
    own = optimizer.build(groups(), OptimizerConfig())
    rates: list[dict[str, float]] = []
    for step in range(steps):
        optimizer.set_rates(own, factor(config, step, steps))
        rates.append(optimizer.rates(own))
    return rates


def torch_trace(own: optim.Optimizer, schedule: LRScheduler, steps: int) -> list[dict[str, float]]:
    rates: list[dict[str, float]] = []
    for _ in range(steps):
        rates.append(optimizer.rates(own))
        own.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("name", [Schedule.COSINE, Schedule.CONSTANT])
@pytest.mark.parametrize(
    ("warmup", "steps", "warm"), [(0.1, 20, 2), (0.1, 165, 16), (0.29, 100, 29), (0.5, 7, 3)]
)
def test_the_rates_are_those_of_torch(name: Schedule, warmup: float, steps: int, warm: int) -> None:
    own = optimizer.build(groups(), OptimizerConfig())
    up = LinearLR(own, start_factor=1 / warm, total_iters=warm - 1)
    if name is Schedule.COSINE:
        after = CosineAnnealingLR(own, T_max=steps - warm)
    else:
        after = ConstantLR(own, factor=1.0)
    expected = torch_trace(own, SequentialLR(own, [up, after], milestones=[warm]), steps)
    for mine, theirs in zip(
        trace(ScheduleConfig(name=name, warmup=warmup), steps), expected, strict=True
    ):
        assert mine == pytest.approx(theirs, rel=1e-6)


def test_without_a_warm_up_the_first_step_is_at_the_peak() -> None:
    own = optimizer.build(groups(), OptimizerConfig())
    expected = torch_trace(own, CosineAnnealingLR(own, T_max=12), 12)
    for mine, theirs in zip(trace(ScheduleConfig(warmup=0.0), 12), expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)


@given(
    name=st.sampled_from(Schedule),
    warmup=st.floats(0.0, 0.99),
    steps=st.integers(1, 60),
    reductions=st.integers(0, 4),
)
@settings(max_examples=50, deadline=None)
def test_a_factor_is_never_0_nor_above_1(
    name: Schedule, warmup: float, steps: int, reductions: int
) -> None:
    config = ScheduleConfig(name=name, warmup=warmup)
    factors = [factor(config, step, steps, reductions) for step in range(steps)]
    assert all(0.0 < one <= 1.0 for one in factors)
    rises = [a < b for a, b in pairwise(factors)]
    if reductions == 0:
        assert rises == sorted(rises, reverse=True)  # up, then down, and never up again


@given(
    values=st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8]), max_size=20),
    patience=st.integers(0, 3),
    criterion=st.sampled_from(Criterion),
)
@settings(max_examples=50, deadline=None)
def test_a_plateau_lowers_the_rate_when_torch_does(
    values: list[float], patience: int, criterion: Criterion
) -> None:
    config = ScheduleConfig(name=Schedule.PLATEAU, warmup=0.0, factor=0.5, patience=patience)
    own = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    mode = "min" if criterion is Criterion.LOSS else "max"
    oracle = ReduceLROnPlateau(own, mode, factor=0.5, patience=patience, threshold=0.0, eps=0.0)
    plateau = Plateau(config, criterion)
    for epoch, value in enumerate(values):
        oracle.step(value)
        plateau.offer(value)
        # every epoch a process may die, and another go on from what was written
        plateau = Plateau.resume(config, criterion, json.loads(json.dumps(plateau.state())))
        rate = 0.3 * factor(config, epoch, len(values), plateau.reductions)
        assert rate == pytest.approx(own.param_groups[0]["lr"])


def test_an_epoch_that_could_not_be_measured_lowers_nothing() -> None:
    plateau = Plateau(ScheduleConfig(patience=0), Criterion.AUROC)
    for value in (None, 0.7, None, None):
        plateau.offer(value)
    assert plateau.reductions == 0


@pytest.mark.parametrize("name", [Schedule.COSINE, Schedule.CONSTANT])
def test_other_schedules_know_no_reductions(name: Schedule) -> None:
    config = ScheduleConfig(name=name)
    assert factor(config, 5, 10, reductions=3) == factor(config, 5, 10)
