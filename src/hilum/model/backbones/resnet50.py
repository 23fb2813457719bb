"""ResNet-50 (He et al. 2016) from timm, up to its last residual block.

Grad-CAM's map is the output of `layer4`, where the published figures have it: after the block's
ReLU, so that nothing lies between the map and the pooling. State-dict keys are those of torchvision
and timm alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from hilum.model.backbones import Backbone, Features, chosen, cut

__all__ = ["BACKBONE", "build"]

OPTIONS = {"width": 64}
"""Feature maps of the first stage, a fourth of what it gives on: 64 is ResNet-50; less makes it
slimmer, with its 50 layers."""


def build(channels: int, options: Mapping[str, int], drop_path: float = 0.0) -> Features:
    """ResNet-50 without its classifier; stride 32, K = 2048 at width 64.

    Args:
        channels: of the images, 1 or 3.
        options: `width`.
        drop_path: stochastic depth of the residual blocks.

    Example:
        >>> build(1, {"width": 8}).channels
        256
    """
    width = chosen("resnet50", OPTIONS, options)["width"]
    shape = {
        "channels": (width, 2 * width, 4 * width, 8 * width),
        # blocks that start as nothing would leave most tensors without a gradient in the first
        # step, in which it is proved that all of them train
        "zero_init_last": False,
    }
    return cut("resnet50", channels, drop_path, shape)


BACKBONE: Backbone = Backbone(build)
