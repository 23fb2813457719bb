"""ConvNeXt-T (Liu et al. 2022) from timm, up to its last stage.

Grad-CAM's map is the output of `stages`; no activation follows. The LayerNorm of the pooled map,
which timm counts to the head, is kept: pretrained features were trained to pass through it.
State-dict keys are timm's, and torchvision's are understood too.
"""

from __future__ import annotations

from collections.abc import Mapping

from hilum.model.backbones import Backbone, Features, chosen, cut

__all__ = ["BACKBONE", "build"]

OPTIONS = {"width": 96}
"""Feature maps of the first stage: 96 is ConvNeXt-T; less makes it slimmer, with its 18 blocks."""


def build(channels: int, options: Mapping[str, int], drop_path: float = 0.0) -> Features:
    """ConvNeXt-T without its classifier; stride 32, K = 768 at width 96.

    Args:
        channels: of the images, 1 or 3.
        options: `width`.
        drop_path: stochastic depth of its blocks; 0.1 when it was published.

    Example:
        >>> build(1, {"width": 8}).channels
        64
    """
    width = chosen("convnext_tiny", OPTIONS, options)["width"]
    shape = {"dims": (width, 2 * width, 4 * width, 8 * width)}
    return cut("convnext_tiny", channels, drop_path, shape)


BACKBONE: Backbone = Backbone(build)
