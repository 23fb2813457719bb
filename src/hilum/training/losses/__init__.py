"""Losses over known labels. `base.py` holds the contract; each other file is one, named so."""

from __future__ import annotations

from hilum.domain.members import member
from hilum.training.data.films import targets
from hilum.training.losses.base import Loss, Terms

__all__ = ["Loss", "Terms", "loss", "targets"]


def loss(name: str) -> Loss:
    """Return the loss of that name.

    Raises:
        UsageError: when there is none.

    >>> loss("fokal")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no loss 'fokal'; there are: ... Did you mean 'focal'?
    """
    return member(__name__, name, Loss, "loss")
