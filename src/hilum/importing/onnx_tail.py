"""The end of a foreign ONNX graph, made ours: logits of the findings, and their exact maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from hilum.domain.errors import BundleError
from hilum.importing.profile import FROM_FILE, Profile

__all__ = ["OWN", "Tailed", "with_tail"]

_THROUGH = frozenset({"Identity", "Cast", "Dropout"})
_FLAT = frozenset({"Flatten", "Reshape", "Squeeze", "Identity", "Dropout"})
_BOUNDED = ("Sigmoid", "Softmax")


@dataclass(frozen=True)
class Tailed:
    """A graph with hilum's input and outputs.

    Attributes:
        model: from `images` to `logits` and `heatmaps`.
        original: the graph with its own end, as bytes, for a comparison.
        logits: name of all logits in there.
        notes: why there are no maps; empty where there are.
    """

    model: onnx.ModelProto
    original: bytes
    logits: str
    notes: tuple[str, ...]


@dataclass
class _Graph:
    """A graph by the names of its tensors."""

    model: onnx.ModelProto
    where: str
    made_by: dict[str, Any] = field(default_factory=dict[str, Any])
    held: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for node in self.model.graph.node:
            self.made_by.update(dict.fromkeys(node.output, node))
            if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                self.held[node.output[0]] = node.attribute[0].t
        self.held |= {tensor.name: tensor for tensor in self.model.graph.initializer}

    def array(self, name: str) -> NDArray[Any] | None:
        tensor = self.held.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def back(self, name: str, kinds: frozenset[str]) -> str:
        """Return the tensor from which one is made by operators of these kinds alone."""
        while (node := self.made_by.get(name)) is not None and node.op_type in kinds:
            name = node.input[0]
        return name


@dataclass(frozen=True)
class _Linear:
    """A linear layer at the end: `logits = W x + b`, from a pooled map where it is one."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    features: str
    map_name: str
    cells: int


def with_tail(model: onnx.ModelProto, profile: Profile, where: str) -> Tailed:
    """Give a graph the input `images`, and the outputs `logits` and `heatmaps`.

    A sigmoid or softmax at its end is left out: logits are read before it. Where it ends in
    average pooling and a linear layer, Grad-CAM at the pooled map A of N cells is exact,
    `cam_c = relu(sum_k W[c,k] A_k / N)`; otherwise maps are empty, and a note says so.

    Args:
        model: as `read_onnx` checked it; changed by this.
        profile: its head names the output where there are several.
        where: the file, for messages.

    Raises:
        BundleError: for a graph with other inputs or outputs than one classifier of images.
    """
    _prefix(model)
    graph = _Graph(model, where)
    given = _input(graph, profile)
    _fix_shape(given, profile)
    logits, bounded = _logits(graph, profile)
    if bounded is not None and bounded != profile.output:
        raise BundleError(
            f"profile and file must agree on the output; {where} ends in a {bounded}, profile "
            f"{profile.name} has {profile.output}. Add --set output={bounded}"
        )
    linear = _linear(graph, logits)
    rename = helper.make_node("Identity", ["images"], [given.name])
    given.name = "images"
    graph.made_by[rename.output[0]] = rename
    nodes: list[onnx.NodeProto] = [rename, *model.graph.node]
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.output.append(onnx.ValueInfoProto(name=logits))
    original = model.SerializeToString()
    if linear is None:
        added, notes = _without_map(graph, logits, profile)
    else:
        added, notes = _with_map(graph, linear, profile)
    model.graph.node.extend(added)
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in ("logits", "heatmaps")
    )
    _prune(model)
    return Tailed(model, original, logits, notes)


OWN = "net/"
"""Start of all names of the foreign graph, so that none is one of ours."""


def _prefix(model: onnx.ModelProto) -> None:
    """Give every tensor of the graph a name that begins with `net/`."""
    graph = model.graph
    for node in graph.node:
        for names in (node.input, node.output):
            renamed = [f"{OWN}{name}" if name else "" for name in names]
            del names[:]
            names.extend(renamed)
    for parts in (graph.input, graph.output, graph.initializer, graph.value_info):
        for part in parts:
            part.name = f"{OWN}{part.name}"


