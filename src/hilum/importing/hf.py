"""Folders of the Hugging Face hub, of transformers or timm: their files are the profile."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hilum.domain.errors import BundleError, UsageError
from hilum.importing.hf_networks import network_of_config
from hilum.importing.profile import HF_PROFILE, Profile, checked

__all__ = ["hf_profile", "is_hf_folder"]

_CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"
_LONGEST = 10_000_000
_RULES = {0: "nearest", 2: "pil-bilinear", 3: "pil-bicubic"}
_ABSENT = frozenset(
    {"normal", "no finding", "no_finding", "nofinding", "negative", "none", "healthy", "no"}
)
_OWN = (
    *("backbone", "options", "pooling", "head", "thresholds"),
    *("seen", "license", "citation", "url", "input"),
)
"""Fields that `hilum export` writes into a folder's files."""
_LABEL = "label_"
"""Start of the names that transformers gives to outputs nobody named."""


def is_hf_folder(path: Path) -> bool:
    """Return whether a path is a folder with a configuration of the Hugging Face hub."""
    return path.is_dir() and (path / _CONFIG).is_file()


def hf_profile(folder: Path, changes: Mapping[str, Any]) -> Profile:
    """Return the profile that a folder's own files state; the rest must be set by name.

    Args:
        folder: with config.json, preprocessor_config.json (or timm's configuration) and weights.
        changes: fields to set, by dotted name.

    Raises:
        BundleError: for code in the repository, or files that are no configuration.
        UsageError: for an architecture that is not known, or naming all that is missing.
    """
    if not is_hf_folder(folder):
        raise UsageError(f"{HF_PROFILE} needs a folder with {_CONFIG}; {folder} is none")
    config = _read(folder / _CONFIG)
    processor = _read(folder / _PROCESSOR) if (folder / _PROCESSOR).is_file() else {}
    for name, tree in ((_CONFIG, config), (_PROCESSOR, processor)):
        if "auto_map" in tree:
            raise BundleError(
                f"a folder must need no code of its own; {folder / name} has auto_map, whose code "
                "would have to be run. Save it with an architecture of transformers or timm"
            )
    found = {**_own(config), **_network(config, folder)}
    found["input"] = _own(processor).get("input") or _input(config, processor)
    return checked(found, f"{folder}", changes)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LONGEST:
            raise BundleError(f"{path} must be smaller than {_LONGEST} bytes")
        tree = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BundleError(f"{path} must be JSON; {reason}") from None
    if not isinstance(tree, dict):
        raise BundleError(f"{path} must be a JSON object")
    return tree


def _own(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `hilum export` wrote beside the library's own fields."""
    found = tree.get("hilum")
    return {k: v for k, v in found.items() if k in _OWN} if isinstance(found, dict) else {}


def _network(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return name, backbone, head, outputs and findings."""
    tree = network_of_config(config, folder)
    tree.setdefault("name", folder.resolve().name or "hf")
    names = _labels(config)
    output = {
        "multi_label_classification": "sigmoid",
        "single_label_classification": "softmax",
    }.get(str(config.get("problem_type")))
    if output is None:
        # what the outputs mean is not in the files: it must be set as `output`
        return tree
    tree["output"] = output
    if output == "softmax" and names is not None and len(names) == 2:
        absent = [name.strip().lower() in _ABSENT for name in names]
        if absent.count(True) == 1:
            names = ["none" if gone else name for name, gone in zip(names, absent, strict=True)]
    if names is not None:
        tree["findings"] = names
    return tree


def _labels(config: Mapping[str, Any]) -> list[str] | None:
    """Return the names of the outputs in order; None where they were never named."""
    listed = config.get("id2label") or config.get("label_names")
    if isinstance(listed, dict):
        try:
            by_number = {int(number): str(name) for number, name in listed.items()}
        except ValueError:
            return None
        if sorted(by_number) != list(range(len(by_number))):
            return None
        listed = [by_number[number] for number in range(len(by_number))]
    if not isinstance(listed, list) or not listed:
        return None
    names = [str(name) for name in listed]
    return None if all(name.lower().startswith(_LABEL) for name in names) else names


def _input(config: Mapping[str, Any], processor: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preprocessing that the files state; a field that they do not state is left out."""
    published = config.get("pretrained_cfg")
    if isinstance(published, dict) and not processor.get("size"):
        return _of_timm(published)
    channels = int(config.get("num_channels") or 3)
    tree: dict[str, Any] = {"channels": channels, "depth": "8", **_fit(processor)}
    if processor.get("do_resize", True) and processor.get("resample") in _RULES:
        tree["resize"] = _RULES[processor["resample"]]
    scaled = processor.get("do_rescale", True)
    factor = processor.get("rescale_factor", 1 / 255)
    if not scaled or not isinstance(factor, float) or abs(factor * 255 - 1) > 1e-6:
        return tree
    if not processor.get("do_normalize", True):
        return {**tree, "mean": [0.0] * channels, "std": [1.0] * channels}
    for ours, theirs in (("mean", "image_mean"), ("std", "image_std")):
        if isinstance(processor.get(theirs), list):
            tree[ours] = processor[theirs][:channels]
    return tree


def _fit(processor: Mapping[str, Any]) -> dict[str, Any]:
    """Return side and fit; empty where hilum has no such rule, or the files do not say it."""
    size = processor.get("size")
    kind = str(processor.get("image_processor_type") or processor.get("feature_extractor_type"))
    if isinstance(size, int):
        size = {"shortest_edge": size} if "ConvNext" in kind else {"height": size, "width": size}
    if not isinstance(size, dict) or not processor.get("do_resize", True):
        return {}
    shorter = size.get("shortest_edge")
    if "ConvNext" in kind and isinstance(shorter, int):
        if shorter >= 384:
            return {"size": shorter, "fit": "stretch"}
        share = float(processor.get("crop_pct") or 224 / 256)
        return {"size": shorter, "fit": "crop", "shorter_side": int(shorter / share)}
    crop = processor.get("crop_size") if processor.get("do_center_crop") else None
    if isinstance(crop, dict):
        crop = crop.get("height") if crop.get("height") == crop.get("width") else None
    high, wide = size.get("height"), size.get("width")
    if isinstance(shorter, int) and isinstance(crop, int):
        return {"size": crop, "fit": "crop", "shorter_side": shorter}
    if isinstance(high, int) and high == wide and crop in (None, high):
        return {"size": high, "fit": "stretch"}
    return {}


def _of_timm(published: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preprocessing of a configuration of timm's."""
    sides = published.get("input_size")
    if not isinstance(sides, list) or len(sides) != 3 or sides[1] != sides[2]:
        return {}
    tree: dict[str, Any] = {"channels": sides[0], "size": sides[2], "depth": "8"}
    rule = published.get("interpolation")
    if rule in ("bilinear", "bicubic", "nearest"):
        tree["resize"] = rule if rule == "nearest" else f"pil-{rule}"
    share = published.get("crop_pct")
    mode = published.get("crop_mode", "center")
    if mode == "center" and isinstance(share, int | float) and 0.1 <= share <= 1.0:
        tree |= {"fit": "crop", "shorter_side": math.floor(sides[2] / share)}
    elif mode == "squash" and share == 1.0:
        tree["fit"] = "stretch"
    for name in ("mean", "std"):
        if isinstance(published.get(name), list):
            tree[name] = published[name][: sides[0]]
    return tree
