"""The names of the Hugging Face library transformers, old and new, to those of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TRANSFORMERS_UNUSED", "timm_names_of_transformers"]

TRANSFORMERS_UNUSED: Mapping[str, str] = {
    "embeddings.mask_token": "a token of pre-training alone",
    "pooler": "a layer that the classifier does not read",
}
"""Tensors of such files that no classifier reads, with the reason."""

_TOP = re.compile(r"^(vit|deit|dinov2|swin|resnet|convnext)\.")
_BLOCKS = (
    (r"^embeddings\.patch_embeddings\.projection\.", r"patch_embed.proj."),
    (r"\.attention\.(?:attention\.|self\.)?(?:query|q_proj)\.", ".attn.q."),
    (r"\.attention\.(?:attention\.|self\.)?(?:key|k_proj)\.", ".attn.k."),
    (r"\.attention\.(?:attention\.|self\.)?(?:value|v_proj)\.", ".attn.v."),
    (r"\.attention\.(?:output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.attention\.(?:self\.|relative_position_bias\.)relative_position_", ".attn.relative_pos_"),
    (r"\.relative_pos_", ".relative_position_"),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"^layernorm\.", "norm."),
)
_TOKENS = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^(?:encoder\.layer|layers|encoder\.layers)\.(\d+)\.", r"blocks.\1."),
    *_BLOCKS,
)
_SWIN = (
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^encoder\.layers\.", "layers."),
    *_BLOCKS,
)
_RESNET = (
    (r"^embedder\.embedder\.convolution\.", "conv1."),
    (r"^embedder\.embedder\.normalization\.", "bn1."),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.normalization\.", ".downsample.1."),
    (r"^classifier\.1\.", "fc."),
)
_CONVNEXT = (
    (r"^embeddings\.patch_embeddings\.", "stem.0."),
    (r"^embeddings\.layernorm\.", "stem.1."),
    (r"^encoder\.", ""),
    (r"\.downsampling_layer\.", ".downsample."),
    (r"\.layers\.(\d+)\.", r".blocks.\1."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.layernorm\.", ".norm."),
    (r"\.pwconv([12])\.", r".mlp.fc\1."),
    (r"\.layer_scale_parameter$", ".gamma"),
    (r"^layernorm\.", "head.norm."),
)
_RULES = {
    "vit": _TOKENS,
    "deit": _TOKENS,
    "dinov2": _TOKENS,
    "swin": _SWIN,
    "resnet": _RESNET,
    "convnext": _CONVNEXT,
}
_PARTS = ("q", "k", "v")


def timm_names_of_transformers(
    tensors: Mapping[str, NDArray[Any]], model_type: str
) -> dict[str, NDArray[Any]]:
    """Return the tensors under timm's names; query, key and value become one, in this order.

    Args:
        tensors: as they stand in the file.
        model_type: vit, deit, dinov2, swin, resnet or convnext.

    >>> kernel = np.ones((4, 3, 7, 7), np.float32)
    >>> name = "resnet.embedder.embedder.convolution.weight"
    >>> list(timm_names_of_transformers({name: kernel}, "resnet"))
    ['conv1.weight']
    """
    named: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        short = _TOP.sub("", name)
        for pattern, instead in _RULES[model_type]:
            short = re.sub(pattern, instead, short)
        named[_numbered(short, model_type)] = tensor
    for name in [name for name in named if ".attn.q." in name]:
        parts = [name.replace(".attn.q.", f".attn.{part}.") for part in _PARTS]
        if all(part in named for part in parts):
            whole = np.concatenate([named.pop(part) for part in parts])
            named[name.replace(".attn.q.", ".attn.qkv.")] = whole
    return named


def _numbered(name: str, model_type: str) -> str:
    """Count stages and layers as timm does."""
    if model_type == "swin":
        # timm has a stage's reduction at the begin of the next stage
        found = re.match(r"layers\.(\d+)\.downsample\.", name)
        return f"layers.{int(found[1]) + 1}.{name[found.end() - 11 :]}" if found else name
    if model_type == "resnet":
        found = re.match(r"encoder\.stages\.(\d+)\.layers\.(\d+)\.(?:layer\.(\d+)\.)?", name)
        if found is None:
            return name
        rest = name[found.end() :]
        if found[3] is not None:
            number = int(found[3]) + 1
            rest = re.sub(r"^convolution\.", f"conv{number}.", rest)
            rest = re.sub(r"^normalization\.", f"bn{number}.", rest)
        return f"layer{int(found[1]) + 1}.{found[2]}.{rest}"
    return name
