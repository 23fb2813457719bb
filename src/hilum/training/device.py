"""The device and the precision in which the training loop computes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hilum.domain.errors import UsageError
from hilum.imaging.preprocess import Preprocessing
from hilum.model.classifier import Classifier
from hilum.runs.recipe_parts import ComputeConfig

__all__ = ["Device", "peak_mb"]

_KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Device:
    """A torch device and how to compute on it.

    Attributes:
        name: `cpu`, or `cuda:` and the number of the GPU.
        kind: the type that convolutions run in; weights, statistics and loss are float32.
        config: threads, memory format, compilation and determinism.
    """

    name: str
    kind: torch.dtype
    config: ComputeConfig

    @staticmethod
    def of(config: ComputeConfig, local_rank: int = 0) -> Device:
        """Return the configured device; nothing is set before `session`.

        Args:
            config: of the run.
            local_rank: number of this process on its machine, and so of its GPU.

        Raises:
            UsageError: for a GPU where there is none, fewer GPUs than processes, or float16 on a
                processor, which has no fast float16 convolution.
        """
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if config.device == "cuda" and gpus == 0:
            raise UsageError(
                "compute.device=cuda must find a GPU that torch can use; there is none. Set "
                "compute.device=auto, or check the driver with nvidia-smi"
            )
        cuda = gpus > 0 and config.device != "cpu"
        if cuda and local_rank >= gpus:
            raise UsageError(
                f"every process of a machine must have a GPU of its own; this is number "
                f"{local_rank + 1} and there are {gpus}. Lower --nproc_per_node, or set "
                "compute.device=cpu"
            )
        if config.precision == "float16" and not cuda:
            raise UsageError(
                "compute.precision=float16 needs a GPU; this is a processor. Use bfloat16, "
                "float32 or auto"
            )
        kind = _KINDS.get(config.precision) or _fast_kind(cuda)
        return Device(f"cuda:{local_rank}" if cuda else "cpu", kind, config)

    @property
    def index(self) -> int | None:
        """The GPU's number; None on a processor."""
        return torch.device(self.name).index

    @contextmanager
    def session(self) -> Generator[None]:
        """Set torch's process-wide switches while the run lasts, and restore them afterwards.

        The threads of a processor, since sums depend on how they are shared out. On a GPU: only
        deterministic algorithms if so configured, else the fastest that a trial finds; and no
        TF32, which would round what is called float32 to 10 bits.

        Raises:
            UsageError: where an operation has no deterministic algorithm, or torch.compile fails.
        """
        before = _Flags.now()
        threads = torch.get_num_threads()
        try:
            if self.index is None:
                torch.set_num_threads(self.config.threads)
            else:
                torch.cuda.set_device(self.index)
                exact = self.config.deterministic
                _Flags(exact, benchmark=not exact, tf32=False, matmul_tf32=False, fill=False).set()
            yield
        except RuntimeError as error:
            line = _known_failure(error)
            if line is None:
                raise
            raise UsageError(line) from error
        finally:
            torch.set_num_threads(threads)
            before.set()

    def autocast(self) -> AbstractContextManager[object]:
        """Run what follows in `kind`; weights and loss stay float32."""
        if self.kind == torch.float32:
            return nullcontext()
        return torch.autocast(torch.device(self.name).type, self.kind)

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return the gradient scaler that float16 needs; None for other types.

        The loss is multiplied by a scale that halves whenever a gradient overflows; its
        `state_dict` belongs in a checkpoint.
        """
        return torch.amp.GradScaler("cuda") if self.kind == torch.float16 else None

    def place(self, network: Classifier) -> Classifier:
        """Move the network to the device, in the configured memory format."""
        return network.to(self.name).to(memory_format=self._format)

    def callable(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return the network's forward pass, compiled if so configured.

        Args:
            network: the classifier or DDP around it. Hashes, modes, averages and checkpoints go on
                using the classifier itself: its tensors are the same.
        """
        return torch.compile(network) if self.config.compile else network

    def tensor(self, values: NDArray[np.generic]) -> Tensor:
        """Return an array as a tensor on the device."""
        return torch.from_numpy(values).to(self.name)

    def images(self, batch: NDArray[np.float32]) -> Tensor:
        """Return (B, C, H, W) images on the device, in the memory format configured."""
        return self.tensor(batch).contiguous(memory_format=self._format)

    def pixels(self, rasters: NDArray[np.uint8] | Tensor, preprocessing: Preprocessing) -> Tensor:
        """Return the network's input: (B, S, S) uint8 rasters to (B, C, S, S), normalized.

        One byte a pixel travels to the device, and the result is `preprocessing.normalize`'s to
        the bit.

        Args:
            rasters: in memory, or on the device already.
            preprocessing: mean and standard deviation of each channel.
        """
        levels = np.arange(256, dtype=np.uint8).reshape(256, 1, 1)
        one_pixel = preprocessing.model_copy(update={"size": 1})
        table = self.tensor(one_pixel.normalize(levels).reshape(256, -1))
        gray = rasters if isinstance(rasters, Tensor) else self.tensor(rasters)
        images = functional.embedding(gray.int(), table).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=self._format)

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.config.channels_last else torch.contiguous_format


@dataclass(frozen=True)
class _Flags:
    """The switches of torch that `session` sets and restores.

    Attributes:
        exact: deterministic algorithms only.
        benchmark: try cuDNN's algorithms and take the fastest.
        tf32: of convolutions.
        matmul_tf32: of matrix products.
        fill: under `exact`, fill fresh memory, which only costs time: nothing here reads it.
    """

    exact: bool
    benchmark: bool
    tf32: bool
    matmul_tf32: bool
    fill: bool

    @staticmethod
    def now() -> _Flags:
        memory: Any = torch.utils.deterministic  # a module whose attributes are properties
        return _Flags(
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            bool(torch.backends.cuda.matmul.allow_tf32),
            memory.fill_uninitialized_memory,
        )

    def set(self) -> None:
        if self.exact != torch.are_deterministic_algorithms_enabled():
            torch.use_deterministic_algorithms(self.exact)
        torch.backends.cudnn.benchmark = self.benchmark
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.backends.cuda.matmul.allow_tf32 = self.matmul_tf32
        memory: Any = torch.utils.deterministic
        memory.fill_uninitialized_memory = self.fill


def _fast_kind(cuda: bool) -> torch.dtype:
    """Return bfloat16 where the hardware supports it; elsewhere it is emulated, and slower."""
    if cuda:
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        import openvino

        fast = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return torch.bfloat16 if fast else torch.float32


def _known_failure(error: RuntimeError) -> str | None:
    """Return one line for an error that the configuration can fix; None for any other."""
    reason = " ".join(str(error).split())[:200]
    if isinstance(error, torch.OutOfMemoryError):
        return (
            "a batch must fit into the GPU's memory; it did not. Halve batch_size and double "
            "optimizer.accumulate"
        )
    if "does not have a deterministic implementation" in reason:
        return (
            f"with compute.deterministic every operation must give the same bits again: {reason}. "
            "Set compute.deterministic=false, or take another backbone"
        )
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return (
            f"torch.compile must be able to compile the network; {reason}. Set "
            "compute.compile=false"
        )
    return None


def peak_mb(device: str) -> float | None:
    """Return the peak memory in MB of 10^6 bytes, of the GPU or of the process.

    None where the system does not report it, as on Windows.

    >>> (peak_mb("cpu") or 1.0) > 0.0
    True
    """
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
