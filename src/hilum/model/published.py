"""Published weights: timm's from the Hugging Face hub, and other files' tensors renamed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
from safetensors.torch import load_file
from torch import Tensor

from hilum.domain.errors import UsageError

__all__ = ["HEAD_NORM", "fetch_weights", "pretrained_config", "with_timm_names"]

TIMEOUT_S = 10.0
"""Timeout for one request to the hub, in seconds."""

WEIGHTS = "model.safetensors"

INSTEAD = "give a local file with model.weights=PATH"


def pretrained_config(name: str) -> dict[str, Any] | None:
    """Return timm's configuration of a network's pretrained weights; None where there are none.

    Args:
        name: timm's, with or without the tag of the weights.

    Example:
        >>> pretrained_config("resnet50.tv_in1k")["hf_hub_id"]
        'timm/resnet50.tv_in1k'
    """
    try:
        found = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a tag that the network does not have
        found = None
    config = found.to_dict() if found is not None else {}
    return config if config.get("hf_hub_id") else None


def fetch_weights(name: str) -> dict[str, Tensor]:
    """Return the pretrained weights of a timm network, under timm's names, classifier included.

    Only safetensors are fetched, which execute nothing.

    Args:
        name: timm's, with or without the tag of the weights.

    Raises:
        UsageError: when timm has none for it, or the hub does not answer.
    """
    config = pretrained_config(name)
    if config is None:
        raise UsageError(
            f"timm has no pretrained weights for {name}; {INSTEAD}, or start from random"
        )
    tensors = load_file(_file(config))
    overlay = {"state_dict": tensors}
    network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    return dict(network.state_dict())


def _file(config: dict[str, Any]) -> Path:
    """Return the local file of the weights, downloaded if it is not cached."""
    repository, _, tag = str(config["hf_hub_id"]).partition("@")
    revision = tag or None
    cached = huggingface_hub.try_to_load_from_cache(repository, WEIGHTS, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    address = huggingface_hub.hf_hub_url(repository, WEIGHTS, revision=revision)
    try:
        # one request first, since a download without a network is retried many times
        huggingface_hub.get_hf_file_metadata(address, timeout=TIMEOUT_S)
        return Path(
            huggingface_hub.hf_hub_download(
                repository, WEIGHTS, revision=revision, etag_timeout=TIMEOUT_S
            )
        )
    except Exception as error:  # the network's, the hub's and the disk's, of many libraries
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"model.weights=imagenet needs {repository} from the Hugging Face hub, which did not "
            f"give it ({reason}); {INSTEAD}"
        ) from None


HEAD_NORM = "head.norm."
"""Prefix of timm's norm of the pooled map, which is a part of our backbones."""

WRAPPERS = re.compile(r"^((module|model|net|network|_orig_mod|densenet121)\.)+")
"""Prefixes that DataParallel, Lightning, torch.compile and CheXNet put before every name."""

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
"""Patterns from torchvision's numbered modules to timm's names; the tensors are the same."""


def with_timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under timm's names.

    Understood are timm's own files; torchvision's, with the old names of its DenseNets; those of
    torchxrayvision and CheXNet; and hilum's checkpoints, of which the backbone is given.

    Args:
        tensors: as they stand in a file.

    Example:
        >>> import torch
        >>> old = "module.densenet121.features.denseblock1.denselayer1.norm.1.weight"
        >>> list(with_timm_names({old: torch.ones(2)}))
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
