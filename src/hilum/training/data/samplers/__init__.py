"""The orders in which an epoch shows films: one file a sampler, named as its file."""

from __future__ import annotations

from hilum.domain.members import member
from hilum.training.data.samplers.base import Sampler

__all__ = ["Sampler", "sampler"]


def sampler(name: str) -> Sampler:
    """Return the sampler of that name.

    Raises:
        UsageError: when there is none.

    >>> sampler("balance")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no sampler 'balance'; there are: ... Did you mean 'balanced'?
    """
    return member(__name__, name, Sampler, "sampler")
