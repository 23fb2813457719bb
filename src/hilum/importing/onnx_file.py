"""ONNX graphs to one checked file without external data; run in the confined process."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hilum.domain.errors import BundleError

__all__ = ["read_onnx"]

_MOST_NODES = 50_000
_DOMAINS = frozenset({"", "ai.onnx"})
_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"}
)
_LARGEST = 1_900_000_000
"""Bytes of a graph with its tensors: protobuf ends at 2 GiB."""


def read_onnx(path: Path) -> bytes:
    """Return the graph of a file with the tensors inside that it keeps in files beside it.

    Raises:
        BundleError: for what is not a plain graph of standard operators, or for external data that
            is not in the file's own folder.
    """
    import onnx

    size = path.stat().st_size
    if size > _LARGEST:
        raise BundleError(f"an ONNX graph must be smaller than {_LARGEST} bytes; {path} has {size}")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # of protobuf, which has no own type for it
        reason = " ".join(str(error).split())[:120]
        raise BundleError(f"{path} must be an ONNX graph; {reason}. Fetch it again") from None
    _refuse_more_than_operators(model, path)
    total = size
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            total += _inline(tensor, path, _LARGEST - total)
    return model.SerializeToString(deterministic=True)


def _refuse_more_than_operators(model: Any, path: Path) -> None:
    """Refuse custom operators, functions, subgraphs, and answers by chance."""
    graph = model.graph
    if not 0 < len(graph.node) <= _MOST_NODES:
        raise BundleError(
            f"an ONNX graph must have 1 to {_MOST_NODES} operators; {path} has {len(graph.node)}"
        )
    if model.functions or model.training_info or graph.sparse_initializer:
        raise BundleError(
            f"an ONNX graph must be operators and tensors; {path} has functions, training steps or "
            "sparse tensors. Export it for inference"
        )
    for node in graph.node:
        where = f"{path}: operator {node.name[:60] or node.output[:1]}"
        if node.domain not in _DOMAINS:
            raise BundleError(
                f"{where} must be one of ONNX's own; {node.op_type[:60]} is of "
                f"{node.domain[:60]}. Export it without custom operators"
            )
        if any(part.HasField("g") or part.graphs for part in node.attribute):
            raise BundleError(f"{where} has a graph inside ({node.op_type[:60]}), not read here")
        if node.op_type in _RANDOM:
            raise BundleError(f"{where} must give the same answer twice; {node.op_type} does not")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for part in node.attribute:
            if part.HasField("t"):
                yield part.t
            yield from part.tensors


def _inline(tensor: Any, path: Path, room: int) -> int:
    """Read a tensor's bytes from the file beside the graph into it; return their number."""
    facts = {entry.key: entry.value for entry in tensor.external_data}
    name = facts.get("location", "")
    file = path.parent / name
    where = f"{path}: tensor {tensor.name[:80]}"
    if not name or Path(name).name != name or name in (".", ".."):
        raise BundleError(f"{where} must be in a file beside the graph; it is in {name[:80]}")
    if file.is_symlink() or not file.is_file():
        raise BundleError(f"{where} needs the file {name[:80]} beside the graph. Fetch it too")
    try:
        begin = int(facts.get("offset", 0))
        count = int(facts.get("length", file.stat().st_size - begin))
    except ValueError:
        raise BundleError(f"{where} must have its place in {name[:80]} as numbers") from None
    if begin < 0 or not 0 <= count <= room or begin + count > file.stat().st_size:
        raise BundleError(f"{where} must lie inside {name[:80]}; it does not. Fetch it again")
    data = b""
    if count:
        with file.open("rb") as opened:
            view = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            data = view[begin : begin + count]
    del tensor.external_data[:]
    tensor.ClearField("data_location")
    tensor.raw_data = data
    return count
