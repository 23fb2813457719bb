"""Switch for libraries that report on their users over a network."""

from __future__ import annotations

import os

__all__ = ["refuse_onnxruntime_telemetry"]

_OFF = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
"""Variables that disable telemetry: the first in 1.32, the second in other versions."""


def refuse_onnxruntime_telemetry() -> None:
    """Disable telemetry; call before `onnxruntime` is imported, which by default sends reports.

    Its packages for Linux and macOS do so since 2026: https://github.com/microsoft/onnxruntime/pull/27379.

    >>> refuse_onnxruntime_telemetry()
    """
    os.environ.update(dict.fromkeys(_OFF, "1"))
