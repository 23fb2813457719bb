"""Libraries that report on their users over a network are told not to."""

from __future__ import annotations

import os

__all__ = ["refuse_onnxruntime_telemetry"]

_OFF = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
"""The first works in 1.32; the second is what other versions look at."""


def refuse_onnxruntime_telemetry() -> None:
    """Call before `onnxruntime` is imported, which by itself numbers the machine and reports.

    Its packages for Linux and macOS do so since 2026: https://github.com/microsoft/onnxruntime/pull/27379.

    >>> refuse_onnxruntime_telemetry()
    """
    os.environ.update(dict.fromkeys(_OFF, "1"))
