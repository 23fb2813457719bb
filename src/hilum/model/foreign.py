"""Other people's tensor names, turned into timm's, which are those of our backbones."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

__all__ = ["HEAD_NORM", "renamed"]

HEAD_NORM = "head.norm."
"""Where timm keeps the norm of the pooled map, which is a part of our backbones."""

WRAPPERS = re.compile(r"^((module|model|net|network|_orig_mod|densenet121)\.)+")
"""What DataParallel, Lightning, torch.compile and CheXNet put before every name."""

OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""Names of torchvision before 0.4, `denselayer1.norm.1.weight`, as in its ImageNet file still."""

TORCHVISION_CONVNEXT = (
    (re.compile(r"^features\.0\.([01])\."), r"stem.\1."),
    (re.compile(r"^features\.2\.([01])\."), r"stages.1.downsample.\1."),
    (re.compile(r"^features\.4\.([01])\."), r"stages.2.downsample.\1."),
    (re.compile(r"^features\.6\.([01])\."), r"stages.3.downsample.\1."),
    (re.compile(r"^features\.1\."), "stages.0.blocks."),
    (re.compile(r"^features\.3\."), "stages.1.blocks."),
    (re.compile(r"^features\.5\."), "stages.2.blocks."),
    (re.compile(r"^features\.7\."), "stages.3.blocks."),
    (re.compile(r"\.block\.0\."), ".conv_dw."),
    (re.compile(r"\.block\.2\."), ".norm."),
    (re.compile(r"\.block\.3\."), ".mlp.fc1."),
    (re.compile(r"\.block\.5\."), ".mlp.fc2."),
    (re.compile(r"\.layer_scale$"), ".gamma"),
    (re.compile(r"^classifier\.0\."), HEAD_NORM),
)
"""torchvision numbers what timm names; the tensors are the same."""


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under timm's names.

    Understood are timm's own files; torchvision's, with the old names of its DenseNets; those of
    torchxrayvision and CheXNet; and hilum's checkpoints, of which the backbone is given.

    Args:
        tensors: as they stand in a file.

    Example:
        >>> import torch
        >>> old = "module.densenet121.features.denseblock1.denselayer1.norm.1.weight"
        >>> list(renamed({old: torch.ones(2)}))
        ['features.denseblock1.denselayer1.norm1.weight']
    """
    bare = {WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    if any(name.startswith("backbone.extractor.") for name in bare):
        return _of_hilum(bare)
    if "features.1.0.layer_scale" in bare:
        return _of_torchvision_convnext(bare)
    return {OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in bare.items()}


def _of_hilum(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = {"backbone.extractor.": "", "backbone.norm.": HEAD_NORM}
    return {
        theirs + name.removeprefix(ours): tensor
        for ours, theirs in names.items()
        for name, tensor in tensors.items()
        if name.startswith(ours)
    }


def _of_torchvision_convnext(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        theirs = name
        for pattern, replacement in TORCHVISION_CONVNEXT:
            theirs = pattern.sub(replacement, theirs)
        found[theirs] = tensor.flatten() if theirs.endswith(".gamma") else tensor
    return found
