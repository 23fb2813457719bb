"""Exit codes: 0 is done, 1 is our bug."""

from __future__ import annotations

__all__ = ["AGAIN", "REFUSED", "USAGE"]

USAGE = 2
"""Wrong use or configuration: nothing was done."""
REFUSED = 3
"""Done to the end, and something in the input was refused or would go wrong."""
AGAIN = 75
"""Stopped by the machine or the user; the same command may be given again."""
