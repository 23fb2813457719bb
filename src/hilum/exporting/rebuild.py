"""The torch network of a bundle again, from the tensors of its graph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from hilum.bundle.bundle import Bundle
from hilum.domain.errors import BundleError, UsageError
from hilum.model.tail import Affine, assembled, features_for, head_width, set_epsilon
from hilum.model.weights import COUNTER
from hilum.runs.facts import Design

__all__ = ["design_of", "rebuilt", "stored_tensors"]

_HALF = ".half"
_WORDS = re.compile(
    r"(?P<backbone>[^\s,]+) ?(?:\((?P<options>[\w ,]+)\))?, global average pooling, linear head"
)


def stored_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of an exported graph under the names that they had in torch.

    Tensors that were stored as float16 are widened to float32: the same numbers.
    """
    model = onnx.load(path, load_external_data=False)
    found: dict[str, NDArray[Any]] = {}
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name.endswith(_HALF):
            values = values.astype(np.float32)
        found[tensor.name.removesuffix(_HALF)] = values
    return found


def design_of(bundle: Bundle, named: str = "") -> Design:
    """Return the parts of a bundle's network.

    Args:
        bundle: any.
        named: backbone to take where the bundle does not say it; empty for none.

    Raises:
        UsageError: when it is not known.
    """
    network = bundle.manifest.facts.network
    if network.design is not None:
        return network.design
    if named:
        return Design(backbone=named)
    found = _WORDS.fullmatch(network.architecture)
    if found is None:
        raise UsageError(
            f"a torch network can be made of a bundle that says its backbone; {bundle.root} does "
            "not. Name it with --backbone, or export to onnx or openvino"
        )
    pairs = [pair.split() for pair in (found["options"] or "").split(", ") if pair]
    return Design(backbone=found["backbone"], options={k: int(v) for k, v in pairs})


def rebuilt(bundle: Bundle, design: Design) -> nn.Module:
    """Return the network that gives logits and heatmaps, in eval mode, with the bundle's tensors.

    Raises:
        BundleError: when the graph does not have a tensor of the network, or of another shape.
    """
    tensors = stored_tensors(bundle.root / "model.onnx")
    channels = bundle.manifest.preprocessing.channels
    features = features_for(design.backbone, design.pooling, channels, design.options)
    if design.epsilon is not None:
        set_epsilon(features, design.epsilon)
    width = head_width(features, design.pooling)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        if design.steps == ("linear",):
            steps: tuple[nn.Module, ...] = (nn.Linear(width, len(bundle.labels)),)
        else:
            steps = _steps(design, width, tensors)
        network = assembled(features, design.pooling, steps, bundle.labels)
    with torch.no_grad():
        for name, own in network.state_dict().items():
            if name.endswith(COUNTER):
                continue
            stored = tensors.get(name)
            if stored is None or stored.shape != tuple(own.shape):
                shape = "none" if stored is None else stored.shape
                raise BundleError(
                    f"the graph must hold tensor {name} as {tuple(own.shape)}; it has {shape}. It "
                    f"is not a {design.backbone}, or was exported before hilum kept all names: "
                    "make the run's network again"
                )
            own.copy_(torch.from_numpy(np.array(stored, np.float32)))
    return network.eval()


def _steps(design: Design, width: int, tensors: dict[str, NDArray[Any]]) -> tuple[nn.Module, ...]:
    """Return the layers of the head, empty, in the shapes that the graph has."""
    steps: list[nn.Module] = []
    for number, kind in enumerate(design.steps):
        if kind == "relu":
            steps.append(nn.ReLU())
        elif kind == "norm":
            shape = tensors.get(f"steps.{number}.scale", np.empty(width)).shape
            steps.append(Affine(torch.ones(shape), torch.zeros(shape)))
        else:
            rows = tensors.get(f"steps.{number}.weight", np.empty((1, width))).shape[0]
            steps.append(nn.Linear(width, rows))
            width = rows
    return tuple(steps)
