"""The contract of a backbone: where its Grad-CAM lives, and what lies behind that map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import torch
from torch import Tensor, nn

from hilum.domain.errors import UsageError, suggestion

__all__ = ["Activation", "Backbone", "Builder", "Features", "chosen", "refuse_drop_path"]


class Activation(StrEnum):
    """What lies between the feature map of Grad-CAM and the pooling."""

    RELU = "relu"
    """A ReLU: the map is the one before it, and its negative cells have no gradient."""
    NONE = "none"
    """Nothing: the gradient is the same in every cell."""


class Features(nn.Module):
    """A feature extractor and what the classifier must know of it.

    Behind the map A come the activation, global average pooling and, where a network was made so,
    a norm of the K means: `norm(mean_hw(activation(A)))`. That order is what makes Grad-CAM known
    in closed form. All weights but those of the findings' linear head are in here, the norm's too,
    so that pretrained weights keep their meaning.

    Args:
        extractor: (B, C, H, W) images to (B, K, h, w) feature maps, on which Grad-CAM is defined.
            Nothing may overwrite them in place.
        channels: K.
        activation: applied to the map before it is pooled.
        norm: of the pooled map, over its K values; none for most networks.
        timm_name: timm's network with the same tensors, whose pretrained weights fit; none where
            there is no such.

    Example:
        >>> features = Features(nn.Conv2d(1, 8, 3), 8, Activation.RELU)
        >>> features.pooled(features(torch.zeros(2, 1, 16, 16))).shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        extractor: nn.Module,
        channels: int,
        activation: Activation = Activation.RELU,
        norm: nn.LayerNorm | None = None,
        timm_name: str | None = None,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.channels = channels
        self.activation = activation
        self.norm: nn.Module = nn.Identity() if norm is None else norm
        self.timm_name = timm_name

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float to the map A, (B, K, h, w)."""
        return self.extractor(images)

    def means(self, maps: Tensor) -> Tensor:
        """The map A to `mean_hw(activation(A))`, (B, K), in float32 whatever the map is in."""
        active = torch.relu(maps) if self.activation is Activation.RELU else maps
        return active.float().mean(dim=(2, 3))

    def pooled(self, maps: Tensor) -> Tensor:
        """The map A to what the linear head reads, (B, K)."""
        return self.norm(self.means(maps))


class Builder(Protocol):
    """The function that makes a backbone."""

    def __call__(
        self, channels: int, options: Mapping[str, int], drop_path: float = 0.0
    ) -> Features:
        """Make a freshly initialized extractor.

        Args:
            channels: of the images, 1 or 3.
            options: the backbone's own.
            drop_path: stochastic depth (Huang et al. 2016): the probability with which the last
                block is left out for a film in training; it rises linearly from 0 at the first.

        Raises:
            UsageError: for an option the backbone does not have, or stochastic depth where it has
                no blocks to leave out.
        """
        ...


@dataclass(frozen=True)
class Backbone:
    """The contract of a backbone; each file of this folder defines `BACKBONE: Backbone`.

    Attributes:
        build: makes a freshly initialized extractor.
    """

    build: Builder


def chosen(backbone: str, known: Mapping[str, int], options: Mapping[str, int]) -> dict[str, int]:
    """The known options with their defaults, and the chosen ones in their stead.

    Raises:
        UsageError: for an unknown option, or a value below 1.

    Example:
        >>> chosen("resnet50", {"width": 64}, {"width": 8})
        {'width': 8}
    """
    for name, value in options.items():
        if name not in known:
            raise UsageError(
                f"{backbone} has no option '{name}'; it has: {', '.join(known)}."
                f"{suggestion(name, known)}"
            )
        if value < 1:
            raise UsageError(f"option {name} of {backbone} must be 1 or more, got {value}")
    return {**known, **options}


def refuse_drop_path(backbone: str, drop_path: float) -> None:
    """Refuse stochastic depth for a backbone whose blocks cannot be left out.

    Raises:
        UsageError: for any but 0.
    """
    if drop_path:
        raise UsageError(
            f"{backbone} has no stochastic depth; drop_path must be 0, got {drop_path}"
        )
