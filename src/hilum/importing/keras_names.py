"""Names of the layers of Keras's DenseNet-121, as torchvision has them."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["torch_name"]

_STEM = {"conv1_conv": "features.conv0", "conv1_bn": "features.norm0", "bn": "features.norm5"}
_LAYER = re.compile(r"conv([2-5])_block(\d+)_([012])_(bn|conv)\Z")
_POOL = re.compile(r"pool([2-4])_(bn|conv)\Z")
_PARTS = {"0_bn": "norm1", "1_conv": "conv1", "1_bn": "norm2", "2_conv": "conv2"}


def torch_name(name: str) -> str | None:
    """Return torchvision's name of a layer; None for a layer of another network.

    >>> torch_name("conv3_block4_1_bn"), torch_name("conv1/bn"), torch_name("stem")
    ('features.denseblock2.denselayer4.norm2', 'features.norm0', None)
    """
    plain = name.replace("/", "_")
    if plain in _STEM:
        return _STEM[plain]
    found: Any = _LAYER.match(plain)
    if found:
        part = _PARTS.get(f"{found[3]}_{found[4]}")
        block = int(found[1]) - 1
        return part and f"features.denseblock{block}.denselayer{found[2]}.{part}"
    found = _POOL.match(plain)
    if found:
        part = "norm" if found[2] == "bn" else "conv"
        return f"features.transition{int(found[1]) - 1}.{part}"
    return None
