"""Feature extractors. `base.py` holds the contract; each other file is one, named as its file."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from hilum.domain.errors import UsageError, suggestion
from hilum.model.backbones.base import Backbone

__all__ = ["backbone", "members"]


def members() -> tuple[str, ...]:
    """Names of all backbones, sorted.

    >>> "densenet121" in members()
    True
    """
    names = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base"))


def backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        UsageError: when there is none.
    """
    if name not in members():
        known = ", ".join(members())
        raise UsageError(f"no backbone '{name}'; there are: {known}.{suggestion(name, members())}")
    return cast(Backbone, import_module(f"hilum.model.backbones.{name}"))
