"""The confined process that reads a foreign file: it sends arrays, and never code.

Run by `hilum.importing.reading`. It reads one file, cannot write files or use the network, and ends
with its parent.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.confined.frames import Frame
from hilum.confined.serve import Answer, Answering, serve
from hilum.domain.errors import HilumError
from hilum.importing.onnx_file import read_onnx
from hilum.importing.read import read_weights
from hilum.importing.records import WeightFile

__all__ = ["PIECE_BYTES", "main"]

PIECE_BYTES = 64 * 1024**2
"""Bytes of tensors in one answer, unless a single tensor has more."""


class _Reader:
    """The tensors of one file, sent piece by piece."""

    def __init__(self) -> None:
        self.tensors: list[NDArray[Any]] = []

    def answer(self, request: Frame) -> Answer:
        """Answer `read` with names, `graph` with a graph, `tensors` with bytes from a number on."""
        if request.head["do"] == "tensors":
            return self._pieces(int(request.head["begin"]))
        path = Path(request.head["path"])
        try:
            if request.head["do"] == "graph":
                return {}, (read_onnx(path),)
            return self._contents(read_weights(path))
        except HilumError as error:
            return {"error": str(error), "kind": type(error).__name__}, ()
        except MemoryError:
            return {"error": "the file needs more memory than a reader may use", "kind": ""}, ()

    def _contents(self, file: WeightFile) -> Answer:
        """Answer with the names in a file, whose tensors are kept for later."""
        entries = [
            (key, name, tensor.dtype.str, tensor.shape)
            for key, held in file.holders.items()
            for name, tensor in held.items()
        ]
        self.tensors = [tensor for held in file.holders.values() for tensor in held.values()]
        head = {
            "format": file.format,
            "entries": entries,
            "carried": file.carried,
            "texts": file.texts,
            "settings": file.settings,
        }
        return head, ()

    def _pieces(self, begin: int) -> Answer:
        blobs: list[memoryview] = []
        size = 0
        for tensor in self.tensors[begin:]:
            if blobs and size + tensor.nbytes > PIECE_BYTES:
                break
            blobs.append(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
            size += tensor.nbytes
        return {}, blobs


def main() -> None:
    """Run as the child process of `hilum.importing.reading`."""
    if find_spec("h5py") is not None:
        with suppress(ImportError):
            import h5py  # noqa: F401  # pyright: ignore[reportUnusedImport]

            import hilum.importing.keras_file  # noqa: F401  # pyright: ignore[reportUnusedImport]
    serve(_start)


def _start(_: dict[str, Any]) -> tuple[Answering, dict[str, Any]]:
    return _Reader().answer, {}


if __name__ == "__main__":
    main()
