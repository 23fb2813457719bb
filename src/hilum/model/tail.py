"""What lies behind the feature map of published networks, with exact maps of every finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hilum.domain.findings import LabelSet
from hilum.model.backbones import Activation, Features, backbone
from hilum.model.classifier import Classifier, ExplainedClassifier
from hilum.model.tokens import TOKEN_POOLINGS, TokenFeatures, TokenNetwork, token_features

__all__ = [
    "Affine",
    "ImportedNetwork",
    "assembled",
    "features_for",
    "head_width",
    "set_epsilon",
]


def features_for(name: str, pooling: str, channels: int, options: Mapping[str, int]) -> Features:
    """Build the backbone that goes before a pooling, on the CPU and with the same weights always.

    Args:
        name: backbone of hilum, or timm/NAME.
        pooling: as `ImportedNetwork` and `TokenNetwork` have it.
        channels: of the images.
        options: of the backbone.

    Raises:
        UsageError: for a backbone or options that are not known.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(0)
        if pooling in TOKEN_POOLINGS:
            return token_features(name, channels, options)
        return backbone(name).build(channels, options)


def head_width(features: Features, pooling: str) -> int:
    """Return how many values the head reads of the pooled map."""
    return features.channels * (2 if pooling in ("average+max", "token+average") else 1)


def set_epsilon(features: Features, epsilon: float) -> None:
    """Set the epsilon of the backbone's norms: that of the pooled map where it has one, or all."""
    if isinstance(features.norm, nn.LayerNorm):
        features.norm.eps = epsilon
        return
    for module in features.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            module.eps = epsilon


def assembled(
    features: Features, pooling: str, steps: Sequence[nn.Module], labels: LabelSet
) -> nn.Module:
    """Return backbone, pooling and head as one network that gives logits and heatmaps.

    Args:
        features: the backbone, filled or not.
        pooling: as `ImportedNetwork` and `TokenNetwork` have it.
        steps: layers of the head.
        labels: findings of its outputs.

    Raises:
        ValueError: for layers that do not go together with the backbone.
    """
    only = steps[0] if len(steps) == 1 else None
    linear = only if isinstance(only, nn.Linear) else None
    if isinstance(features, TokenFeatures):
        if linear is None:
            raise ValueError("behind tokens the head must be one linear layer")
        return TokenNetwork(features, pooling, linear)
    if linear is not None and pooling == "average":
        network = Classifier(features, labels)
        network.head = linear
        return ExplainedClassifier(network)
    if not isinstance(features.norm, nn.Identity):
        raise ValueError("behind a norm of the pooled map the head must be one linear layer")
    norms = [step for step in steps if isinstance(step, Affine)]
    if pooling == "pcam" and not (isinstance(steps[-1], nn.Linear) and [*steps[:-1]] == norms[:1]):
        raise ValueError("behind pcam the head must be one linear layer, or a norm and that")
    if pooling != "pcam" and any(step.get_buffer("scale").ndim != 1 for step in norms):
        raise ValueError("a norm for each finding stands behind pcam alone")
    return ImportedNetwork(features, pooling, steps)


class Affine(nn.Module):
    """A batch norm of the pooled map, as the scale and shift that it is in serving.

    Args:
        scale: (K,), or (L, K) of the norms that each finding has for itself.
        shift: likewise.
    """

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, values: Tensor) -> Tensor:
        """(B, K) to (B, K)."""
        return values * self.scale + self.shift


class ImportedNetwork(nn.Module):
    """Backbone, pooling and head of a published network, to logits and exact maps.

    With m the pooled map and J the Jacobian of the logits by m, which is the product of the head's
    layers with a hidden ReLU's slope (0 or 1) between them,

        average   cam_c = relu(sum_k J[c,k] s[k] A_k / (h w)), Grad-CAM, as in the classifier
        max       cam_c = relu(sum_k J[c,k] A_k) where A_k is at its maximum, 0 elsewhere
        pcam      cam_c = relu(p_c v_c . A), p_c the pooling's own weight of each cell and v_c the
                  head's weights w_c, times the norm's scale where there is one

    Args:
        features: the backbone.
        pooling: average, max, average+max or pcam.
        steps: layers of the head: `nn.Linear`, `Affine` or `nn.ReLU`.
    """

    def __init__(self, features: Features, pooling: str, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.backbone = features
        self.pooling = pooling
        self.steps = nn.ModuleList(steps)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to logits (B, L) and heatmaps (B, L, h, w)."""
        return self.behind(self.backbone(images))

    def behind(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The map A to logits and heatmaps."""
        height, width = maps.shape[2], maps.shape[3]
        flat = maps.flatten(2)
        active = torch.relu(flat) if self.backbone.activation is Activation.RELU else flat
        if self.pooling == "pcam":
            logits, heat = self._pcam(active)
        else:
            logits, heat = self._pooled(flat, active)
        return logits, torch.relu(heat).unflatten(2, (height, width))

    def _pooled(self, flat: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        cells = flat.shape[2]
        means, peaks = active.mean(dim=2), active.amax(dim=2)
        parts = {"average": [means], "max": [peaks], "average+max": [means, peaks]}[self.pooling]
        logits, slopes = self._head(torch.cat(parts, dim=1))
        count = flat.shape[1]
        heat = torch.zeros(1)
        if self.pooling != "max":
            alpha = slopes[:, :, :count] / cells
            if self.backbone.activation is Activation.RELU:
                alpha = alpha * (flat > 0).to(flat.dtype).mean(dim=2).unsqueeze(1)
            heat = heat + torch.matmul(alpha, flat)
        if self.pooling != "average":
            highest = (active == peaks.unsqueeze(2)).to(flat.dtype)
            only = highest * active / highest.sum(dim=2, keepdim=True)
            heat = heat + torch.matmul(slopes[:, :, -count:], only)
        return logits, heat

    def _pcam(self, active: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and maps of probabilistic-CAM pooling (Ye et al. 2020)."""
        head: Any = self.steps[-1]
        seen = torch.matmul(head.weight, active)  # (B, L, cells)
        chance = torch.sigmoid(seen + head.bias.unsqueeze(1))
        share = chance / chance.sum(dim=2, keepdim=True)
        if len(self.steps) == 1:
            heat = share * seen
            return heat.sum(dim=2) + head.bias, heat
        # the norm lies behind the pooling, so the pooling's weights do not know it
        norm: Any = self.steps[0]
        heat = share * torch.matmul(head.weight * norm.scale, active)
        return heat.sum(dim=2) + head.bias + (head.weight * norm.shift).sum(dim=1), heat

    def _head(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, L) and their slopes by the pooled map (B, L, K)."""
        values = [pooled]
        for step in self.steps:
            values.append(step(values[-1]))
        slopes: Tensor | None = None
        for step, before in zip(reversed(self.steps), reversed(values[:-1]), strict=True):
            if isinstance(step, nn.Linear):
                weight = step.weight.unsqueeze(0)
                slopes = weight if slopes is None else torch.matmul(slopes, weight)
            elif slopes is None:
                raise RuntimeError("a head must end in a linear layer")
            elif isinstance(step, nn.ReLU):
                slopes = slopes * (before > 0).to(before.dtype).unsqueeze(1)
            else:
                slopes = slopes * step.get_buffer("scale")
        if slopes is None:
            raise RuntimeError("a head must have a layer")
        return values[-1], slopes
