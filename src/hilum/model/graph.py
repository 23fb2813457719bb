"""What is done to an ONNX graph so that a runtime has less to do, and its answers stay."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

__all__ = ["drop_zero_biases", "let_lists_grow", "store_wide"]


def let_lists_grow(model: onnx.ModelProto) -> None:
    """Let maps be concatenated to what was concatenated before, where that is how a list began.

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
        bias = node.input[2] if node.op_type == "Conv" and len(node.input) == 3 else "."
        if "." not in bias and bias in held and not numpy_helper.to_array(held[bias]).any():
            del node.input[2]
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for name, tensor in held.items() if name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def store_wide(model: onnx.ModelProto) -> None:
    """Store as float32 what `hilum.model.half.store_half` stored as float16: the same numbers."""
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
