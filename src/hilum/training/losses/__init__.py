"""Losses over known labels. `base.py` holds the contract; each other file is one, named so."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from hilum.domain.errors import UsageError, suggestion
from hilum.training.data.films import targets
from hilum.training.losses.base import Loss, Terms

__all__ = ["Loss", "Terms", "loss", "members", "targets"]


def members() -> tuple[str, ...]:
    """Names of all losses, sorted.

    >>> members()
    ('asymmetric', 'auc_margin', 'bce', 'focal')
    """
    names = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base"))


def loss(name: str) -> Loss:
    """The loss of that name.

    Raises:
        UsageError: when there is none.

    >>> loss("fokal")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no loss 'fokal'; there are: asymmetric, auc_margin, bce, focal.
    Did you mean 'focal'?
    """
    if name not in members():
        known = ", ".join(members())
        raise UsageError(f"no loss '{name}'; there are: {known}.{suggestion(name, members())}")
    return cast(Loss, import_module(f"hilum.training.losses.{name}"))
