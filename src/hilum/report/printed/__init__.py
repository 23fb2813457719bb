"""A batch on the screen: each file but `base.py` is one form, and its name is the form's name."""

from __future__ import annotations

from hilum.domain.members import member
from hilum.report.printed.base import Printed

__all__ = ["Printed", "printed"]


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
