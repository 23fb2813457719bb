"""ResNet-10-t beside the middle of EfficientNet-Lite0: two views of a film, in one feature map.

The network that ships with hilum. The first was trained on chest films; of the second, trained on
photographs, the widened maps of stages 3 and 4 tell findings apart better than its last map does
(docs/results/starter.md). Both are timm's, and keep timm's names behind `resnet.` and `lite.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hilum.model.backbones import Activation, Backbone, Features, chosen, refuse_drop_path

__all__ = ["BACKBONE", "PairedFeatures", "build"]

NAME = "resnet10t_lite0"
STAGES = 5
"""Stages of EfficientNet-Lite0 that are used, of seven."""
WIDENED_FROM = 3
"""First stage whose widened maps are given on."""
TO_LITE = 0.5
"""Factor from films of mean 0.5 and deviation 0.25 to those of 0.5 and 0.5, as Lite0 had them."""


class PairedFeatures(nn.Module):
    """Images to the maps of both networks, one behind the other, on the grid of the finer.

    A cell of ResNet-10-t's map becomes four equal ones, so that its mean stays what it is where a
    side is a multiple of 32.

    Args:
        channels: of the images, 1 or 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # blocks that start as nothing would pass no gradient in the first step
        self.resnet: Any = timm.create_model(
            "resnet10t", num_classes=0, in_chans=channels, zero_init_last=False
        )
        lite: Any = timm.create_model("tf_efficientnet_lite0", num_classes=0, in_chans=channels)
        parts = {"conv_stem": lite.conv_stem, "bn1": lite.bn1, "blocks": lite.blocks[:STAGES]}
        self.lite: Any = nn.ModuleDict(parts)
        last = self.lite["blocks"][-1][-1]
        last.conv_pwl, last.bn3 = nn.Identity(), nn.Identity()
        widened = [block for stage in self.lite["blocks"][WIDENED_FROM:] for block in stage]
        self.channels: int = self.resnet.num_features + sum(
            cast(int, block.conv_dw.out_channels) for block in widened
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) of mean 0.5 and deviation 0.25 to (B, K, H / 16, W / 16)."""
        coarse = self.resnet.forward_features(images)
        found = self._widened(images * TO_LITE)
        same = interpolate(coarse, size=found[0].shape[2:], mode="nearest")
        return torch.cat([same, *found], dim=1)

    def _widened(self, images: Tensor) -> list[Tensor]:
        x: Any = self.lite["bn1"](self.lite["conv_stem"](images))
        found: list[Tensor] = []
        for number, stage in enumerate(self.lite["blocks"]):
            for block in stage:
                if number < WIDENED_FROM:
                    x = block(x)
                    continue
                wide = block.bn2(block.conv_dw(block.bn1(block.conv_pw(x))))
                found.append(wide)
                if isinstance(block.conv_pwl, nn.Identity):
                    return found
                narrow = block.bn3(block.conv_pwl(wide))
                x = narrow + x if block.has_skip else narrow
        return found


def build(channels: int, options: Mapping[str, int], drop_path: float = 0.0) -> Features:
    """Both networks without their classifiers; stride 16, K = 3,536.

    Args:
        channels: of the images, 1 or 3.
        options: none.
        drop_path: refused.

    Example:
        >>> build(1, {}).channels
        3536
    """
    chosen(NAME, {}, options)
    refuse_drop_path(NAME, drop_path)
    pair = PairedFeatures(channels)
    return Features(pair, pair.channels, Activation.NONE)


BACKBONE: Backbone = Backbone(build)
