"""Transformers that classify by a token of their own, with the exact map of what patches decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from hilum.domain.errors import UsageError
from hilum.model.backbones import PREFIX, Activation, Features

__all__ = ["TOKEN_POOLINGS", "TokenFeatures", "TokenNetwork", "token_features"]

TOKEN_POOLINGS = ("token", "token+average")
"""Poolings of a transformer: its class token, and that with the mean of its patches."""


class TokenFeatures(Features):
    """A vision transformer of timm's up to its last, normed tokens.

    Args:
        network: timm's, its head taken off.
        channels: values of a token, K.
        timm_name: its name there.
    """

    def __init__(self, network: nn.Module, channels: int, timm_name: str) -> None:
        super().__init__(network, channels, Activation.NONE, None, timm_name)
        grid: Any = network.get_submodule("patch_embed")
        self.grid: tuple[int, int] = tuple(grid.grid_size)
        self.prefix = cast(int, network.num_prefix_tokens)

    def tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to the class token (B, K) and the patches (B, h w, K)."""
        found = cast(Any, self.extractor).forward_features(images)
        return found[:, 0], found[:, self.prefix :]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to the map of the patches, (B, K, h, w)."""
        return self.tokens(images)[1].transpose(1, 2).unflatten(2, self.grid)


class TokenNetwork(nn.Module):
    """Logits of a transformer, and maps of the share of them that its patches decide.

    With t the class token, A the N patches and W the head,

        token           logits = W t + b; cam_c = 0
        token+average   logits = W [t, mean(A)] + b; cam_c = relu(sum_k W[c,K+k] A_k) / N

    Behind the class token alone the gradient at every patch of the last layer is zero, so there is
    no map from there. Behind both, the map is exact for the patches' half, and says nothing about
    what the class token decides.

    Args:
        features: the transformer.
        pooling: token or token+average.
        head: the linear layer.
    """

    def __init__(self, features: TokenFeatures, pooling: str, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = features
        self.pooling = pooling
        self.steps = nn.ModuleList([head])

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, C, H, W) to logits (B, L), heatmaps (B, L, h, w) and, of `token+average`, shares.

        The share (B, L) is that of the logit which the class token decided, in [0, 1]: that of
        |W t| in |W t| + |W mean(A)|, the bias left out. No map shows it.
        """
        token, patches = self.backbone.tokens(images)
        head: Any = self.steps[0]
        if self.pooling == "token":
            flat = head(token).unsqueeze(2) * torch.zeros(1, 1, patches.shape[1])
            return head(token), flat.unflatten(2, self.backbone.grid)
        mean, count = patches.mean(dim=1), patches.shape[2]
        logits = head(torch.cat([token, mean], dim=1))
        half = head.weight[:, count:]
        heat = torch.matmul(half, patches.transpose(1, 2)) / patches.shape[1]
        own, rest = (token @ head.weight[:, :count].T).abs(), (mean @ half.T).abs()
        share = own / (own + rest).clamp_min(1e-12)
        return logits, torch.relu(heat).unflatten(2, self.backbone.grid), share


def token_features(name: str, channels: int, options: Mapping[str, int]) -> TokenFeatures:
    """Build a vision transformer with random weights, without its classifier.

    Args:
        name: `timm/NAME`.
        channels: of the images.
        options: timm's own arguments.

    Raises:
        UsageError: for a network that has no class token and patches, or refused arguments.

    Example:
        >>> small = {"img_size": 32, "patch_size": 16, "embed_dim": 8, "depth": 1, "num_heads": 2}
        >>> token_features("timm/vit_tiny_patch16_224", 1, small).grid
        (2, 2)
    """
    word = name.removeprefix(PREFIX)
    given: dict[str, Any] = {**options, "num_classes": 0, "in_chans": channels}
    try:
        network = timm.create_model(word, pretrained=False, **given)
    except Exception as error:  # each network has its own way to refuse
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"timm cannot build {word} with {dict(options)}: {reason}") from None
    if not getattr(network, "num_prefix_tokens", 0) or not hasattr(network, "patch_embed"):
        raise UsageError(f"pooling by token needs a vision transformer; {word} has no class token")
    network.set_submodule("fc_norm", nn.Identity())
    return TokenFeatures(network, cast(int, network.num_features), word)
