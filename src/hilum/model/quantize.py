"""Convolutions in 8 bits: a second form of an exported network, by ONNX Runtime's quantizer."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hilum.domain.errors import BundleError
from hilum.domain.unreported import refuse_onnxruntime_telemetry
from hilum.model.graph import drop_zero_biases, let_lists_grow, store_wide

__all__ = ["write_quantized"]


def write_quantized(network: Path, images: NDArray[np.float32], out: Path) -> int:
    """Write the network with its convolutions in 8 bits; return their number.

    Static quantization: kernels become signed 8-bit numbers with a scale for each channel, and what
    comes into a convolution becomes unsigned 8-bit numbers between the smallest and largest value
    that some films give there. The graph holds them as QuantizeLinear and DequantizeLinear, which a
    runtime turns into arithmetic with whole numbers. The first convolution stays as it is, since it
    sees the film itself and costs little, and so do the head and the heatmaps. No label is used.

    Args:
        network: the `.onnx` file that `hilum.model.export` wrote.
        images: (N, C, S, S) normalized, of films outside the test split.
        out: the file to write.

    Raises:
        BundleError: for a network without a convolution behind the first.
    """
    model = onnx.load(network)
    store_wide(model)
    let_lists_grow(model)
    drop_zero_biases(model)
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"][1:]
    if not convolutions:
        raise BundleError(
            f"a network in 8 bits must have convolutions behind its first; {network} has none. "
            "Ask for f32 or bf16"
        )
    with tempfile.TemporaryDirectory() as folder:
        wide, narrow = Path(folder) / "wide.onnx", Path(folder) / "quantized.onnx"
        onnx.save(model, wide)
        _quantize(wide, images, convolutions, narrow)
        quantized = onnx.load(narrow)
    out.write_bytes(quantized.SerializeToString(deterministic=True))
    return len(convolutions)


def _quantize(wide: Path, images: NDArray[np.float32], convolutions: list[str], out: Path) -> None:
    refuse_onnxruntime_telemetry()
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Films(CalibrationDataReader):
        """One film after the other."""

        left = iter(images)

        def get_next(self) -> dict[str, Any] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
            image = next(self.left, None)
            return None if image is None else {"images": image[None]}

    # it would warn that batch norms are not folded, which a runtime does when it loads them
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        quantize_static(
            wide,
            out,
            Films(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=convolutions,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "QuantizeBias": False,
            },
        )
    finally:
        logging.root.setLevel(level)
