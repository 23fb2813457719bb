"""Where and in which precision the loop computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilum.model.classifier import Classifier

__all__ = ["Device"]


def _cpu_computes_bfloat16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@dataclass(frozen=True)
class Device:
    """A torch device with its autocast type.

    Attributes:
        name: `cuda` where there is one, else `cpu`.
        kind: the type that convolutions run in.
    """

    name: str
    kind: torch.dtype

    @staticmethod
    def of(precision: Literal["auto", "float32", "bfloat16"], threads: int) -> Device:
        """The device of this machine; pins torch to `threads` on a CPU."""
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu":
            torch.set_num_threads(threads)
        fast = torch.cuda.is_bf16_supported() if name == "cuda" else _cpu_computes_bfloat16()
        low = precision == "bfloat16" or (precision == "auto" and fast)
        return Device(name, torch.bfloat16 if low else torch.float32)

    def autocast(self) -> AbstractContextManager[object]:
        """Run what follows in `kind`; weights and loss stay float32."""
        if self.kind == torch.float32:
            return nullcontext()
        return torch.autocast(self.name, self.kind)

    def place(self, network: Classifier) -> Classifier:
        """The network on the device, channels last in memory: what fast convolutions want."""
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return network.to(self.name)

    def tensor(self, values: NDArray[np.float32]) -> Tensor:
        """An array on the device."""
        return torch.from_numpy(values).to(self.name)

    def images(self, batch: NDArray[np.float32]) -> Tensor:
        """(B, C, H, W) images on the device, channels last in memory."""
        return self.tensor(batch).contiguous(memory_format=torch.channels_last)
