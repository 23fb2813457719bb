"""The optimiser: one group a part and kind of tensor, its rates, and the step they all take."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn, optim

from hilum.runs.recipe_parts import OptimizerConfig
from hilum.training.phases import Group

__all__ = ["build", "rates", "set_rates", "step"]


def build(groups: Iterable[Group], config: OptimizerConfig) -> optim.Optimizer:
    """An optimiser of torch's over the groups; each `lr` begins at its part's peak.

    Biases and the weights of norms, which have one dimension, do not decay: shrinking them
    regularises nothing, and pulls normalised features to zero (Goyal et al. 2017). The fused
    kernels update all tensors in one pass: for the hundreds of small ones of a DenseNet on a
    processor that is up to 17 times faster.

    Returns:
        An optimiser whose `param_groups` carry `part`, `peak` and `name`.

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
    """Part to its present rate."""
    return {group["part"]: float(group["lr"]) for group in optimizer.param_groups}


def step(
    optimizer: optim.Optimizer,
    config: OptimizerConfig,
    scaler: torch.amp.GradScaler | None = None,
) -> float:
    """Clip the gradients to `clip_norm`, take one step with them, and forget them.

    To accumulate over k batches, call `backward` on each batch's share of the loss, and this once.

    Args:
        optimizer: with gradients in its tensors.
        config: `clip_norm`, over all tensors together; 0 clips nothing.
        scaler: of float16, which the gradients were scaled by.

    Returns:
        The gradient's Euclidean norm before it was clipped. Where it is not finite **no step was
        taken**: the scaler, if any, lowers its scale for the next; without one the loss has gone
        astray.
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
