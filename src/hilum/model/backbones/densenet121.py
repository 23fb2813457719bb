"""DenseNet-121 (Huang et al. 2017) from timm, cut open before its last ReLU.

timm fuses batch norm and an in-place ReLU in `features.norm5`. Left so, anything that reads the
feature map there gets it after the ReLU, and Grad-CAM comes out wrong without an error. Here the
activation is taken out of `norm5`; the classifier applies it, not in place.
State-dict keys are those of torchvision, timm and torchxrayvision alike.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import cast

import timm
from torch import nn

from hilum.model.backbones import Activation, Backbone, Features, chosen, refuse_drop_path

__all__ = ["BACKBONE", "build"]

OPTIONS = {"growth_rate": 32}
"""Feature maps each layer adds: 32 is DenseNet-121; less makes it slimmer, with its 121 layers."""


def build(channels: int, options: Mapping[str, int], drop_path: float = 0.0) -> Features:
    """DenseNet-121 without its classifier; stride 32, K = 1024 at growth rate 32.

    Grad-CAM's map is `features.norm5`, before its ReLU.

    Args:
        channels: of the images, 1 or 3.
        options: `growth_rate`.
        drop_path: 0 only: every layer's output is an input of all later ones.

    Example:
        >>> build(1, {"growth_rate": 4}).channels
        128
    """
    growth_rate = chosen("densenet121", OPTIONS, options)["growth_rate"]
    refuse_drop_path("densenet121", drop_path)
    network = timm.create_model(
        "densenet121", pretrained=False, num_classes=0, in_chans=channels, growth_rate=growth_rate
    )
    features = network.get_submodule("features")
    features.get_submodule("norm5").act = nn.Identity()
    extractor = nn.Sequential(OrderedDict(features=features))
    count = cast(int, network.num_features)
    return Features(extractor, count, Activation.RELU, timm_name="densenet121")


BACKBONE: Backbone = Backbone(build)
