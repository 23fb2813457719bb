"""Contract of a printed form: a pure function from a batch's results to what stands on the screen.

A member of this folder is a file that defines `render`. Names from outside can hold anything that
a terminal or a page would obey: control characters, colours, text turned around, markup. What a
form prints must show them, and must say what hilum is not.
"""

from __future__ import annotations

from typing import Protocol

from hilum.report.parts.results import BatchResults

__all__ = ["Printed"]


class Printed(Protocol):
    """One form."""

    def render(self, batch: BatchResults) -> str:
        """All that is printed, ending in a line end."""
        ...
