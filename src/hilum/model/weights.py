"""Weights on disk: safetensors, which executes nothing, with the label order beside the tensors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hilum.domain.errors import BundleError, UsageError
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier
from hilum.model.published import HEAD_NORM, fetch_weights, pretrained_config, with_timm_names

__all__ = [
    "digest",
    "digests",
    "expected_normalization",
    "load",
    "load_backbone",
    "load_head",
    "load_imagenet",
    "save",
]

_HEADER = "hilum"


def digest(module: nn.Module) -> str:
    """Return the sha256 (hex) of every parameter and buffer, batch-norm statistics included."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(_bytes(tensor))
    return total.hexdigest()


def digests(module: nn.Module) -> dict[str, str]:
    """Return the sha256 (hex) of each parameter and buffer by its name: which of them changed.

    Example:
        >>> list(digests(nn.BatchNorm2d(1)))
        ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
    """
    return {
        name: hashlib.sha256(_bytes(tensor)).hexdigest()
        for name, tensor in module.state_dict().items()
    }


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()


def save(network: Classifier, path: Path, facts: dict[str, str]) -> None:
    """Write the weights; the label names go into the header, in the head's order."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    # one entry, since safetensors writes several in any order: the same weights, the same bytes
    header = json.dumps({"labels": list(network.labels), **facts}, sort_keys=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={_HEADER: header})
    partial.replace(path)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
        return load_file(path), header
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"weights must be a readable safetensors file; {path}: {error}") from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes raise almost anything in there
        raise BundleError(
            f"weights must be a state dict of tensors, and nothing else is unpickled; {path} "
            f"is none: {type(error).__name__}"
        ) from None
    if isinstance(found, dict):
        found = found.get("state_dict", found)
    if not isinstance(found, dict):
        raise BundleError(f"weights must be a state dict of tensors; {path} is none")
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}


def load(network: Classifier, path: Path) -> None:
    """Read weights that `save` wrote, into a network of the same make.

    Raises:
        BundleError: when the file's label order is not the network's, or unknown; when a tensor
            is missing, of another shape, or not finite.
    """
    tensors, header = _read(path)
    if "labels" not in header:
        raise BundleError(
            f"weights must carry their label order; {path} has none. Import them with their "
            "label names first"
        )
    order = cast("list[str]", header["labels"])
    if order != list(network.labels):
        raise BundleError(
            f"label order of {path} must be that of the run: file has {', '.join(order)}; "
            f"run has {', '.join(network.labels)}"
        )
    _fill(network.state_dict(), tensors, str(path))


def _fill(own: dict[str, Tensor], tensors: dict[str, Tensor], source: str) -> None:
    """Copy into our own tensors what has their names, once all of it is known to fit."""
    for name, tensor in own.items():
        if name not in tensors:
            raise BundleError(f"{source}: tensor {name} is missing")
        if tensors[name].shape != tensor.shape:
            raise BundleError(
                f"{source}: tensor {name} must be {tuple(tensor.shape)}, "
                f"got {tuple(tensors[name].shape)}"
            )
        if not torch.isfinite(tensors[name].float()).all():
            raise BundleError(f"{source}: tensor {name} holds NaN or infinity")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def load_backbone(network: Classifier, path: Path) -> None:
    """Start from the backbone of other weights, hilum's own or a foreign state dict.

    Read are the files of timm, torchvision (with the old names of its DenseNets), torchxrayvision
    and CheXNet. Only tensors are read; a pickled model is refused. The head stays as it is, so the
    file's label order does not matter; a norm of the pooled map belongs to the backbone.

    A first convolution for 3 channels is summed over them where ours has 1, and one for 1 channel
    is spread over 3, a third to each. Either gives the very features, as long as the channels of a
    gray film are equal: replicated, and normalized by the same mean and standard deviation. With
    ImageNet's, which differ by channel, it is close, and training finds the rest.

    Raises:
        UsageError: for a file that is not `.safetensors`, `.pth`, `.pt`, `.ckpt` or `.tar`.
        BundleError: for missing, misshapen or non-finite tensors, or another network's.
    """
    if path.suffix == ".safetensors":
        tensors, _ = _read(path)
    elif path.suffix in (".pth", ".pt", ".ckpt", ".tar"):
        tensors = _read_torch(path)
    else:
        raise UsageError(f"weights must be .safetensors, .pth, .pt, .ckpt or .tar; got {path}")
    _fill_backbone(network.backbone, with_timm_names(tensors), str(path))


def load_head(network: Classifier, path: Path) -> None:
    """Start findings from the head of a hilum checkpoint, each from the one of its name.

    Findings that the file does not know stay as they are.

    Raises:
        BundleError: when the file names no findings, none of ours, or has another backbone's head.
    """
    tensors, header = _read(path)
    theirs = cast("list[str]", header.get("labels", []))
    rows = [
        (mine, theirs.index(name)) for mine, name in enumerate(network.labels) if name in theirs
    ]
    if not rows:
        raise BundleError(
            f"a head can be inherited from weights that name a finding of "
            f"{network.labels.name}; {path} names {', '.join(theirs) or 'none'}. "
            "Set model.head=fresh"
        )
    own = {part: tensor.clone() for part, tensor in network.head.state_dict().items()}
    for part, tensor in own.items():
        found = tensors.get(f"head.{part}")
        if found is None or found.shape != (len(theirs), *tensor.shape[1:]):
            raise BundleError(f"{path}: tensor head.{part} must fit {tuple(tensor.shape)}")
        if not torch.isfinite(found).all():
            raise BundleError(f"{path}: tensor head.{part} holds NaN or infinity")
        for mine, other in rows:
            tensor[mine] = found[other]
    network.head.load_state_dict(own)


def load_imagenet(network: Classifier) -> None:
    """Start from timm's pretrained weights for the backbone, fetched if they are not here yet.

    The first convolution is adapted as in `load_backbone`.

    Raises:
        UsageError: when timm has none for it, or the hub does not answer.
        BundleError: when they do not fit, as with a slimmer backbone than the published.
    """
    name = network.backbone.timm_name
    if name is None:
        raise UsageError("pretrained weights are for timm's networks; give a file of your own")
    _fill_backbone(network.backbone, fetch_weights(name), f"timm's weights for {name}")


def expected_normalization(backbone: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return mean and deviation by channel with which pretrained weights were trained.

    In gray levels of 1. None where timm has no pretrained weights for it.

    Args:
        backbone: a member of the backbones, or `timm/NAME`.

    Example:
        >>> expected_normalization("densenet121")
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    """
    config = pretrained_config(backbone.removeprefix("timm/"))
    return None if config is None else (tuple(config["mean"]), tuple(config["std"]))


