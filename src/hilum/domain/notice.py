"""The line that stands on everything hilum writes."""

from __future__ import annotations

__all__ = ["NOT_A_DEVICE"]

NOT_A_DEVICE = (
    "hilum is research software, not a medical device. "
    "Not for diagnosis; it does not replace the reading of a radiologist."
)
