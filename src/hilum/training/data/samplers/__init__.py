"""The orders in which an epoch shows films: one file a sampler, named as its file."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from hilum.domain.errors import UsageError, suggestion
from hilum.training.data.samplers.base import Sampler

__all__ = ["Sampler", "members", "sampler"]


def members() -> tuple[str, ...]:
    """Names of all samplers, sorted.

    >>> members()
    ('balanced', 'inverse_frequency', 'repeat_factor', 'shuffled')
    """
    names = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base"))


def sampler(name: str) -> Sampler:
    """The sampler of that name.

    Raises:
        UsageError: when there is none.

    >>> sampler("balance")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no sampler 'balance'; there are: balanced, inverse_frequency,
    repeat_factor, shuffled. Did you mean 'balanced'?
    """
    if name not in members():
        known = ", ".join(members())
        raise UsageError(f"no sampler '{name}'; there are: {known}.{suggestion(name, members())}")
    return cast(Sampler, import_module(f"{__name__}.{name}"))
