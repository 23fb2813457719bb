"""hilum: from raw chest radiographs to calibrated, explained, reported findings.

Research software, not a medical device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.bundle import Bundle

__all__ = ["Bundle", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Public names load on first use, so that `import hilum` costs nothing."""
    if name == "Bundle":
        from hilum.bundle import Bundle

        return Bundle
    raise AttributeError(f"module 'hilum' has no attribute '{name}'")
