"""Inert records of what a pickled file names, makes and stores; none does anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError

__all__ = ["DTYPES", "Made", "Name", "Storage", "WeightFile", "view_of", "widened"]

DTYPES: Mapping[str, str] = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
"""NumPy's name of the numbers in each kind of PyTorch storage; bfloat16 has none of NumPy's."""

_MOST_VALUES = 2**31


@dataclass(frozen=True)
class Name:
    """A module's name and a name in it. It is never looked up, so nothing is imported or called."""

    module: str
    name: str

    @property
    def dotted(self) -> str:
        """The full name, such as `torch.nn.modules.conv.Conv2d`."""
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Made:
    """The record of an object: what would have been called, with which arguments and state.

    Attributes:
        kind: name of the class or function.
        arguments: positional ones.
        state: given by BUILD; None without one.
        items: set by key.
        members: appended.
    """

    kind: Name
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict[Any, Any])
    members: list[Any] = field(default_factory=list[Any])


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file, by its key.

    Attributes:
        key: of its bytes.
        dtype: a value of `DTYPES`.
        count: numbers in it.
    """

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class WeightFile:
    """The tensors of one file, with the names and keys that they have there.

    Attributes:
        format: of the file, such as pytorch-zip, pytorch-legacy, safetensors or keras.
        holders: key in the file to the tensors there; "" is the top. Tensors are read-only views.
        carried: keys beside the tensors that were not read.
        texts: short words found beside the tensors, such as the findings a model names.
        settings: numbers of the layers that belong to the weights, by name.
    """

    format: str
    holders: Mapping[str, Mapping[str, NDArray[Any]]]
    carried: tuple[str, ...] = ()
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    settings: Mapping[str, float] = field(default_factory=dict[str, float])


def view_of(
    data: memoryview,
    dtype: str,
    geometry: tuple[int, tuple[int, ...], tuple[int, ...]],
    where: str,
) -> NDArray[Any]:
    """Return a tensor as a read-only view of stored bytes; bfloat16 is widened to float32.

    Args:
        data: the bytes of the storage.
        dtype: a value of `DTYPES`.
        geometry: offset, shape and strides, in numbers.
        where: file and tensor, for messages.

    Raises:
        BundleError: for a geometry that reaches outside the storage, or repeats its numbers.

    >>> view_of(memoryview(bytes(range(4))), "u1", (1, (2,), (2,)), "a file").tolist()
    [1, 3]
    """
    offset, shape, strides = geometry
    width = 2 if dtype == "bf16" else np.dtype(dtype).itemsize
    count = len(data) // width
    numbers = math.prod(shape)
    fits = len(shape) == len(strides) <= 32 and min((0, offset, *shape, *strides)) == 0
    reach = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=False))
    if not fits or numbers > min(count, _MOST_VALUES) or (numbers and reach >= count):
        raise BundleError(
            f"a tensor must lie inside its storage; {where} has shape {shape[:8]}, strides "
            f"{strides[:8]}, offset {offset} in {count} numbers. Fetch the file again"
        )
    if not numbers:
        return np.zeros(shape, "<f4" if dtype == "bf16" else dtype)
    flat = np.frombuffer(data[: count * width], "<u2" if dtype == "bf16" else dtype)
    view = np.lib.stride_tricks.as_strided(
        flat[offset:], shape, tuple(step * width for step in strides), writeable=False
    )
    return widened(view) if dtype == "bf16" else view


def widened(bits: NDArray[Any]) -> NDArray[np.float32]:
    """Return bfloat16, given as 16 bits each, as float32: the same numbers.

    >>> widened(np.array([0x3F80], np.uint16)).tolist()
    [1.0]
    """
    return (bits.astype("<u4") << 16).view("<f4")