def _fix_shape(given: Any, profile: Profile) -> None:
    """State the input's channels and sides, from which those of the maps are inferred."""
    shape = given.type.tensor_type.shape
    del shape.dim[:]
    for number in (None, profile.input.channels, profile.input.size, profile.input.size):
        side = shape.dim.add()
        if number is None:
            side.dim_param = "batch"
        else:
            side.dim_value = number


def _input(graph: _Graph, profile: Profile) -> Any:
    """Return the one input that is no stored tensor, once it fits the profile."""
    found = [one for one in graph.model.graph.input if one.name not in graph.held]
    if len(found) != 1:
        raise BundleError(
            f"{graph.where} must have one input, the images; it has "
            f"{', '.join(one.name[len(OWN) : 40] for one in found) or 'none'}"
        )
    kind = found[0].type.tensor_type
    sides = [side.dim_value or None for side in kind.shape.dim]
    want = (profile.input.channels, profile.input.size, profile.input.size)
    fits = len(sides) == 4 and all(s in (None, w) for s, w in zip(sides[1:], want, strict=True))
    if not fits or kind.elem_type != onnx.TensorProto.FLOAT:
        raise BundleError(
            f"the images of {graph.where} must be float32 (B, {', '.join(map(str, want))}) by "
            f"profile {profile.name}; the graph takes {sides}"
        )
    return found[0]


def _logits(graph: _Graph, profile: Profile) -> tuple[str, str | None]:
    """Return the tensor of the logits, and the kind of what bounds them behind it."""
    names = [output.name.removeprefix(OWN) for output in graph.model.graph.output]
    wanted = "" if profile.head == (FROM_FILE,) else profile.head[0].removeprefix("output ")
    if (wanted or len(names) != 1) and wanted not in names:
        raise BundleError(
            f"{graph.where} must have the output that the profile names; it has "
            f"{', '.join(name[:40] for name in names)}. Add --set 'head=[output NAME]'"
        )
    name = graph.back(f"{OWN}{wanted or names[0]}", _THROUGH)
    node = graph.made_by.get(name)
    if node is None or node.op_type not in _BOUNDED:
        return name, None
    return graph.back(node.input[0], _THROUGH), str(node.op_type).lower()


def _linear(graph: _Graph, logits: str) -> _Linear | None:
    """Return the linear layer behind an average pooling that makes the logits; None for others."""
    found = _weights(graph, logits)
    if found is None:
        return None
    weight, bias, features = found
    pooled = graph.made_by.get(graph.back(features, _FLAT))
    if pooled is None or not _pools(graph, pooled):
        return None
    shape = _shape(graph, pooled.input[0])
    if shape is None or shape[0] != weight.shape[1]:
        return None
    return _Linear(weight, bias, features, pooled.input[0], shape[1] * shape[2])


def _weights(
    graph: _Graph, logits: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], str] | None:
    node = graph.made_by.get(logits)
    bias: NDArray[Any] | None = None
    if node is not None and node.op_type == "Add":
        for one, other in ((0, 1), (1, 0)):
            bias = graph.array(node.input[one])
            if bias is not None:
                node = graph.made_by.get(node.input[other])
                break
    if node is None or node.op_type not in ("MatMul", "Gemm"):
        return None
    facts = {part.name: part for part in node.attribute}
    weight = graph.array(node.input[1])
    if weight is None or weight.ndim != 2 or ("transA" in facts and facts["transA"].i):
        return None
    if node.op_type == "Gemm":
        plain = all(abs(facts[name].f - 1.0) < 1e-12 for name in ("alpha", "beta") if name in facts)
        if not plain or bias is not None:
            return None
        bias = graph.array(node.input[2]) if len(node.input) > 2 else None
        if len(node.input) > 2 and bias is None:
            return None
        weight = weight if "transB" in facts and facts["transB"].i else weight.T
    else:
        weight = weight.T
    shift = np.zeros(len(weight)) if bias is None else np.asarray(bias).reshape(-1)
    if len(shift) != len(weight):
        return None
    return weight.astype(np.float32), shift.astype(np.float32), str(node.input[0])


