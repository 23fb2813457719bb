"""Weights on disk: safetensors, which executes nothing, with the label order beside the tensors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn, serialization

from hilum.domain.errors import BundleError, UsageError
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier
from hilum.model.published import HEAD_NORM, choose, fetch_weights, pretrained_config

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
        what = _described(path) or " ".join(str(error).split())[:200]
        raise BundleError(f"weights must be a readable safetensors file; {path}: {what}") from None


class _Placeholder:
    """Stands for every object in a checkpoint that is not a tensor: made of nothing, does nothing.

    A trainer's file often keeps its options (`argparse.Namespace`), a scalar of NumPy or a path
    beside the tensors. None of their code is imported or called.
    """

    def __new__(cls, *_values: object, **_named: object) -> Self:
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        """Keep nothing of the object's state."""


def _read_torch(path: Path) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of a pickled file by the key that holds them; "" is the top."""
    foreign: list[str] = []
    try:
        with suppress(ValueError):  # a file from before torch 1.6 does not list what it holds
            foreign = sorted(serialization.get_unsafe_globals_in_checkpoint(path))
        allowed: list[Any] = [(_Placeholder, name) for name in foreign]
        # an open file, since torch judges a path by its suffix
        with path.open("rb") as file, serialization.safe_globals(allowed):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes raise almost anything in there
        raise BundleError(
            f"weights must be a state dict of tensors, and nothing else is unpickled; {path} is "
            f"{_described(path) or f'none: {type(error).__name__}'}"
        ) from None
    if isinstance(found, dict):
        holders = dict(_holders(found, ""))
        if holders or not any(map(_is_object, found.values())):
            return holders
    if _is_object(found) or isinstance(found, dict):
        raise BundleError(
            f"weights must be a state dict of tensors, and nothing else is unpickled; {path} holds "
            f"objects of {', '.join(foreign[:3]) or 'no known kind'}. Save its state_dict() instead"
        )
    raise BundleError(
        f"weights must be a state dict of tensors; {path} holds a {type(found).__name__}"
    )


def _is_object(value: object) -> bool:
    return isinstance(value, _Placeholder) or not isinstance(value, _PLAIN)


_PLAIN = (Tensor, dict, int, float, str, bytes, type(None))
_MOST_NESTED = 4
"""Levels of a file that are looked through for tensors."""


def _holders(tree: Mapping[Any, Any], key: str) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield every level of a file that holds named tensors, with its dotted key."""
    own = {name: t for name, t in tree.items() if isinstance(name, str) and isinstance(t, Tensor)}
    if own:
        yield key, own
    for name, below in tree.items():
        dotted = f"{key}.{name}" if key else str(name)
        if isinstance(below, dict) and dotted.count(".") < _MOST_NESTED:
            yield from _holders(below, dotted)


_SIGNS = (
    (rb"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    (rb"\S*/annex/objects/", "a git-annex pointer; fetch the file itself with `git annex get`"),
    (
        rb"(?i)\s*<(!doctype|html|head|\?xml|script)",
        "a web page, such as a sign-in or quota page saved in place of the download",
    ),
    (rb"\x89HDF\r\n", "an HDF5 file, as Keras writes"),
    (rb"\x1f\x8b", "a gzip archive; unpack it"),
    (rb"Rar!|7z\xbc\xaf", "an archive; unpack it"),
    (
        rb"(?s)PK\x03\x04(?!.*data\.pkl)",
        "a zip archive without a state dict; if it holds weights, unpack it",
    ),
    (rb"\Z", "an empty file"),
    (rb"[\t\r\n\x20-\x7e]+\Z", "a text file"),
)
"""Beginnings of files that are often found where weights should be, and what they are."""


def _described(path: Path) -> str | None:
    """Say what a file is that could not be read as weights; None where it is not known."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        return f"not to be read: {error.strerror or type(error).__name__}"
    return next((what for sign, what in _SIGNS if re.match(sign, start)), None)


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


def _fill(
    own: dict[str, Tensor], tensors: dict[str, Tensor], source: str, contents: str = ""
) -> None:
    """Copy into our own tensors what has their names, once all of it is known to fit."""
    for name, tensor in own.items():
        if name not in tensors:
            raise BundleError(f"{source}: tensor {name} is missing{contents}")
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

    Read are the files of timm, torchvision (with the old names of its DenseNets), torchxrayvision,
    CheXNet and efficientnet_pytorch, and trainers' checkpoints that hold such tensors under a key
    or behind a prefix (`hilum.model.published.choose`). Only tensors are read; a pickled model is
    refused. The head stays as it is, so the file's label order does not matter; a norm of the
    pooled map belongs to the backbone.

    A first convolution for 3 channels is summed over them where ours has 1, and one for 1 channel
    is spread over 3, a third to each. Either gives the very features, as long as the channels of a
    gray film are equal: replicated, and normalized by the same mean and standard deviation. With
    ImageNet's, which differ by channel, it is close, and training finds the rest.

    Raises:
        UsageError: for a file that is not `.safetensors`, `.pth`, `.pt`, `.ckpt`, `.tar` or `.bin`.
        BundleError: for missing, misshapen or non-finite tensors, another network's, several
            networks that fit, or a file that holds no tensors at all.
    """
    if path.suffix not in _SUFFIXES:
        what = _described(path) if path.is_file() else None
        raise UsageError(
            f"weights must be {', '.join(_SUFFIXES[:-2])} or {_SUFFIXES[-2]}, or PyTorch's .bin; "
            f"got {path}{f', {what}' if what else ''}"
        )
    holders = {"": _read(path)[0]} if _is_safetensors(path) else _read_torch(path)
    wanted = {name for name in _own(network.backbone) if not name.endswith(COUNTER)}
    tensors, contents = choose(holders, wanted, str(path))
    _fill_backbone(network.backbone, tensors, str(path), contents)


_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".tar", ".bin")
COUNTER = "num_batches_tracked"
"""Ending of the names of counters, which older files lack and nothing reads."""
_TO_HEADER = 8
"""Bytes before the header of a safetensors file, which is JSON."""


def _is_safetensors(path: Path) -> bool:
    """Return whether a file is one by its first bytes, or by its name where they say nothing."""
    try:
        with path.open("rb") as file:
            start = file.read(_TO_HEADER + 1)
    except OSError:
        start = b""
    if start.startswith((b"PK\x03\x04", b"\x80")) and start[_TO_HEADER:] != b"{":
        return False
    return path.suffix == ".safetensors" or start[_TO_HEADER:] == b"{"


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


def _own(features: Features) -> dict[str, Tensor]:
    """Return a backbone's tensors by timm's names, the norm of the pooled map among them."""
    own = dict(features.extractor.state_dict())
    own |= {f"{HEAD_NORM}{name}": tensor for name, tensor in features.norm.state_dict().items()}
    return own


def _fill_backbone(
    features: Features, tensors: dict[str, Tensor], source: str, contents: str = ""
) -> None:
    own = _own(features)
    extractor = features.extractor.state_dict()
    parts = {name.split(".")[0] for name in extractor}
    for name in tensors:
        # a deeper sister has all our tensors and more; a head is none of our parts
        if name.split(".")[0] in parts and name not in extractor:
            raise BundleError(f"{source}: tensor {name} is of another network than the run's")
    found = {name: own[name] for name in own if name.endswith(COUNTER)} | tensors
    first = _first_convolution(features.extractor)
    if first in found and found[first].ndim == 4:
        found[first] = _adapted(found[first], own[first].shape[1])
    _fill(own, found, source, contents)


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
