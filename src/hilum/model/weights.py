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
from hilum.model.classifier import Classifier

__all__ = ["digest", "load", "load_backbone", "save"]

_HEADER = "hilum"


def digest(module: nn.Module) -> str:
    """sha256 (hex) of every parameter and buffer, batch-norm statistics included."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


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
    _fill(network, tensors, path)


def _fill(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in tensors:
            raise BundleError(f"{path}: tensor {name} is missing")
        if tensors[name].shape != tensor.shape:
            raise BundleError(
                f"{path}: tensor {name} must be {tuple(tensor.shape)}, "
                f"got {tuple(tensors[name].shape)}"
            )
        if not torch.isfinite(tensors[name].float()).all():
            raise BundleError(f"{path}: tensor {name} holds NaN or infinity")
    module.load_state_dict({name: tensors[name] for name in own})


def load_backbone(network: Classifier, path: Path) -> None:
    """Start from the backbone of other weights, hilum's own or a torchvision or timm state dict.

    Only tensors are read; a pickled model is refused. The head stays as it is, so the file's
    label order does not matter.

    Raises:
        UsageError: for a file that is not `.safetensors`, `.pth` or `.pt`.
        BundleError: for missing, misshapen or non-finite tensors.
    """
    if path.suffix == ".safetensors":
        tensors, _ = _read(path)
    elif path.suffix in (".pth", ".pt"):
        tensors = _read_torch(path)
    else:
        raise UsageError(f"weights must be .safetensors, .pth or .pt; got {path}")
    extractor = network.backbone.extractor
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        bare = name.removeprefix("module.").removeprefix("backbone.extractor.")
        renamed[bare] = tensor
    _fill(extractor, renamed, path)
