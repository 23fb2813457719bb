"""The network in OpenVINO: what runs it in every install."""

from __future__ import annotations

import sys
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError, UsageError
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.runtime import SHARE, Answer, Precision

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest, Model

__all__ = ["OpenVino"]

_CONVERTERS = "openvino.tools.ovc"


class OpenVino:
    """One network, compiled once, with as many requests as can be in flight.

    A thread of the processor is a stream of its own that takes one film at a time. So no sum is
    split between threads, and a score does not depend on how many there are, to the last bit.
    Streams are not pinned to cores: OpenVINO counts cores from the first, so that two processes,
    or decoders beside this one, would share a few cores while others idle.

    Args:
        model: the `.onnx` file, with input `images` and outputs `logits` and `heatmaps`.
        preprocessing: it was trained with; gives the input's shape.
        precision: to compute in.
        threads: of the processor.

    Raises:
        ImportError: where there is no OpenVINO.
        BundleError: when the file is no such network, or has weights that are no numbers.
        UsageError: when the processor does not have the precision.
    """

    def __init__(
        self, model: Path, preprocessing: Preprocessing, precision: Precision, threads: int
    ) -> None:
        core, version = _core()
        compiled = _compiled(core, model, preprocessing, precision, threads)
        self.name = f"openvino {version} cpu"
        self.width = threads
        _, findings, height, width = (int(side) for side in compiled.output("heatmaps").shape)
        self.shape = (findings, height, width)
        if int(compiled.output("logits").shape[1]) != findings:
            raise BundleError(f"{model} must have one heatmap for each logit")
        self._has_share = any(SHARE in output.get_names() for output in compiled.outputs)
        # A film has a request to itself. Callbacks would run Python in OpenVINO's threads, which
        # can deadlock with the interpreter when the engine is freed.
        self._free: SimpleQueue[InferRequest] = SimpleQueue()
        for _ in range(threads):
            self._free.put(compiled.create_infer_request())

    def ask(self, images: NDArray[np.float32]) -> Answer:
        """Run the network on (1, C, S, S), as soon as a request is free; waits without the GIL."""
        request = self._free.get()
        try:
            request.get_tensor("images").data[...] = images
            request.infer(share_outputs=True)
            return Answer(
                request.get_tensor("logits").data[0].copy(),
                request.get_tensor("heatmaps").data[0].copy(),
                request.get_tensor(SHARE).data[0].copy() if self._has_share else None,
            )
        finally:
            self._free.put(request)


def _core() -> tuple[Core, str]:
    """OpenVINO, and its version; without its converters of models, which we never use.

    Importing them takes as long as all the rest, and loads code that reports over the network.
    OpenVINO does without them where they cannot be imported.
    """
    absent = "openvino" not in sys.modules and _CONVERTERS not in sys.modules
    if absent:
        sys.modules[_CONVERTERS] = None  # pyright: ignore[reportArgumentType]
    try:
        import openvino
    finally:
        if absent:
            del sys.modules[_CONVERTERS]
    return openvino.Core(), openvino.__version__.split("-")[0]


def _compiled(
    core: Core, model: Path, preprocessing: Preprocessing, precision: Precision, threads: int
) -> CompiledModel:
    if precision.floats is Precision.BF16 and "BF16" not in core.get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    ):
        other = Precision.INT8 if precision.quantized else Precision.F32
        raise UsageError(
            f"precision {precision} needs a processor that computes in bf16; use {other} here"
        )
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
    _refuse_nonfinite(graph, model)
    return core.compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision.floats.value,
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        },
    )


def _refuse_nonfinite(graph: Model, model: Path) -> None:
    """A ReLU hides a NaN in the weights before it, so the weights are looked at themselves."""
    for node in graph.get_ops():
        if node.get_type_name() == "Constant" and not np.isfinite(node.data).all():
            raise BundleError(
                f"weights must be finite; {model} has NaN or infinity in "
                f"{node.get_friendly_name()}. Train again, or export an earlier checkpoint"
            )
