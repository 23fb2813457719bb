"""How much memory a run has needed."""

from __future__ import annotations

import sys

import torch

__all__ = ["peak_mb"]


def peak_mb(device: str) -> float | None:
    """The most memory that was in use at a time, in MB of 10^6 bytes: a GPU's, or the process's.

    None where the system does not tell, as Windows does not.

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
