"""The exported network, running: rasters in, logits and heatmaps out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.scores import Logits
from hilum.imaging.preprocess import Preprocessing

if TYPE_CHECKING:
    from openvino import CompiledModel

__all__ = ["Engine", "Output", "Precision"]


class Precision(StrEnum):
    """The type the network computes in; chosen, never left to the machine, and written down."""

    F32 = "f32"
    """The same numbers on every machine, to about 1e-5."""
    BF16 = "bf16"
    """About four times as fast where the processor computes in it; scores move a little."""


@dataclass(frozen=True, eq=False)
class Output:
    """What the network said of N films.

    Attributes:
        logits: (N, L).
        heatmaps: (N, L, h, w) float32, >= 0: exact Grad-CAM over the network's square.
    """

    logits: Logits
    heatmaps: NDArray[np.float32]


class Engine:
    """One exported network, compiled once.

    Every film is a request of its own, a few of them in flight, so that a score does not depend on
    the films beside it.

    Args:
        model: the `.onnx` file, with input `images` and outputs `logits` and `heatmaps`.
        preprocessing: that it was trained with.
        labels: the findings of its outputs, in order.
        precision: to compute in.
        threads: of the processor.

    Raises:
        BundleError: when the file is no such network.
        UsageError: when the processor does not have the precision.
    """

    def __init__(
        self,
        model: Path,
        preprocessing: Preprocessing,
        labels: LabelSet,
        precision: Precision = Precision.F32,
        threads: int = 2,
    ) -> None:
        self.preprocessing = preprocessing
        self.labels = labels
        self.precision = precision
        self._compiled = _compile(model, preprocessing, precision, threads)
        found = int(self._compiled.output("logits").shape[1])
        if found != len(labels):
            raise BundleError(
                f"{model} must have one output for each of the {len(labels)} findings of "
                f"{labels.name}; it has {found}"
            )

    def run(
        self, rasters: NDArray[np.uint8], advance: Callable[[int, int], None] | None = None
    ) -> Output:
        """Score films.

        Args:
            rasters: (N, S, S) uint8 from `preprocessing.raster`.
            advance: called with (done, total).
        """
        total = len(rasters)
        height, width = (int(side) for side in self._compiled.output("heatmaps").shape[2:])
        logits = np.empty((total, len(self.labels)), np.float32)
        heatmaps = np.empty((total, len(self.labels), height, width), np.float32)
        # A ring of requests, collected in order by this thread. Callbacks would run Python in
        # OpenVINO's threads, which can deadlock with the interpreter when the engine is freed.
        depth = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        ring = [self._compiled.create_infer_request() for _ in range(min(depth, total))]
        for row in range(total + len(ring)):
            request = ring[row % len(ring)]
            done = row - len(ring)
            if done >= 0:
                request.wait()
                logits[done] = request.get_tensor("logits").data[0]
                heatmaps[done] = request.get_tensor("heatmaps").data[0]
                if advance is not None:
                    advance(done + 1, total)
            if row < total:
                images = self.preprocessing.normalise(rasters[row : row + 1])
                request.start_async({"images": images}, share_inputs=False)
        return Output(Logits(logits.astype(np.float64), self.labels), heatmaps)


def _compile(
    model: Path, preprocessing: Preprocessing, precision: Precision, threads: int
) -> CompiledModel:
    import openvino

    core = openvino.Core()
    if precision is Precision.BF16 and "BF16" not in core.get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    ):
        raise UsageError("precision bf16 needs a processor that computes in it; use f32 here")
    try:
        graph = core.read_model(model)
        side = preprocessing.size
        graph.reshape({"images": [1, preprocessing.channels, side, side]})
        names = {name for output in graph.outputs for name in output.get_names()}
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise BundleError(f"{model} must be a network hilum exported: {reason}") from None
    if not {"logits", "heatmaps"} <= names:
        raise BundleError(f"{model} must have the outputs logits and heatmaps; it has {names}")
    return core.compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision.value,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": threads,
        },
    )
