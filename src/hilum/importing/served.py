"""The network of an import as it is served: one graph, from tensors or from a graph of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError
from hilum.importing.profile import ONNX, Profile
from hilum.importing.reading import read_confined, read_graph_confined
from hilum.runs.facts import Design

__all__ = ["Served", "write_network"]

_SAME = 1e-4
"""Largest difference of the logits, relative to their range, that a new tail may make."""


@dataclass(frozen=True)
class Served:
    """What became of a file on the way to the graph that is served.

    Attributes:
        format: of the file.
        parity: largest difference of the served graph from what was read, by output.
        notes: signs of no training, and what its maps are not.
        used: names in the file to names in the network.
        left: names in the file to the reason why they are not used.
        design: its parts by name; None for a graph.
    """

    format: str
    parity: Mapping[str, float]
    notes: tuple[str, ...]
    used: Mapping[str, str]
    left: Mapping[str, str] = field(default_factory=dict[str, str])
    design: Design | None = None


def write_network(source: Path, profile: Profile, out: Path, rasters: NDArray[Any]) -> Served:
    """Read a file in a confined process, and write the graph that serves.

    Args:
        source: file of tensors, or an ONNX graph where the profile's backbone is `onnx`.
        profile: what the file does not say.
        out: the `.onnx` file to write.
        rasters: (B, S, S) drawn films to compare on, as the preprocessing has them.

    Raises:
        BundleError: for a file that cannot be read, or does not fit the profile.
    """
    images = profile.input.normalize(rasters)
    if profile.backbone == ONNX:
        return _from_graph(source, profile, out, images)
    return _from_tensors(source, profile, out, images)


def _from_tensors(source: Path, profile: Profile, out: Path, images: Any) -> Served:
    from hilum.importing.network import build_network
    from hilum.model.export import export_explained

    file = read_confined(source)
    built = build_network(file, profile, source.name)
    shares = _shares(built.network, images)
    parity = export_explained(built.network, out, profile.input.size, profile.input.channels)
    gaps = {"logits": parity.logits, "heatmaps": parity.heatmaps}
    notes = (*built.signs, *shares)
    return Served(file.format, gaps, notes, built.used, built.left, built.design)


def _shares(network: Any, images: Any) -> tuple[str, ...]:
    """Say how much of the logits the class token decided, beside which maps are of the patches."""
    import torch

    from hilum.model.tokens import TokenNetwork

    if not isinstance(network, TokenNetwork) or network.pooling == "token":
        return ()
    with torch.no_grad():
        _, _, share = network(torch.from_numpy(images))
    return (
        "heatmaps show the half of each logit that patches decide; the class token decided "
        f"{share.mean():.0%} of the logits of the drawn films (of one finding {share.min():.0%} to "
        f"{share.max():.0%}); results and reports have the share of each film and finding",
    )


def _from_graph(source: Path, profile: Profile, out: Path, images: Any) -> Served:
    import onnx

    from hilum.importing.onnx_tail import OWN, with_tail

    data = read_graph_confined(source)
    tailed = with_tail(onnx.load_model_from_string(data), profile, source.name)
    model = tailed.model
    data = model.SerializeToString(deterministic=True)
    out.write_bytes(data)
    got = _answers(data, "logits", images, source.name)
    own = _answers(tailed.original, tailed.logits, images, source.name)
    gap = _gap(got, own, profile, source.name)
    used = {tensor.name.removeprefix(OWN): tensor.name for tensor in model.graph.initializer}
    return Served("onnx", {"logits": gap}, tailed.notes, used)


def _answers(graph: bytes, name: str, images: Any, where: str) -> Any:
    """Return one output of a graph for each image."""
    import openvino

    core = openvino.Core()
    try:
        model = core.read_model(graph)
        model.reshape({"images": [1, *images.shape[1:]]})
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.concatenate([np.array(compiled({"images": one[None]})[name]) for one in images])
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise BundleError(f"{where} must be a graph that can be computed here; {reason}") from None


def _gap(got: Any, own: Any, profile: Profile, where: str) -> float:
    """Return how far the new tail's logits are from those of the graph itself."""
    rows = list(profile.trained)
    want = own[:, rows] - (own[:, [1 - rows[0]]] if profile.output == "softmax" else 0.0)
    gap = float(np.abs(got - want).max())
    if not gap <= _SAME * max(1.0, float(np.ptp(want))):
        raise BundleError(f"{where}: its logits must stay as they are; a new tail moved them")
    return gap
