"""The names of efficientnet_pytorch, in which EfficientNet-Lite is published, to those of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor

__all__ = ["is_efficientnet", "timm_names_of_efficientnet"]

STEM = "_conv_stem.weight"
_BLOCK = re.compile(r"^_blocks\.(\d+)\.(.+)$")
_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_DEPTHWISE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
"""Modules of a block that does not widen its input, as in the first stage."""


def is_efficientnet(names: Mapping[str, object]) -> bool:
    """Return whether tensors have the names of efficientnet_pytorch.

    Example:
        >>> is_efficientnet({"_conv_stem.weight": 0}), is_efficientnet({"conv_stem.weight": 0})
        (True, False)
    """
    return STEM in names


def timm_names_of_efficientnet(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under the names of timm's `tf_efficientnet_*`; the tensors are the same.

    efficientnet_pytorch counts the blocks of all stages in one row. A stage begins where the number
    of channels that a block gives differs from that of the block before: so it is in every
    EfficientNet from B0 to B7 and Lite0 to Lite4, and no table of depths is needed. Names that
    belong to no known module stay as they are.

    Args:
        tensors: as they stand in a file, without prefix.

    Example:
        >>> import torch
        >>> kernels = {"_conv_stem.weight": torch.ones(8, 3, 3, 3)}
        >>> for number, channels in enumerate((4, 6, 6)):
        ...     kernels[f"_blocks.{number}._project_conv.weight"] = torch.ones(channels, 8, 1, 1)
        >>> list(timm_names_of_efficientnet(kernels))[1:]
        ['blocks.0.0.conv_pw.weight', 'blocks.1.0.conv_pw.weight', 'blocks.1.1.conv_pw.weight']
    """
    places = _places(tensors)
    return {_renamed(name, tensors, places): tensor for name, tensor in tensors.items()}


def _places(tensors: Mapping[str, Tensor]) -> dict[int, tuple[int, int]]:
    """Return stage and place in it of each block, by its number in the file."""
    given = {
        int(found[1]): tensors[name].shape[0]
        for name in tensors
        if (found := _BLOCK.match(name)) and found[2] == "_project_conv.weight"
    }
    numbers = sorted(given)
    places: dict[int, tuple[int, int]] = dict.fromkeys(numbers[:1], (0, 0))
    for before, number in pairwise(numbers):
        stage, place = places[before]
        same = given[number] == given[before]
        places[number] = (stage, place + 1) if same else (stage + 1, 0)
    return places


def _renamed(
    name: str, tensors: Mapping[str, Tensor], places: Mapping[int, tuple[int, int]]
) -> str:
    found = _BLOCK.match(name)
    if found is None:
        module, dot, end = name.partition(".")
        return f"{_TOP.get(module, module)}{dot}{end}"
    number = int(found[1])
    module, dot, end = found[2].partition(".")
    widens = f"_blocks.{number}._expand_conv.weight" in tensors
    known = (_EXPANDED if widens else _DEPTHWISE).get(module)
    if known is None or number not in places:
        return name
    stage, place = places[number]
    return f"blocks.{stage}.{place}.{known}{dot}{end}"
