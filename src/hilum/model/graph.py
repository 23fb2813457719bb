"""Rewrites of an ONNX graph: fewer operations, fewer bytes, and its convolutions in 8 bits.

The first two keep the outputs; the third makes a second form of the network.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hilum.domain.errors import BundleError
from hilum.domain.unreported import refuse_onnxruntime_telemetry

__all__ = ["drop_zero_biases", "let_lists_grow", "store_half", "store_wide", "write_quantized"]


def let_lists_grow(model: onnx.ModelProto) -> None:
    """Concatenate new maps to an existing concatenation where one is a prefix of the list.

    A dense block concatenates all its maps anew before each layer, an input a layer. To the list
    before it each layer adds one. The values are the same bits; what changes is that a list has
    two readers, the layer and the next list, and that a runtime has less to keep apart.
    """
    known: dict[tuple[str, ...], str] = {}
    for node in model.graph.node:
        if node.op_type != "Concat":
            continue
        axis = str(node.attribute[0].i)
        maps = list(node.input)
        known[(axis, *maps)] = node.output[0]
        begun = (end for end in range(len(maps) - 1, 1, -1) if (axis, *maps[:end]) in known)
        end = next(begun, None)
        if end is not None:
            del node.input[:]
            node.input.extend([known[(axis, *maps[:end])], *maps[end:]])


def drop_zero_biases(model: onnx.ModelProto) -> None:
    """Drop the biases of zeros that the exporter gives to convolutions that have none.

    A runtime makes eight operations of each when it reads the graph, and takes a sixth longer to
    load it. A bias of the network's own has a dotted name, and stays whatever it holds.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Conv" or len(node.input) < 3:
            continue
        bias = held.get(node.input[2])
        if bias is not None and "." not in bias.name and not numpy_helper.to_array(bias).any():
            del node.input[2]
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for name, tensor in held.items() if name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def store_half(model: onnx.ModelProto) -> None:
    """Store as float16 what loses nothing by it, each behind a Cast, so that nodes see float32.

    A runtime undoes the casts once, when it loads the graph. Vectors and scalars stay float32.
    """
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])


def store_wide(model: onnx.ModelProto) -> None:
    """Store as float32 what `store_half` stored as float16: the same numbers."""
    narrow = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        tensor = narrow.get(node.input[0]) if node.op_type == "Cast" else None
        if tensor is None:
            nodes.append(node)
        else:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


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
