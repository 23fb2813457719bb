"""hilum: from raw chest radiographs to calibrated, explained, reported findings.

Research software, not a medical device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum import calibration, datasets, explain, imaging, metrics, splits
    from hilum.api import (
        audit,
        calibrate,
        check,
        compare,
        deidentify,
        evaluate,
        probe,
        read,
        readers,
        rule_out,
        train,
        upgrade,
        watch_check,
        watch_fit,
        worklist,
    )
    from hilum.bundle.bundle import Bundle

__all__ = [
    "Bundle",
    "__version__",
    "audit",
    "calibrate",
    "calibration",
    "check",
    "compare",
    "datasets",
    "deidentify",
    "evaluate",
    "explain",
    "imaging",
    "metrics",
    "probe",
    "read",
    "readers",
    "rule_out",
    "splits",
    "train",
    "upgrade",
    "watch_check",
    "watch_fit",
    "worklist",
]

__version__ = "0.1.0"

_VERBS = (
    *("audit", "calibrate", "check", "compare", "deidentify", "evaluate", "probe", "read"),
    *("readers", "rule_out", "train", "upgrade", "watch_check", "watch_fit", "worklist"),
)


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that `import hilum` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'hilum' has no attribute '{name}'")
    if name == "Bundle":
        return importlib.import_module("hilum.bundle").Bundle
    if name in _VERBS:
        return getattr(importlib.import_module("hilum.api"), name)
    return importlib.import_module(f"hilum.{name}")


def __dir__() -> list[str]:
    """List the public names, those that are not loaded yet among them."""
    return sorted({*globals(), *__all__})
