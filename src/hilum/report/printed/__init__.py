"""A batch on the screen: one file a form, from a batch's results to the text that is printed.

Names from outside can hold anything that a terminal or a page would obey: control characters,
colors, text turned around, markup. A form must show them, and must print the notice that hilum is
not a medical device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hilum.domain.members import member
from hilum.report.parts.results import BatchResults

__all__ = ["Printed", "printed"]


@dataclass(frozen=True)
class Printed:
    """One form; each file of this folder defines `PRINTED: Printed`.

    Attributes:
        render: a pure function from a batch to all that is printed, ending in a line end.
    """

    render: Callable[[BatchResults], str]


def printed(name: str) -> Printed:
    """Return the printed form of that name.

    Raises:
        UsageError: when there is none.

    >>> printed("markdwon")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no printed form 'markdwon'; there are: ... Did you mean
    'markdown'?
    """
    return member(__name__, name, Printed, "printed form")