def _pools(graph: _Graph, node: Any) -> bool:
    """Return whether a node is the mean over all rows and columns."""
    if node.op_type == "GlobalAveragePool":
        return True
    if node.op_type != "ReduceMean":
        return False
    axes = [list(part.ints) for part in node.attribute if part.name == "axes"]
    if not axes and len(node.input) > 1:
        found = graph.array(node.input[1])
        axes = [] if found is None else [found.tolist()]
    return bool(axes) and sorted(axis % 4 for axis in axes[0]) == [2, 3]


def _shape(graph: _Graph, name: str) -> tuple[int, int, int] | None:
    """Return channels, rows and columns of a map, by ONNX's own inference of shapes."""
    model = onnx.shape_inference.infer_shapes(graph.model)
    known = {info.name: info for info in (*model.graph.value_info, *model.graph.output)}
    if name not in known:
        return None
    sides = [side.dim_value for side in known[name].type.tensor_type.shape.dim]
    return (sides[1], sides[2], sides[3]) if len(sides) == 4 and all(sides[1:]) else None


def _rows(weight: NDArray[Any], profile: Profile, where: str) -> NDArray[Any]:
    """Return the rows of trained outputs; for a softmax of two, one less the other."""
    if len(weight) != len(profile.findings):
        raise BundleError(
            f"{where}: the head must have one output for each of the {len(profile.findings)} "
            f"findings of profile {profile.name}; it has {len(weight)}"
        )
    rows = list(profile.trained)
    if profile.output == "softmax":
        return weight[rows] - weight[[1 - rows[0]]]
    return weight[rows]


def _with_map(
    graph: _Graph, linear: _Linear, profile: Profile
) -> tuple[list[onnx.NodeProto], tuple[str, ...]]:
    weight = _rows(linear.weight, profile, graph.where)
    bias = _rows(linear.bias, profile, graph.where)
    kernel = (weight / linear.cells)[:, :, None, None]
    _store(graph, {"hilum.weight": weight, "hilum.bias": bias, "hilum.kernel": kernel})
    names = ["hilum.flat", "hilum.weight", "hilum.bias"]
    return [
        helper.make_node("Flatten", [linear.features], ["hilum.flat"]),
        helper.make_node("Gemm", names, ["logits"], transB=1),
        helper.make_node("Conv", [linear.map_name, "hilum.kernel"], ["hilum.evidence"]),
        helper.make_node("Relu", ["hilum.evidence"], ["heatmaps"]),
    ], ()


def _without_map(
    graph: _Graph, logits: str, profile: Profile
) -> tuple[list[onnx.NodeProto], tuple[str, ...]]:
    select = _rows(np.eye(len(profile.findings), dtype=np.float32), profile, graph.where)
    zeros = np.zeros((1, 1), np.float32)
    shape = np.array([0, 0, 1, 1], np.int64)
    _store(graph, {"hilum.select": select.T, "hilum.zeros": zeros, "hilum.shape": shape})
    return [
        helper.make_node("MatMul", [logits, "hilum.select"], ["logits"]),
        helper.make_node("Mul", ["logits", "hilum.zeros"], ["hilum.nothing"]),
        helper.make_node("Reshape", ["hilum.nothing", "hilum.shape"], ["heatmaps"]),
    ], (
        "no heatmaps: the graph does not end in average pooling and a linear layer, of which they "
        "are known exactly. Its maps are empty, which is no evidence",
    )


def _store(graph: _Graph, arrays: dict[str, NDArray[Any]]) -> None:
    graph.model.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(values), name)
        for name, values in arrays.items()
    )


def _prune(model: onnx.ModelProto) -> None:
    """Drop operators and tensors that no output comes from."""
    needed = {output.name for output in model.graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    stored = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in tensors]
    given = [one for one in model.graph.input if one.name == "images"]
    inputs = [onnx.ValueInfoProto.FromString(one.SerializeToString()) for one in given]
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.node.extend(copied)
    model.graph.initializer.extend(stored)
