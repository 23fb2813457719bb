"""A batch on the screen: each file but `base.py` is one form, and its name is the form's name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from hilum.domain.errors import UsageError, suggestion
from hilum.report.printed.base import Printed

__all__ = ["Printed", "members", "printed"]


def members() -> tuple[str, ...]:
    """Names of all forms, sorted.

    >>> members()
    ('console', 'json', 'markdown')
    """
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name != "base"))


def printed(name: str) -> Printed:
    """The form of that name.

    Raises:
        UsageError: when there is none.

    >>> printed("markdwon")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: films are printed as console, json, markdown; got 'markdwon'.
    Did you mean 'markdown'?
    """
    if name not in members():
        raise UsageError(
            f"films are printed as {', '.join(members())}; got '{name}'."
            f"{suggestion(name, members())}"
        )
    return cast(Printed, import_module(f"{__name__}.{name}"))
