"""Signs that a network was never trained: the field's most frequent silent failure."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hilum.importing.match import Matched

__all__ = ["LOOKS_UNTRAINED", "signs_of_no_training"]

LOOKS_UNTRAINED = "LOOKS_UNTRAINED"
"""Code before each sign, in the notes of the run and its bundles."""


def signs_of_no_training(matched: Matched) -> tuple[str, ...]:
    """Return what trained weights never look like, a sentence each; empty for sound ones."""
    found: list[str] = []
    linear: Any = matched.steps[-1]
    weight, bias = linear.weight.detach(), linear.bias.detach()
    if (weight == weight[:1]).all() and (bias == bias[:1]).all() and len(weight) > 1:
        found.append("all findings have the same head")
    elif (weight == weight[:, :1]).all():
        found.append("a finding's head is constant")
    norms = [one for one in matched.features.modules() if isinstance(one, nn.BatchNorm2d)]
    fresh = [one for one in norms if _are(one.running_mean, 0.0) and _are(one.running_var, 1.0)]
    if fresh:
        found.append(f"{len(fresh)} of {len(norms)} batch norms still have the statistics 0 and 1")
    plain = [one for one in norms if _are(one.weight, 1.0) and _are(one.bias, 0.0)]
    if norms and len(plain) == len(norms):
        found.append("no batch norm has a scale or shift of its own")
    return tuple(f"{LOOKS_UNTRAINED}: {sign}" for sign in found)


def _are(values: torch.Tensor | None, number: float) -> bool:
    return values is not None and bool((values == number).all())
