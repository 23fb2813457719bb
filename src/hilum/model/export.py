"""The network as ONNX, with its heatmaps inside, and the proof that nothing changed on the way."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from hilum.domain.errors import BundleError
from hilum.model.classifier import Classifier, ExplainedClassifier
from hilum.model.graph import drop_zero_biases, let_lists_grow, store_half

__all__ = ["Parity", "export_explained", "export_onnx", "pool_first", "rounded_to_half"]

OUTPUTS = ("logits", "heatmaps", "token_share")
"""Outputs of the graph; the last only of a network with a class token beside its patches."""
TOLERANCE = 1e-3
"""Largest difference allowed between torch and the exported graph, relative to the output's range:
of logits at least 1, of heatmaps their peak, which is far below 1. float32 rounding over 121 layers
stays well below it."""


@dataclass(frozen=True)
class Parity:
    """Largest absolute difference between torch and the exported graph, both in float32."""

    logits: float
    heatmaps: float


def export_onnx(
    network: Classifier, path: Path, size: int, channels: int, half: bool = False
) -> Parity:
    """Write `path` with input `images` and outputs `logits` and `heatmaps`; check it with OpenVINO.

    The weights in the file are those of the network, bit for bit: no batch norm is folded into a
    kernel, which a runtime does better for itself. Only where a 1 x 1 convolution is averaged over
    afterwards, as in DenseNet's transitions, the two change places: both are linear, so nothing
    but rounding changes, and the convolution has a quarter of the pixels to do. The same weights
    give the same bytes.

    Args:
        network: trained; exported in eval mode and float32, and left as it is.
        path: the `.onnx` file.
        size: side of the square images, pixels.
        channels: of the images.
        half: round kernels and matrices to float16 and store them so, in a file about half as
            large. The graph still computes in float32.

    Returns:
        The parity measured on seeded random images; with `half`, against the rounded network.

    Raises:
        BundleError: when the exported graph does not give what torch gives.
    """
    plain = rounded_to_half(network) if half else copy.deepcopy(network)
    return export_explained(ExplainedClassifier(plain), path, size, channels, half)


def export_explained(
    network: nn.Module, path: Path, size: int, channels: int, half: bool = False
) -> Parity:
    """Write a network that gives logits and heatmaps as `export_onnx` does.

    Args:
        network: images to logits (B, L), heatmaps (B, L, h, w) and, where it has a class token
            beside its patches, the token's share of each logit (B, L); changed by this.
        path: the `.onnx` file.
        size: side of the square images, pixels.
        channels: of the images.
        half: store kernels and matrices as float16, to which they must have been rounded.

    Raises:
        BundleError: when the exported graph does not give what torch gives.
    """
    explained = network.float().cpu().eval()
    example = torch.from_numpy(
        np.random.default_rng(0).normal(size=(2, channels, size, size)).astype(np.float32)
    )
    with torch.no_grad():
        expected = [tensor.numpy() for tensor in explained(example)]
    pool_first(explained)
    names = OUTPUTS[: len(expected)]
    model = _graph(explained, example, names)
    if half:
        store_half(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return _parity(path, example.numpy(), expected)


def pool_first(network: nn.Module) -> None:
    """Move average pooling before the 1 x 1 convolution that it follows, at a block's end."""
    for block in network.modules():
        ends = list(block.named_children())[-2:] if isinstance(block, nn.Sequential) else []
        if len(ends) < 2:
            continue
        (name, mixing), (_, pooling) = ends
        if _mixes_channels(mixing) and isinstance(pooling, nn.AvgPool2d) and pooling.padding == 0:
            delattr(block, name)  # and added again it comes last
            block.add_module(name, mixing)


def _mixes_channels(module: nn.Module) -> bool:
    """Return whether a module mixes channels only: 1 x 1, without stride, padding or groups."""
    return isinstance(module, nn.Conv2d) and (
        module.kernel_size == (1, 1)
        and module.stride == (1, 1)
        and module.padding == (0, 0)
        and module.groups == 1
    )


def _graph(explained: nn.Module, example: Tensor, names: tuple[str, ...]) -> onnx.ModelProto:
    """Return the graph for any number of images of the example's size, its outputs by name."""
    from onnxscript import optimizer

    batch = torch.export.Dim("batch", min=1, max=4096)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            explained,
            (example,),
            input_names=["images"],
            output_names=list(names),
            dynamic_shapes=({0: batch},),
            dynamo=True,
            verbose=False,
            optimize=False,
        )
        if program is None:
            raise BundleError("the exporter made no graph of the network")
        optimizer.fold_constants(program.model, should_fold=_unless_weight)
        optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    let_lists_grow(model)
    drop_zero_biases(model)
    _forget_origin(model)
    return model


def _unless_weight(node: Any) -> bool | None:
    """Keep every weight under its name, so that it can be found again; a runtime folds it anyway.

    A weight has a dotted name in the graph. Folded into a transposed copy, it would have a number.
    """
    inputs = [value for value in node.inputs if value is not None]
    return False if any(v.is_initializer() and "." in (v.name or "") for v in inputs) else None


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: they contain local paths, and fill most of a small file."""
    graph = model.graph
    parts: Iterable[object] = (
        *(model, graph, *graph.node, *graph.value_info, *graph.initializer),
        *(*graph.input, *graph.output),
    )
    for part in parts:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _parity(path: Path, images: np.ndarray, expected: list[np.ndarray]) -> Parity:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = compiled({"images": images})
    gaps: list[float] = []
    for name, want in zip(OUTPUTS[: len(expected)], expected, strict=True):
        gap = float(np.abs(got[name] - want).max())
        peak = float(np.abs(want).max())
        span = max(1e-6, peak) if name == "heatmaps" else max(1.0, peak)
        if not gap <= TOLERANCE * span:
            raise BundleError(
                f"exported {name} must equal torch's to {TOLERANCE * span:g}; "
                f"they differ by {gap:g}"
            )
        gaps.append(gap)
    return Parity(*gaps[:2])


def rounded_to_half(network: Classifier) -> Classifier:
    """Return a copy whose kernels and matrices contain only values that float16 represents.

    They make up nearly all of a network. Biases, norms and statistics stay as they are: they are
    few, and a variance can be too small for float16.

    Raises:
        BundleError: for weights beyond 65504, float16's largest number.
    """
    copied = copy.deepcopy(network)
    for name, parameter in copied.named_parameters():
        if parameter.ndim < 2:
            continue
        weights = parameter.data
        half = weights.half()
        if not torch.isfinite(half).all():
            largest = float(weights.abs().max())
            raise BundleError(
                f"weights must be within 65504 to be stored as float16; {name} reaches {largest:g}"
            )
        parameter.data = half.to(weights.dtype)
    return copied
