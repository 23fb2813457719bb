"""Published weights: timm's from the Hugging Face hub, and other files' tensors renamed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
from safetensors.torch import load_file
from torch import Tensor

from hilum.domain.errors import BundleError, UsageError
from hilum.model.efficientnet_names import is_efficientnet, timm_names_of_efficientnet

__all__ = ["HEAD_NORM", "choose", "fetch_weights", "pretrained_config", "with_timm_names"]

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
    torchxrayvision and CheXNet; efficientnet_pytorch's; and hilum's checkpoints, of which the
    backbone is given.

    Args:
        tensors: as they stand in a file.

    Raises:
        BundleError: when two tensors would get one name, as `conv1.weight` beside
            `module.conv1.weight`: only one of them is the network's.

    Example:
        >>> import torch
        >>> old = "module.densenet121.features.denseblock1.denselayer1.norm.1.weight"
        >>> list(with_timm_names({old: torch.ones(2)}))
        ['features.denseblock1.denselayer1.norm1.weight']
    """
    bare: dict[str, Tensor] = {}
    source: dict[str, str] = {}
    for name, tensor in tensors.items():
        short = WRAPPERS.sub("", name)
        if short in bare:
            raise BundleError(
                f"a file must hold each tensor once; it has {source[short]} and {name}. Save the "
                "one network that is meant to a file of its own"
            )
        bare[short], source[short] = tensor, name
    if any(name.startswith("backbone.extractor.") for name in bare):
        return _of_hilum(bare)
    if "features.1.0.layer_scale" in bare:
        return _of_torchvision_convnext(bare)
    if is_efficientnet(bare):
        return timm_names_of_efficientnet(bare)
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


_NAMED = 6
"""Keys, and first parts of names, that a message lists."""
_DEPTH = 4
"""Modules that may stand around a backbone: `state.model.module.encoder` has as many."""


def choose(
    holders: Mapping[str, Mapping[str, Tensor]], wanted: Set[str], source: str
) -> tuple[dict[str, Tensor], str]:
    """Return the one network of a file that has a backbone's tensors, under timm's names.

    A trainer's file may keep its weights under a key (`model`, `model_state_dict`, `ema`) and
    behind a prefix (`module.`, `backbone.`, `encoder.`). Both are looked through, and what fits is
    taken if it is the only one. `state_dict` and the file's top come before other keys, and names
    without a prefix before others.

    Args:
        holders: key in the file to the tensors there; "" is the top.
        wanted: names of the backbone's tensors.
        source: the file, for messages.

    Returns:
        The tensors, and what the file has, to explain it if they do not fit.

    Raises:
        BundleError: when several networks fit.
    """
    found = {
        f"{key}:" if key else "": _fitting(tensors, wanted) for key, tensors in holders.items()
    }
    for key in ("state_dict:", ""):
        if found.get(key):
            found = {key: found[key]}
            break
    fits = {key + prefix: named for key, one in found.items() for prefix, named in one.items()}
    if len(fits) > 1:
        raise BundleError(
            f"{source} must hold one network that fits; it has {', '.join(sorted(fits))}. Save the "
            "one that is meant to a file of its own"
        )
    for named in fits.values():
        return named, ""
    first = next((holders[key] for key in ("state_dict", "") if holders.get(key)), None)
    most = max(holders.values(), key=len, default={}) if first is None else first
    return with_timm_names(most), _contents(holders)


def _fitting(tensors: Mapping[str, Tensor], wanted: Set[str]) -> dict[str, dict[str, Tensor]]:
    """Return every prefix behind which all wanted tensors stand, with the tensors behind it."""
    whole = with_timm_names(tensors)
    if wanted <= whole.keys():
        return {"": whole}
    found: dict[str, dict[str, Tensor]] = {}
    for prefix, count in sorted(_prefixes(tensors).items(), key=lambda item: len(item[0])):
        # the names behind a shorter prefix that fits are those of the same network
        if count < len(wanted) or any(prefix.startswith(shorter) for shorter in found):
            continue
        behind = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        with suppress(BundleError):  # several networks behind it
            named = with_timm_names(behind)
            if wanted <= named.keys():
                found[prefix] = named
    return found


def _prefixes(names: Mapping[str, object]) -> Counter[str]:
    """Return the beginnings of dotted names, with how many names begin so."""
    return Counter(prefix for name in names for prefix in _beginnings(name))


def _beginnings(name: str) -> Iterator[str]:
    parts = name.split(".")[:-1][:_DEPTH]
    yield from (".".join(parts[:count]) + "." for count in range(1, len(parts) + 1))


def _contents(holders: Mapping[str, Mapping[str, Tensor]]) -> str:
    """Return what a file has, by key and first part of the names, as a sentence."""
    parts: list[str] = []
    for key, tensors in holders.items():
        firsts = Counter(name.partition(".")[0] for name in tensors)
        names = [f"{first} ({count})" for first, count in firsts.most_common(_NAMED)]
        where = [f"under {key}: "] if key else []
        parts.append("".join((*where, ", ".join(names), ", ..." * (len(firsts) > _NAMED))))
    return f". The file has tensors of {'; '.join(parts[:_NAMED]) or 'no name'}"
