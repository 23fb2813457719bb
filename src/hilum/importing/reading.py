"""A foreign file read in a confined process: with limits on time, memory, files and network."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from hilum.confined.child import Child, describe_exit
from hilum.confined.frames import Frame, FrameError
from hilum.domain.errors import BundleError, UsageError
from hilum.importing.read import file_of
from hilum.importing.records import WeightFile

__all__ = ["read_confined", "read_graph_confined"]

T = TypeVar("T")

_COMMAND = (sys.executable, "-P", "-m", "hilum.importing.child")
_TIMEOUT_S = 60
"""Seconds for a file, and one more for each 20 MB: HDF5 never ends on some damaged ones."""
_BYTES_A_SECOND = 20_000_000
_TO_START_S = 300.0
_MEMORY = 2 * 1024**3
"""Bytes beside four times the file's own size."""
_LARGEST = 8 * 1024**3
_KINDS = frozenset({"f", "i", "u", "b"})


class _Contents(BaseModel):
    """What the process says of a file; checked like a stranger's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: str
    entries: tuple[tuple[str, str, str, tuple[int, ...]], ...]
    carried: tuple[str, ...]
    texts: dict[str, tuple[str, ...]]
    settings: dict[str, float]


def read_confined(path: Path) -> WeightFile:
    """Read a file as `read_weights` does, in a process that can do nothing else.

    Raises:
        UsageError: when it cannot be read.
        BundleError: when it is not a file of weights, a damaged or hostile one, or one that the
            process could not read within its limits.
    """
    file = file_of(path)

    def read(child: Child, seconds: float) -> WeightFile:
        answer = _asked(child, {"do": "read", "path": str(file)}, seconds)
        return _file(_Contents.model_validate(answer.head), child, seconds)

    return _confined(file, read)


def read_graph_confined(path: Path) -> bytes:
    """Read an ONNX graph as `read_onnx` does, in a process that can do nothing else.

    Raises:
        UsageError: when it cannot be read.
        BundleError: when it is not a plain graph of standard operators, or not read within limits.
    """

    def read(child: Child, seconds: float) -> bytes:
        (blob,) = _asked(child, {"do": "graph", "path": str(path)}, seconds).blobs
        return bytes(blob)

    return _confined(path, read)


def _asked(child: Child, request: dict[str, Any], seconds: float) -> Frame:
    frame = child.ask(request, (), seconds)
    if "error" in frame.head:
        kind = UsageError if frame.head.get("kind") == "UsageError" else BundleError
        raise kind(str(frame.head["error"])[:2000])
    return frame


def _confined(file: Path, read: Callable[[Child, float], T]) -> T:
    """Start the process with its limits, let it read, and say why it could not."""
    try:
        size = file.stat().st_size
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"weights must be a file that can be read; {file}: {reason}") from None
    if size > _LARGEST:
        raise BundleError(f"weights must be smaller than {_LARGEST} bytes; {file} has {size}")
    seconds = _TIMEOUT_S + size // _BYTES_A_SECOND
    child = Child(_COMMAND, "a process that reads weights")
    with closing(child):
        try:
            first = {"memory_bytes": _MEMORY + 4 * size, "timeout_s": seconds}
            child.ask(first, (), _TO_START_S)
            return read(child, 4 * seconds)
        except TimeoutError:
            raise BundleError(f"{file} took longer than {seconds} s to read; given up") from None
        except (EOFError, BrokenPipeError):
            why = child.last_error_line()[:200]
            ended = child.wait()
            if ended == -signal.SIGXCPU:
                raise BundleError(
                    f"{file} took longer than {seconds} s to read; given up"
                ) from None
            code = describe_exit(ended)
            raise BundleError(
                f"{file} ended the process that read it ({code}{f': {why}' if why else ''})"
            ) from None
        except (FrameError, ValidationError, ValueError, TypeError):
            raise BundleError(f"{file} made its reader answer with nonsense; given up") from None


def _file(contents: _Contents, child: Child, seconds: float) -> WeightFile:
    blobs: list[bytes | bytearray] = []
    while len(blobs) < len(contents.entries):
        more = child.ask({"do": "tensors", "begin": len(blobs)}, (), seconds).blobs
        if not more:
            raise ValueError("no tensor came")
        blobs += more
    holders: dict[str, dict[str, NDArray[Any]]] = {}
    for (key, name, dtype, shape), blob in zip(contents.entries, blobs, strict=True):
        holders.setdefault(key, {})[name] = _array(blob, dtype, shape)
    return WeightFile(
        contents.format, holders, contents.carried, contents.texts, _settings(contents.settings)
    )


def _array(blob: bytes | bytearray, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    kind = np.dtype(dtype)
    if kind.kind not in _KINDS or math.prod(shape) * kind.itemsize != len(blob):
        raise ValueError("a tensor does not have the bytes of its shape")
    return np.frombuffer(blob, kind).reshape(shape)


def _settings(settings: Mapping[str, float]) -> Mapping[str, float]:
    return {name: value for name, value in settings.items() if math.isfinite(value)}
