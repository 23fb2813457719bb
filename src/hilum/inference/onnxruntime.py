"""The network in ONNX Runtime: for where OpenVINO is not, and for a CUDA device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.unreported import refuse_onnxruntime_telemetry
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.runtime import SHARE, Answer, Precision

__all__ = ["OnnxRuntime"]

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
# Full float32 (TF32 has 10 bits of it), and no trial of algorithms, which may end another way in
# another process and with it the last bits of a score.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}


class OnnxRuntime:
    """One network in float32 or int8, on a CUDA device where there is one, else on a processor.

    A film is computed by the thread that asks, alone, so that a score does not depend on how many
    threads there are.

    Args:
        model: the `.onnx` file, with input `images` and outputs `logits` and `heatmaps`.
        preprocessing: it was trained with; gives the input's shape.
        precision: f32, or int8 of a quantized network.
        threads: how many films at once.

    Raises:
        ImportError: where there is no ONNX Runtime.
        BundleError: when the file is no such network.
        UsageError: for another precision.
    """

    def __init__(
        self, model: Path, preprocessing: Preprocessing, precision: Precision, threads: int
    ) -> None:
        refuse_onnxruntime_telemetry()
        import onnxruntime

        if precision.floats is not Precision.F32:
            other = Precision.INT8 if precision.quantized else Precision.F32
            raise UsageError(
                f"onnxruntime computes in f32; got {precision}. Use precision {other}, "
                "or install openvino"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        found = onnxruntime.get_available_providers()
        providers = [(_CUDA, _CUDA_OPTIONS)] if _CUDA in found else []
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=[*providers, (_CPU, {})]
            )
            given = [output.name for output in self._session.get_outputs()]
            self._names = ["logits", "heatmaps", *([SHARE] if SHARE in given else [])]
            side = preprocessing.size
            answer = self.ask(np.zeros((1, preprocessing.channels, side, side), np.float32))
        except Exception as error:  # its errors have no common class
            reason = str(error).strip().splitlines()[-1]
            raise BundleError(f"{model} must be a network hilum exported: {reason}") from None
        findings, height, width = answer.heatmaps.shape
        if answer.logits.shape != (findings,):
            raise BundleError(f"{model} must have one heatmap for each logit")
        device = "cuda" if _CUDA in self._session.get_providers() else "cpu"
        self.name = f"onnxruntime {onnxruntime.__version__} {device}"
        self.width = threads
        self.shape = (findings, height, width)

    def ask(self, images: NDArray[np.float32]) -> Answer:
        """Run the network on (1, C, S, S), in the thread that asks and without the GIL."""
        found = self._session.run(self._names, {"images": images})
        return Answer(*(np.asarray(one, np.float32)[0] for one in found))
