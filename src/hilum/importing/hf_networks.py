"""Architectures of transformers and timm, as their configurations state them, to hilum's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hilum.domain.errors import UsageError
from hilum.importing.hf_names import TRANSFORMERS_UNUSED

__all__ = ["network_of_config"]

_RESNETS = {
    ("basic", (2, 2, 2, 2)): "timm/resnet18",
    ("basic", (3, 4, 6, 3)): "timm/resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "timm/resnet101",
    ("bottleneck", (3, 8, 36, 3)): "timm/resnet152",
}
_CONVNEXTS = {
    ((3, 3, 27, 3), 96): "timm/convnext_small",
    ((3, 3, 27, 3), 128): "timm/convnext_base",
    ((3, 3, 27, 3), 192): "timm/convnext_large",
    ((3, 3, 27, 3), 256): "timm/convnext_xlarge",
}
_SWINS = {
    ((2, 2, 6, 2), (3, 6, 12, 24)): "timm/swin_tiny_patch4_window7_224",
    ((2, 2, 18, 2), (3, 6, 12, 24)): "timm/swin_small_patch4_window7_224",
    ((2, 2, 18, 2), (4, 8, 16, 32)): "timm/swin_base_patch4_window7_224",
    ((2, 2, 18, 2), (6, 12, 24, 48)): "timm/swin_large_patch4_window7_224",
}
_TOKENS = {
    "vit": "timm/vit_base_patch16_224",
    "deit": "timm/deit_base_distilled_patch16_224",
    "dinov2": "timm/vit_base_patch14_dinov2",
}
_ARCHITECTURES = {
    "ResNetForImageClassification": "resnet",
    "ConvNextForImageClassification": "convnext",
    "ViTForImageClassification": "vit",
    "DeiTForImageClassification": "deit",
    "SwinForImageClassification": "swin",
    "Dinov2ForImageClassification": "dinov2",
}
_EPSILONS = {"vit": 1e-12, "deit": 1e-12, "dinov2": 1e-6, "convnext": 1e-12}
"""Epsilon of the layer norms where a configuration does not state another."""


def network_of_config(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return backbone, options, pooling and head of a profile from a config.json.

    Raises:
        UsageError: for an architecture, or a form of it, that hilum does not have.
    """
    named = config.get("architectures")
    word = str(named[0]) if isinstance(named, list) and named else ""
    if word == "TimmWrapperForImageClassification" or (not word and config.get("architecture")):
        return _of_timm(config)
    model_type = _ARCHITECTURES.get(word)
    if model_type is None:
        raise UsageError(
            f"the architecture must be TimmWrapperForImageClassification, "
            f"{', '.join(_ARCHITECTURES)}; {folder / 'config.json'} has {word or 'none'}"
        )
    if config.get("hidden_act", "gelu") != ("relu" if model_type == "resnet" else "gelu"):
        raise _other(word, "hidden_act", config)
    build = {"resnet": _resnet, "convnext": _convnext, "swin": _swin}.get(model_type, _transformer)
    tree: dict[str, Any] = {
        "naming": f"transformers-{model_type}",
        "head": ["linear fc" if model_type == "resnet" else "linear classifier"],
        "unused": dict(TRANSFORMERS_UNUSED),
        **build(config, word, model_type),
    }
    if model_type in _EPSILONS:
        tree["epsilon"] = float(config.get("layer_norm_eps", _EPSILONS[model_type]))
    return tree


def _other(word: str, field: str, config: Mapping[str, Any]) -> UsageError:
    return UsageError(
        f"{word} is read in its published forms; {field} {config.get(field)} is none of them"
    )


