"""Safetensors files, one or the shards of an index, to their tensors; NumPy alone."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError
from hilum.importing.records import WeightFile, view_of

__all__ = ["read_safetensors", "read_shards"]

_LONGEST_HEADER = 100_000_000
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bf16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_METADATA = "__metadata__"


def read_safetensors(path: Path) -> WeightFile:
    """Read the tensors of one safetensors file.

    Raises:
        BundleError: naming the tensor, where the header does not describe the bytes exactly.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    length = int.from_bytes(data[:8], "little")
    try:
        if length > min(_LONGEST_HEADER, len(data) - 8):
            raise ValueError("it is longer than the file")
        header = json.loads(bytes(data[8 : 8 + length]))
        if not isinstance(header, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:120]
        raise BundleError(
            f"a safetensors header must be JSON; that of {path} is not: {why}. Fetch it again"
        ) from None
    body = data[8 + length :]
    tensors: dict[str, NDArray[Any]] = {}
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name == _METADATA:
            continue
        where = f"{path}: tensor {name[:80]}"
        begin, end = _span(entry, len(body), where)
        tensors[name] = _tensor(entry, body[begin:end], where)
        spans.append((begin, end, name))
    _refuse_gaps(spans, len(body), path)
    if not tensors:
        raise BundleError(f"weights must have tensors; {path} has none")
    return WeightFile("safetensors", {"": tensors})


def _span(entry: Any, size: int, where: str) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if (
        not isinstance(offsets, list)
        or [type(part) for part in offsets] != [int, int]
        or not 0 <= offsets[0] <= offsets[1] <= size
    ):
        raise BundleError(f"{where} must lie inside the file; its offsets do not. Fetch it again")
    return offsets[0], offsets[1]


def _tensor(entry: Mapping[str, Any], blob: memoryview, where: str) -> NDArray[Any]:
    dtype, shape = _DTYPES.get(str(entry.get("dtype"))), entry.get("shape")
    if dtype is None:
        raise BundleError(f"{where} must have numbers of a known kind; got {entry.get('dtype')}")
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise BundleError(f"{where} must have a shape of whole numbers")
    width = 2 if dtype == "bf16" else np.dtype(dtype).itemsize
    if len(shape) > 32 or math.prod(shape) * width != len(blob):
        raise BundleError(f"{where} must fill its {len(blob)} bytes; its shape is {shape[:8]}")
    strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return view_of(blob, dtype, (0, tuple(shape), strides), where)


def _refuse_gaps(spans: list[tuple[int, int, str]], size: int, path: Path) -> None:
    reached = 0
    for begin, end, name in sorted(spans):
        if begin != reached:
            raise BundleError(f"{path}: tensor {name[:80]} overlaps or leaves a gap at {reached}")
        reached = end
    if reached != size:
        raise BundleError(
            f"{path} must end with its last tensor; {size - reached} bytes are left. Fetch it again"
        )


def read_shards(index: Path) -> WeightFile:
    """Read all files that a `model.safetensors.index.json` lists, beside it.

    Raises:
        BundleError: naming a shard that is missing or outside the folder.
    """
    try:
        placed = json.loads(index.read_text("utf-8"))["weight_map"]
        shards = sorted({str(name) for name in placed.values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{index} must list tensors by file; {type(error).__name__}") from None
    tensors: dict[str, NDArray[Any]] = {}
    for name in shards:
        path = index.parent / name
        if Path(name).name != name:
            raise BundleError(f"{index} names {name[:80]}, which is outside its folder")
        if not path.is_file():
            raise BundleError(
                f"{index} needs {len(shards)} files; {name[:80]} is missing. Fetch all of them"
            )
        tensors |= read_safetensors(path).holders[""]
    absent = sorted(placed.keys() - tensors.keys())
    if absent:
        raise BundleError(f"{index} lists tensor {absent[0][:80]}, which its files do not have")
    return WeightFile("safetensors", {"": tensors})
