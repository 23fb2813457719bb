"""ResNet-10-t beside EfficientNet-Lite0: each part is timm's, and its mean stays its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor

from hilum.model.classifier import Classifier

Make = Callable[..., Classifier]
Images = Callable[..., Tensor]


def hooked(network: Any, images: Tensor) -> list[Tensor]:
    """What the depthwise convolutions of stages 3 and 4 give, behind their norm."""
    found: list[Tensor] = []
    for stage in network.blocks[3:5]:
        for block in stage:
            block.bn2.register_forward_hook(lambda *call: found.append(call[2].clone()))
    network.forward_features(images)
    return found


def test_the_maps_are_timm_s_own(make: Make, images: Images, lived_in: Callable[..., Any]) -> None:
    pair: Any = lived_in(make("resnet10t_lite0", 3)).backbone.extractor
    films = images(2, 64, 64, channels=3)
    resnet = timm.create_model("resnet10t", num_classes=0).eval()
    resnet.load_state_dict(pair.resnet.state_dict())
    lite = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    own = lite.state_dict()
    lite.load_state_dict(own | pair.lite.state_dict())
    with torch.no_grad():
        maps = pair(films)
        coarse = resnet.forward_features(films)
        widened = torch.cat(hooked(lite, films * 0.5), dim=1)
    torch.testing.assert_close(maps[:, 512:], widened)
    torch.testing.assert_close(maps[:, :512, ::2, ::2], coarse)
    torch.testing.assert_close(maps[:, :512].mean((2, 3)), coarse.mean((2, 3)))
