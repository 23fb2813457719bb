"""environment.json: what a run was computed with, as far as its numbers may depend on it."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from hilum.domain.provenance import provenance
from hilum.runs.recipe_parts import ComputeConfig

__all__ = ["environment", "write_environment"]


def environment(
    config: ComputeConfig, device: str, precision: str, processes: int = 1
) -> dict[str, Any]:
    """Return code, packages, hardware and settings, without the name of the machine or its user.

    Args:
        config: the requested settings.
        device: what it came to, such as `cpu` or `cuda:0`.
        precision: what it came to, such as `bfloat16`.
        processes: that train together.
    """
    return {
        **provenance(),
        "git_commit": _commit(Path(__file__).resolve().parents[3]),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "gpu": _gpu(device),
        "device": device,
        "precision": precision,
        "threads": config.threads,
        "deterministic": config.deterministic,
        "processes": processes,
        "packages": dict(sorted((one.name.lower(), one.version) for one in distributions())),
    }


def write_environment(
    path: Path, config: ComputeConfig, device: str, precision: str, processes: int = 1
) -> None:
    """Write `environment` as JSON."""
    facts = environment(config, device, precision, processes)
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _cpu() -> str:
    """Return the processor's name, from Linux's cpuinfo or from `platform`."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpu(device: str) -> dict[str, Any] | None:
    if not device.startswith("cuda"):
        return None
    import torch

    facts = torch.cuda.get_device_properties(device)
    return {
        "name": facts.name,
        "memory_gb": round(facts.total_memory / 1e9, 1),
        "compute_capability": f"{facts.major}.{facts.minor}",
        "count": torch.cuda.device_count(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def _commit(checkout: Path) -> str | None:
    """Return the commit of a git checkout; None where hilum does not run from one.

    Only hilum's own folder is looked at: an installed package may lie inside somebody's repository.
    Whether files differ from the commit is what `code_sha256` tells.
    """
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text("utf-8").strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head
        if (git / name).exists():
            return (git / name).read_text("utf-8").strip()
        packed = (git / "packed-refs").read_text("utf-8").splitlines()
    except OSError:
        return None
    found = [line.partition(" ")[0] for line in packed if line.endswith(f" {name}")]
    return found[0] if found else None
