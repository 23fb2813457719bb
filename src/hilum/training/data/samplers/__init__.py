"""The orders in which an epoch shows films: one file a sampler, named as its file.

The contract is here, with what samplers count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelState
from hilum.domain.members import member
from hilum.runs.recipe_parts import DataConfig

__all__ = ["Sampler", "classes", "sampler"]


@dataclass(frozen=True)
class Sampler:
    """The contract of a sampler; each file of this folder defines `SAMPLER: Sampler`.

    Attributes:
        order: the (M,) rows of one epoch in the order they are shown, called as
            `order(states, config, rng)`; rows lie in [0, N), and some samplers repeat some. M
            depends on states and config alone, since the schedule needs to know it: N, or more
            where a sampler repeats.

            - states: (N, L) LabelState values of the train split, N at least 1.
            - config: settings of all samplers.
            - rng: generator of this epoch.
    """

    order: Callable[[NDArray[np.int8], DataConfig, np.random.Generator], NDArray[np.intp]]


def classes(states: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(N, C) what a film stands for: each finding it has, or that it has none.

    The last class is "no finding here is positive". Classes without a film are left out, so that
    nothing waits for a finding never seen; each film is of one class at least.

    >>> classes(np.array([[1, 0, 0], [1, 1, -1], [0, 0, -2]], np.int8)).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    """
    positive = states == LabelState.POSITIVE
    member = np.column_stack([positive, ~positive.any(axis=1)])
    return member[:, member.any(axis=0)]


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
