"""timm's pretrained weights, from the Hugging Face hub or its cache on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import timm
from safetensors.torch import load_file
from torch import Tensor

from hilum.domain.errors import UsageError

__all__ = ["fetch", "published"]

TIMEOUT_S = 10.0
"""How long the hub may take to answer."""

WEIGHTS = "model.safetensors"

INSTEAD = "give a local file with model.weights=PATH"


def published(name: str) -> dict[str, Any] | None:
    """What timm says of a network's pretrained weights; none where there are no such weights.

    Args:
        name: timm's, with or without the tag of the weights.

    Example:
        >>> published("resnet50.tv_in1k")["hf_hub_id"]
        'timm/resnet50.tv_in1k'
    """
    try:
        found = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a tag that the network does not have
        found = None
    config = found.to_dict() if found is not None else {}
    return config if config.get("hf_hub_id") else None


def fetch(name: str) -> dict[str, Tensor]:
    """The pretrained weights of a network of timm's, under timm's names, its classifier included.

    Only safetensors are fetched, which execute nothing.

    Args:
        name: timm's, with or without the tag of the weights.

    Raises:
        UsageError: when timm has none for it, or the hub does not answer.
    """
    config = published(name)
    if config is None:
        raise UsageError(
            f"timm has no pretrained weights for {name}; {INSTEAD}, or start from random"
        )
    tensors = load_file(_file(config))
    overlay = {"state_dict": tensors}
    network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    return dict(network.state_dict())


def _file(config: dict[str, Any]) -> Path:
    """The weights on this machine, fetched if they were not yet."""
    repository, _, tag = str(config["hf_hub_id"]).partition("@")
    revision = tag or None
    cached = huggingface_hub.try_to_load_from_cache(repository, WEIGHTS, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    address = huggingface_hub.hf_hub_url(repository, WEIGHTS, revision=revision)
    try:
        # asked once first, since a download without a network is tried again and again
        huggingface_hub.get_hf_file_metadata(address, timeout=TIMEOUT_S)
        return Path(
            huggingface_hub.hf_hub_download(
                repository, WEIGHTS, revision=revision, etag_timeout=TIMEOUT_S
            )
        )
    except Exception as error:  # the network's, the hub's and the disk's, of many libraries
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"model.weights=imagenet needs {repository} from the Hugging Face hub, which did not "
            f"give it ({said}); {INSTEAD}"
        ) from None
