"""The contract of a printed form: from a batch's results to the text on the screen.

Names from outside can hold anything that a terminal or a page would obey: control characters,
colors, text turned around, markup. A form must show them, and must print the notice that hilum is
not a medical device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hilum.report.parts.results import BatchResults

__all__ = ["Printed"]


@dataclass(frozen=True)
class Printed:
    """One form; each file of this folder defines `PRINTED: Printed`.

    Attributes:
        render: a pure function from a batch to all that is printed, ending in a line end.
    """

    render: Callable[[BatchResults], str]
