"""The network as ONNX, with its heatmaps inside, and the proof that nothing changed on the way."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hilum.domain.errors import BundleError
from hilum.model.classifier import Classifier, ExplainedClassifier

__all__ = ["Parity", "export_onnx"]

TOLERANCE = 1e-3
"""Largest difference allowed between torch and the exported graph, relative to the output's range
(at least 1). float32 rounding over 121 layers stays well below it."""


@dataclass(frozen=True)
class Parity:
    """Largest absolute difference between torch and the exported graph, both in float32."""

    logits: float
    heatmaps: float


def export_onnx(network: Classifier, path: Path, size: int, channels: int) -> Parity:
    """Write `path` with input `images` and outputs `logits` and `heatmaps`; check it with OpenVINO.

    Args:
        network: trained; exported in eval mode and float32, on the CPU.
        path: the `.onnx` file.
        size: side of the square images, pixels.
        channels: of the images.

    Returns:
        The parity measured on seeded random images.

    Raises:
        BundleError: when the exported graph does not give what torch gives.
    """
    explained = ExplainedClassifier(network.float().cpu().eval())
    example = torch.from_numpy(
        np.random.default_rng(0).normal(size=(2, channels, size, size)).astype(np.float32)
    )
    batch = torch.export.Dim("batch", min=1, max=4096)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            explained,
            (example,),
            input_names=["images"],
            output_names=["logits", "heatmaps"],
            dynamic_shapes=({0: batch},),
            dynamo=True,
            verbose=False,
        )
        if program is None:
            raise BundleError(f"the exporter made no graph for {path}")
        program.save(path, external_data=False)
        expected = [tensor.numpy() for tensor in explained(example)]
    return _parity(path, example.numpy(), expected)


def _parity(path: Path, images: np.ndarray, expected: list[np.ndarray]) -> Parity:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = compiled({"images": images})
    gaps: list[float] = []
    for name, want in zip(("logits", "heatmaps"), expected, strict=True):
        gap = float(np.abs(got[name] - want).max())
        if not gap <= TOLERANCE * max(1.0, float(np.abs(want).max())):
            raise BundleError(f"exported {name} must equal torch's; they differ by {gap:g}")
        gaps.append(gap)
    return Parity(*gaps)