def _of_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    given = config.get("model_args") or {}
    options = {k: v for k, v in given.items() if isinstance(v, int) and k != "in_chans"}
    odd = given.keys() - options.keys() - {"in_chans"}
    own = config.get("hilum")
    if isinstance(own, dict) and "backbone" in own:
        return {"head": own.get("head"), "backbone": own["backbone"]}
    if odd:
        raise UsageError(f"arguments of timm must be whole numbers; {min(odd)} is not")
    published = config.get("pretrained_cfg") or {}
    name = str(config.get("architecture"))
    ours = name if name in ("densenet121", "resnet50") else f"timm/{name}"
    tree: dict[str, Any] = {"backbone": ours, "options": options}
    if isinstance(published.get("classifier"), str):
        tree["head"] = [f"linear {published['classifier']}"]
    return tree


def _resnet(config: Mapping[str, Any], word: str, _: str) -> dict[str, Any]:
    depths = tuple(config.get("depths", (3, 4, 6, 3)))
    kind = str(config.get("layer_type", "bottleneck"))
    name = _RESNETS.get((kind, depths))
    if name is None:
        raise _other(word, "depths", config)
    if config.get("downsample_in_first_stage") or config.get("downsample_in_bottleneck"):
        raise _other(word, "downsample_in_bottleneck", config)
    sides = tuple(config.get("hidden_sizes", (256, 512, 1024, 2048)))
    first = 64 if kind == "basic" else 256
    if sides != (first, 2 * first, 4 * first, 8 * first) or config.get("embedding_size", 64) != 64:
        raise _other(word, "hidden_sizes", config)
    return {"backbone": name}


def _convnext(config: Mapping[str, Any], word: str, _: str) -> dict[str, Any]:
    depths = tuple(config.get("depths", (3, 3, 9, 3)))
    sides = tuple(config.get("hidden_sizes", (96, 192, 384, 768)))
    first = sides[0] if sides else 0
    if sides != (first, 2 * first, 4 * first, 8 * first):
        raise _other(word, "hidden_sizes", config)
    if depths == (3, 3, 9, 3):
        return {"backbone": "convnext_tiny", "options": {"width": first}}
    name = _CONVNEXTS.get((depths, first))
    if name is None:
        raise _other(word, "depths", config)
    return {"backbone": name}


def _swin(config: Mapping[str, Any], word: str, _: str) -> dict[str, Any]:
    key = (tuple(config.get("depths", ())), tuple(config.get("num_heads", ())))
    name = _SWINS.get(key)
    if name is None:
        raise _other(word, "depths", config)
    plain = {"patch_size": 4, "mlp_ratio": 4.0, "qkv_bias": True, "use_absolute_embeddings": False}
    for field, value in plain.items():
        if config.get(field, value) != value:
            raise _other(word, field, config)
    if abs(float(config.get("layer_norm_eps", 1e-5)) - 1e-5) > 1e-12:
        raise _other(word, "layer_norm_eps", config)
    options = {
        "img_size": int(config.get("image_size", 224)),
        "window_size": int(config.get("window_size", 7)),
        "embed_dim": int(config.get("embed_dim", 96)),
    }
    return {"backbone": name, "options": options}


def _transformer(config: Mapping[str, Any], word: str, model_type: str) -> dict[str, Any]:
    width = int(config.get("hidden_size", 768))
    ratio = config.get("mlp_ratio")
    if ratio is None or model_type != "dinov2":
        ratio = int(config.get("intermediate_size", 4 * width)) / width
    if float(ratio) != int(ratio):
        raise _other(word, "intermediate_size", config)
    if config.get("use_swiglu_ffn") or config.get("qkv_bias", True) is not True:
        raise _other(word, "use_swiglu_ffn" if config.get("use_swiglu_ffn") else "qkv_bias", config)
    options = {
        "img_size": int(config.get("image_size", 224)),
        "patch_size": int(config.get("patch_size", 14 if model_type == "dinov2" else 16)),
        "embed_dim": width,
        "depth": int(config.get("num_hidden_layers", 12)),
        "num_heads": int(config.get("num_attention_heads", 12)),
        "mlp_ratio": int(ratio),
    }
    pooling = "token+average" if model_type == "dinov2" else "token"
    return {"backbone": _TOKENS[model_type], "options": options, "pooling": pooling}
