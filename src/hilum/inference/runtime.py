"""The contract of a library that computes: one film at a time, from any thread."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHARE", "Answer", "Library", "Precision", "Runtime"]

SHARE = "token_share"
"""Output that a graph has where its network has a class token beside its patches."""


class Precision(StrEnum):
    """The type the network computes in; chosen, never left to the machine, and written down."""

    F32 = "f32"
    """The same numbers on every machine, to about 1e-5."""
    BF16 = "bf16"
    """About four times as fast where the processor computes in it; scores move a little."""
    INT8 = "int8"
    """Convolutions in 8 bits, the rest in float32: some 2.5 times as fast as f32, and 4 times with
    AMX; scores move several times as far as in bf16. Of a quantized network only."""
    INT8_BF16 = "int8-bf16"
    """Convolutions in 8 bits, the rest in bf16: the fastest, where the processor computes in it."""

    @property
    def quantized(self) -> bool:
        """Whether it is that of a quantized network.

        >>> Precision.INT8_BF16.quantized, Precision.BF16.quantized
        (True, False)
        """
        return self in (Precision.INT8, Precision.INT8_BF16)

    @property
    def floats(self) -> Precision:
        """The type of what is not in 8 bits: f32 or bf16.

        >>> Precision.INT8_BF16.floats, Precision.F32.floats
        (<Precision.BF16: 'bf16'>, <Precision.F32: 'f32'>)
        """
        narrow = self in (Precision.BF16, Precision.INT8_BF16)
        return Precision.BF16 if narrow else Precision.F32


class Library(StrEnum):
    """What runs the exported network."""

    OPENVINO = "openvino"
    """Part of every install: a processor, in f32 or bf16."""
    ONNXRUNTIME = "onnxruntime"
    """The extra `onnxruntime`, for where OpenVINO is not: a processor or a CUDA device, in f32."""


class Answer(NamedTuple):
    """The network's output for one film.

    Attributes:
        logits: (L,) float32.
        heatmaps: (L, h, w) float32, >= 0.
        token_share: (L,) float32 in [0, 1]: the share of each logit that a class token decided;
            None of a network without one.
    """

    logits: NDArray[np.float32]
    heatmaps: NDArray[np.float32]
    token_share: NDArray[np.float32] | None = None


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
        """Run the network on one film, (1, C, S, S) normalized. Holds up no other thread."""
        ...
