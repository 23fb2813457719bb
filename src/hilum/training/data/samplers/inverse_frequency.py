"""Films drawn the more often the rarer their rarest finding is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.runs.recipe_parts import DataConfig
from hilum.training.data.samplers import Sampler, classes

__all__ = ["SAMPLER", "order", "weights"]


def order(
    states: NDArray[np.int8], config: DataConfig, rng: np.random.Generator
) -> NDArray[np.intp]:
    """N rows, drawn with replacement in proportion to their weights.

    >>> states = np.array([[1], [0], [0], [0]], np.int8)
    >>> rows = order(states, DataConfig(), np.random.default_rng(0))
    >>> len(rows), set(rows.tolist()) <= {0, 1, 2, 3}
    (4, True)
    """
    del config
    share = weights(states)
    return rng.choice(len(states), len(states), p=share).astype(np.intp)


SAMPLER: Sampler = Sampler(order)


def weights(states: NDArray[np.int8]) -> NDArray[np.float64]:
    """(N,) shares that add up to 1: `max(1 / n_c)` over the film's findings c.

    n_c are the films with finding c, or with none. The rarest finding rules, so that no common
    finding beside it dilutes it: each of C findings then has at least 1/C of the draws, since the
    weights of its n_c films add up to 1 or more, and all weights to C or less.

    >>> weights(np.array([[1], [0], [0], [0]], np.int8)).round(3).tolist()
    [0.5, 0.167, 0.167, 0.167]
    """
    member = classes(states)
    weight = (member / member.sum(axis=0)).max(axis=1)
    return weight / weight.sum()
