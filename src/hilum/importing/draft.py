"""Drafts of profiles: what a file or a library says by itself; the rest is left for you to say."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import yaml

from hilum.domain.errors import UsageError, suggestion
from hilum.importing.profile import NEEDED_INPUT
from hilum.importing.records import WeightFile

__all__ = ["draft", "library_tree"]

_ASKED = "# for you to state; nothing of this is guessed:"
_BACKBONES = {
    "features.denseblock4.denselayer16.conv2.weight": "densenet121",
    "layer3.5.conv3.weight": "resnet50",
    "stages.3.blocks.2.conv_dw.weight": "convnext_tiny",
}
_NAMES = ("pathologies", "targets", "classes", "class_names", "labels", "findings")


def library_tree(library: str, network: str) -> dict[str, Any]:
    """Return the profile of a network of timm's or torchvision's, without what no library says.

    Raises:
        UsageError: for a network that the library does not have.
    """
    import timm

    if not timm.is_model(network):
        near = suggestion(network, timm.list_models())
        raise UsageError(
            f"{library} networks are imported through timm, which has none '{network}'.{near}"
        )
    found = timm.get_pretrained_cfg(network)
    config: dict[str, Any] = found.to_dict() if found is not None else {}
    size = int(config.get("input_size", (3, 224, 224))[-1])
    rule = str(config.get("interpolation", "bilinear"))
    shorter = math.floor(size / float(config.get("crop_pct") or 0.875))
    if library == "torchvision":
        size, rule, shorter = 224, "bilinear", 256
    head = str(config.get("classifier") or "fc")
    return {
        "name": f"{library}-{network}",
        "backbone": network if network in ("densenet121", "resnet50") else f"timm/{network}",
        "head": [f"linear {head}"],
        "input": {
            "size": size,
            "fit": "crop",
            "shorter_side": shorter,
            "channels": 3,
            "mean": list(config.get("mean", (0.485, 0.456, 0.406))),
            "std": list(config.get("std", (0.229, 0.224, 0.225))),
            "resize": f"pil-{rule if rule in ('bilinear', 'bicubic') else 'bilinear'}",
            "depth": "8",
        },
    }


def draft(file: WeightFile, name: str) -> str:
    """Return the YAML of a profile with what a file says, and questions for what it does not.

    Args:
        file: its tensors.
        name: of the file.
    """
    key, tensors = max(file.holders.items(), key=lambda one: len(one[1]))
    backbone = next(
        (ours for sign, ours in _BACKBONES.items() if any(n.endswith(sign) for n in tensors)), None
    )
    heads = [
        (tensor_name.removesuffix(".weight"), tensor.shape)
        for tensor_name, tensor in tensors.items()
        if tensor_name.endswith(".weight")
        and (
            tensor.ndim == 2
            or (tensor.ndim == 4 and tensor.shape[2:] == (1, 1) and len(tensor) < 3)
        )
        and tensor_name.removesuffix("weight") + "bias" in tensors
    ]
    words = next((file.texts[word] for word in _NAMES if word in file.texts), None)
    last = heads[-1] if heads else None
    tree: dict[str, Any] = {"name": name.partition(".")[0].replace(" ", "-")}
    if backbone:
        tree["backbone"] = backbone
    if key:
        tree["key"] = key
    if last is not None:
        tree["head"] = [f"linear {last[0]}"]
    if words is not None:
        tree["findings"] = list(words)
    tops = Counter(tensor_name.partition(".")[0] for tensor_name in tensors)
    lines = [
        f"# draft for {name} ({file.format}): {len(tensors)} tensors of "
        f"{', '.join(f'{top} ({count})' for top, count in tops.most_common(6))}",
        yaml.safe_dump(tree, sort_keys=False, width=100).rstrip(),
        _ASKED,
    ]
    if not backbone:
        lines.append("# backbone: a backbone of hilum, or timm/NAME")
    if words is None:
        count = last[1][0] if last is not None else "each"
        lines.append(f"# findings: [names of the {count} outputs, in order]")
    lines.append("# input: {" + ", ".join(f"{field}: " for field in NEEDED_INPUT) + "}")
    lines += [
        "# seen: [{dataset: , films: }]   # datasets that it was trained on; [] for none",
        "# license:",
        "# citation:",
        "# url:",
    ]
    return "\n".join(lines) + "\n"
