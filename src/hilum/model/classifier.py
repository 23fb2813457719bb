"""Features, global average pooling, a linear head; and all findings' Grad-CAM in one pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.model.backbones import Activation, Features, backbone

__all__ = ["Classifier", "ExplainedClassifier", "classifier", "evidence"]


class Classifier(nn.Module):
    """One logit a finding: `logits = W norm(mean_hw(activation(A))) + b`, A the last feature map.

    The findings are independent: a sigmoid each, never a softmax.

    Args:
        features: the backbone, with its activation and its norm.
        labels: the findings of the logits, in order.
    """

    def __init__(self, features: Features, labels: LabelSet) -> None:
        super().__init__()
        self.backbone = features
        self.head = nn.Linear(features.channels, len(labels))
        self.labels = labels

    @property
    def norm(self) -> nn.Module:
        """The module between pooling and head, of the backbone: a LayerNorm or the identity."""
        return self.backbone.norm

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C, H, W) normalized images, any H and W of 32 or more, to (B, L) logits."""
        maps = self.backbone(images)
        # the 8 bits of bfloat16 would give films the same logit that are not alike
        with torch.autocast(maps.device.type, enabled=False):
            return self.head(self.backbone.pooled(maps))


class ExplainedClassifier(nn.Module):
    r"""The classifier with the exact Grad-CAM of every finding, from the same forward pass.

    Behind global average pooling and a linear head, the gradient that Grad-CAM (Selvaraju et al.
    2017) averages is known in closed form. With A the feature map, m = mean_hw(activation(A)) its
    pooled values and J the Jacobian of the logits with respect to m,

        alpha[c, k] = J[c, k] s[k] / (h w)
        cam_c = relu(sum_k alpha[c, k] A_k)

    where `s[k] = mean(A_k > 0)` if a ReLU lies between the map and the pooling, else 1, and

        J = W                                       without a norm
        J[c] = (g - mean(g) - x mean(g x)) / sigma  behind a LayerNorm, with g = W[c] gamma,
                                                    x = (m - mean(m)) / sigma and
                                                    sigma = sqrt(var(m) + eps), means over k

    so no backward pass is needed. A map of zeros means "no evidence for the finding". The scale is
    kept: maps of two findings may be compared.
    """

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, C, H, W) to logits (B, L) and heatmaps (B, L, h, w), which are >= 0."""
        backbone, head = self.network.backbone, self.network.head
        maps = backbone(images)
        means = backbone.means(maps)
        logits = head(backbone.norm(means))
        heatmaps = torch.relu(_evidence(self.network, maps, means))
        return logits, heatmaps.unflatten(2, (maps.shape[2], maps.shape[3]))


def evidence(network: Classifier, maps: Tensor) -> Tensor:
    """Return (B, L, h w) evidence of each cell, negative too: Grad-CAM before its ReLU.

    Times h w it is the logit, without its bias, that a film of such cells alone would have where no
    ReLU and no norm follow the map.

    Args:
        network: the classifier.
        maps: (B, K, h, w) float32, of its backbone.
    """
    return _evidence(network, maps, network.backbone.means(maps))


def _evidence(network: Classifier, maps: Tensor, means: Tensor) -> Tensor:
    backbone = network.backbone
    alpha = _jacobian(network.head.weight, backbone.norm, means) / (maps.shape[2] * maps.shape[3])
    if backbone.activation is Activation.RELU:
        alpha = alpha * (maps > 0).to(maps.dtype).mean(dim=(2, 3)).unsqueeze(1)
    return torch.matmul(alpha, maps.flatten(2))


def _jacobian(weight: Tensor, norm: nn.Module, means: Tensor) -> Tensor:
    """Return slopes of the logits by the pooled map: (B, L, K), or (1, L, K) if equal for all."""
    if not isinstance(norm, nn.LayerNorm):
        return weight.unsqueeze(0)
    slope = weight * norm.weight
    variance = means.var(dim=1, correction=0, keepdim=True)
    sigma = torch.sqrt(variance + norm.eps)
    x = (means - means.mean(dim=1, keepdim=True)) / sigma
    along = (x @ slope.T / slope.shape[1]).unsqueeze(2) * x.unsqueeze(1)
    return (slope - slope.mean(dim=1, keepdim=True) - along) / sigma.unsqueeze(2)


def classifier(
    name: str,
    labels: LabelSet,
    channels: int,
    options: dict[str, int],
    seed: int,
    drop_path: float = 0.0,
) -> Classifier:
    """Build a classifier with random weights; the seed fixes every one.

    Args:
        name: the backbone.
        labels: findings of the head.
        channels: of the images, 1 or 3.
        options: the backbone's.
        seed: of the initial weights, whatever ran before; all generators are left as they were.
        drop_path: stochastic depth, in [0, 1), of backbones that have it.

    Raises:
        UsageError: for an unknown backbone or option, or a depth that cannot be.
    """
    if not 0.0 <= drop_path < 1.0:
        raise UsageError(f"drop_path must be in [0, 1), got {drop_path}")
    # only the CPU's generator: torch.manual_seed would seed the GPU's, and leave it so
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        return Classifier(backbone(name).build(channels, options, drop_path), labels)
