"""The optimizer, its parameter groups, and the schedule of their learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import nn, optim

from hilum.runs.recipe_parts import Criterion, OptimizerConfig, Schedule, ScheduleConfig
from hilum.training.phases import Group
from hilum.training.selection import Streak

__all__ = ["Plateau", "build", "factor", "rates", "set_rates", "step"]


def build(groups: Iterable[Group], config: OptimizerConfig) -> optim.Optimizer:
    """Return a torch optimizer over the groups; each `lr` begins at its part's peak.

    Biases and the weights of norms, which have one dimension, do not decay: shrinking them
    regularizes nothing, and pulls normalized features to zero (Goyal et al. 2017). The fused
    kernels update all tensors in one pass: for the hundreds of small ones of a DenseNet on a
    processor that is up to 17 times faster.

    Returns:
        An optimizer whose `param_groups` carry `part`, `peak` and `name`.

    Example:
        >>> head = nn.Linear(2, 1)
        >>> group = Group("head", 0.1, tuple(head.named_parameters()))
        >>> [g["name"] for g in build([group], OptimizerConfig()).param_groups]
        ['head', 'head, no decay']
    """
    members: list[dict[str, Any]] = []
    for group in groups:
        tensors = [parameter for _, parameter in group.parameters]
        kinds = {
            group.part: ([p for p in tensors if p.ndim > 1], config.weight_decay),
            f"{group.part}, no decay": ([p for p in tensors if p.ndim <= 1], 0.0),
        }
        members.extend(
            {
                "params": params,
                "lr": group.rate,
                "weight_decay": decay,
                "part": group.part,
                "peak": group.rate,
                "name": name,
            }
            for name, (params, decay) in kinds.items()
            if params
        )
    if config.name == "adam":
        return optim.Adam(members, fused=True)
    if config.name == "adamw":
        return optim.AdamW(members, fused=True)
    momentum = config.momentum
    return optim.SGD(members, momentum=momentum, nesterov=momentum > 0.0, fused=True)


def set_rates(optimizer: optim.Optimizer, factor: float) -> None:
    """Set every group's rate to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["peak"]


def rates(optimizer: optim.Optimizer) -> dict[str, float]:
    """Return the current learning rate of each part."""
    return {group["part"]: float(group["lr"]) for group in optimizer.param_groups}


def step(
    optimizer: optim.Optimizer,
    config: OptimizerConfig,
    scaler: torch.amp.GradScaler | None = None,
) -> float:
    """Clip the gradients to `clip_norm`, take one step with them, and clear them.

    To accumulate over k batches, call `backward` on each batch's share of the loss, and this once.

    Args:
        optimizer: with gradients in its tensors.
        config: `clip_norm`, over all tensors together; 0 clips nothing.
        scaler: of float16, which the gradients were scaled by.

    Returns:
        The gradient's Euclidean norm before it was clipped. Where it is not finite **the step
        was skipped**: the scaler, if any, lowers its scale for the next; without one training
        cannot go on.
    """
    if scaler is not None:
        scaler.unscale_(optimizer)
    tensors = [p for group in optimizer.param_groups for p in group["params"]]
    total = nn.utils.get_total_norm([p.grad for p in tensors if p.grad is not None])
    norm = float(total)
    if math.isfinite(norm):
        if config.clip_norm > 0.0:
            nn.utils.clip_grads_with_norm_(tensors, config.clip_norm, total)
        optimizer.step() if scaler is None else scaler.step(optimizer)
    if scaler is not None:
        scaler.update()
    optimizer.zero_grad(set_to_none=True)
    return norm


def factor(config: ScheduleConfig, step: int, steps: int, reductions: int = 0) -> float:
    """Return the factor on every peak learning rate in one step of a phase.

    With w = floor(warmup * steps): (step + 1) / w while step < w. Then 1 (constant),
    (1 + cos(pi (step - w) / (steps - w))) / 2 (cosine), or factor ** reductions (plateau). Never
    0: every step that is not skipped moves the weights.

    Args:
        config: of the run.
        step: optimizer steps of the phase that went before, 0 to `steps` - 1.
        steps: of the whole phase.
        reductions: that `Plateau` counts.

    Returns:
        In (0, 1].

    Source: Loshchilov & Hutter 2017 for the cosine, Goyal et al. 2017 for the warm-up; equal to
    torch's LinearLR followed by CosineAnnealingLR.

    Example:
        >>> config = ScheduleConfig(warmup=0.2)
        >>> [round(factor(config, step, 10), 3) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    # 0.29 * 100 is a little less than 29
    warm = math.floor(config.warmup * steps + 1e-9)
    if step < warm:
        return (step + 1) / warm
    if config.name is Schedule.COSINE:
        return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / (steps - warm)))
    if config.name is Schedule.PLATEAU:
        return config.factor**reductions
    return 1.0


class Plateau:
    """The number of times tune did not improve for more than `patience` epochs of a phase.

    Any improvement counts, however small; an epoch that could not be measured says nothing.
    Equal to torch's ReduceLROnPlateau with a threshold of 0.

    Example:
        >>> plateau = Plateau(ScheduleConfig(patience=1), Criterion.AUROC)
        >>> for value in (0.7, 0.6, 0.7, 0.8):
        ...     plateau.offer(value)
        >>> plateau.reductions
        1
    """

    def __init__(self, config: ScheduleConfig, criterion: Criterion) -> None:
        self.config = config
        self.reductions = 0
        self._streak = Streak(criterion)

    def offer(self, value: float | None) -> None:
        """Add the epoch's value on tune."""
        self._streak.offer(value)
        if self._streak.since > self.config.patience:
            self.reductions += 1
            self._streak.since = 0

    def state(self) -> dict[str, Any]:
        """Return what `resume` needs, as JSON values."""
        return {
            "reductions": self.reductions,
            "best": self._streak.best,
            "since": self._streak.since,
        }

    @classmethod
    def resume(cls, config: ScheduleConfig, criterion: Criterion, state: Mapping[str, Any]) -> Self:
        """Restore what `state` returned."""
        plateau = cls(config, criterion)
        plateau.reductions = state["reductions"]
        plateau._streak = Streak(criterion, state["best"], state["since"])
        return plateau
