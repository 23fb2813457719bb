"""What an engine needs of the library that computes: one film at a time, asked by any thread."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answer", "Library", "Precision", "Runtime"]


class Precision(StrEnum):
    """The type the network computes in; chosen, never left to the machine, and written down."""

    F32 = "f32"
    """The same numbers on every machine, to about 1e-5."""
    BF16 = "bf16"
    """About four times as fast where the processor computes in it; scores move a little."""


class Library(StrEnum):
    """What runs the exported network."""

    OPENVINO = "openvino"
    """Of every install: a processor, in f32 or bf16."""
    ONNXRUNTIME = "onnxruntime"
    """The extra `onnxruntime`, for where OpenVINO is not: a processor or a CUDA device, in f32."""


class Answer(NamedTuple):
    """What the network said of one film.

    Attributes:
        logits: (L,) float32.
        heatmaps: (L, h, w) float32, >= 0.
    """

    logits: NDArray[np.float32]
    heatmaps: NDArray[np.float32]


class Runtime(Protocol):
    """A network made ready by one library. Several threads may use it at once.

    Attributes:
        name: library, version and device, such as "openvino 2026.4.1 cpu".
        width: how many films at once keep the device busy, at least 1.
        shape: (L, h, w) of the heatmaps.
    """

    name: str
    width: int
    shape: tuple[int, int, int]

    def ask(self, images: NDArray[np.float32]) -> Answer:
        """Run the network on one film, (1, C, S, S) normalised. Holds up no other thread."""
        ...
