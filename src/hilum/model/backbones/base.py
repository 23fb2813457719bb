"""The contract of a backbone."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

__all__ = ["Backbone", "Features"]


class Features(nn.Module):
    """A feature extractor and what the classifier must know of it.

    Args:
        extractor: (B, C, H, W) images to (B, K, h, w) feature maps **before** their last ReLU.
            Grad-CAM is defined there, and it must not be overwritten in place.
        channels: K.
    """

    def __init__(self, extractor: nn.Module, channels: int) -> None:
        super().__init__()
        self.extractor = extractor
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, K, h, w)."""
        return self.extractor(images)


class Backbone(Protocol):
    """What each file of this folder offers."""

    def build(self, channels: int, options: dict[str, int]) -> Features:
        """A freshly initialised extractor for images of `channels` channels.

        Raises:
            UsageError: for an option the backbone does not have.
        """
        ...