def _fill_backbone(features: Features, tensors: dict[str, Tensor], source: str) -> None:
    own = dict(features.extractor.state_dict())
    parts = {name.split(".")[0] for name in own}
    for name in tensors:
        # a deeper sister has all our tensors and more; a head is none of our parts
        if name.split(".")[0] in parts and name not in own:
            raise BundleError(f"{source}: tensor {name} is of another network than the run's")
    own |= {f"{HEAD_NORM}{name}": tensor for name, tensor in features.norm.state_dict().items()}
    # files older than these counters lack them; nothing reads them
    counters = {name: own[name] for name in own if name.endswith("num_batches_tracked")}
    found = counters | tensors
    first = _first_convolution(features.extractor)
    if first in found and found[first].ndim == 4:
        found[first] = _adapted(found[first], own[first].shape[1])
    _fill(own, found, source)


def _first_convolution(extractor: nn.Module) -> str | None:
    """Return the name of the weights of the first convolution."""
    for name, module in extractor.named_modules():
        if isinstance(module, nn.Conv2d):
            return f"{name}.weight"
    return None


def _adapted(kernels: Tensor, channels: int) -> Tensor:
    """Return the kernels (O, 3 or 1, k, k) for images of 1 or 3 channels."""
    if (kernels.shape[1], channels) == (3, 1):
        return kernels.sum(dim=1, keepdim=True)
    if (kernels.shape[1], channels) == (1, 3):
        return kernels.repeat(1, 3, 1, 1) / 3
    return kernels
