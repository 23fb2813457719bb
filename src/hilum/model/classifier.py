"""Features, global average pooling, a linear head; and all findings' Grad-CAM in one pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hilum.domain.findings import LabelSet
from hilum.model.backbones import backbone
from hilum.model.backbones.base import Features

__all__ = ["Classifier", "ExplainedClassifier", "classifier"]


class Classifier(nn.Module):
    """One logit a finding: `logits = W mean_hw(relu(A)) + b`, A the last feature map.

    The findings are independent: a sigmoid each, never a softmax.

    Args:
        features: the backbone.
        labels: the findings of the logits, in order.
    """

    def __init__(self, features: Features, labels: LabelSet) -> None:
        super().__init__()
        self.backbone = features
        self.head = nn.Linear(features.channels, len(labels))
        self.labels = labels

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) normalised images, any H and W of 32 or more, to (B, L) logits."""
        maps = self.backbone(images)
        return self.head(torch.relu(maps).mean(dim=(2, 3)))


class ExplainedClassifier(nn.Module):
    r"""The classifier with the exact Grad-CAM of every finding, from the same forward pass.

    Behind global average pooling and a linear head, the gradient that Grad-CAM (Selvaraju et al.
    2017) averages is known in closed form. With A the feature map before its ReLU,

        d logit_c / d A_k[i, j] = W[c, k] 1[A_k[i, j] > 0] / (h w)
        alpha[c, k] = W[c, k] mean(A_k > 0) / (h w)
        cam_c = relu(sum_k alpha[c, k] A_k)

    so no backward pass is needed. A map of zeros says "no evidence for the finding". The scale is
    kept: maps of two findings may be compared.
    """

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to logits (B, L) and heatmaps (B, L, h, w), which are >= 0."""
        maps = self.network.backbone(images)
        logits = self.network.head(torch.relu(maps).mean(dim=(2, 3)))
        area = maps.shape[2] * maps.shape[3]
        active = (maps > 0).to(maps.dtype).mean(dim=(2, 3)) / area
        alpha = self.network.head.weight.unsqueeze(0) * active.unsqueeze(1)
        heatmaps = torch.relu(torch.bmm(alpha, maps.flatten(2)))
        return logits, heatmaps.unflatten(2, (maps.shape[2], maps.shape[3]))


def classifier(
    name: str, labels: LabelSet, channels: int, options: dict[str, int], seed: int
) -> Classifier:
    """A freshly initialised classifier; the seed fixes every weight.

    Args:
        name: the backbone.
        labels: findings of the head.
        channels: of the images, 1 or 3.
        options: the backbone's.
        seed: of the initial weights; the global generator is left as it was.

    Raises:
        UsageError: for an unknown backbone or option.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(backbone(name).build(channels, options), labels)
