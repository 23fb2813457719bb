"""Every film once, in random order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.runs.recipe_parts import DataConfig
from hilum.training.data.samplers import Sampler

__all__ = ["SAMPLER", "order"]


def order(
    states: NDArray[np.int8], config: DataConfig, rng: np.random.Generator
) -> NDArray[np.intp]:
    """All N rows, shuffled.

    >>> order(np.zeros((4, 1), np.int8), DataConfig(), np.random.default_rng(0)).tolist()
    [2, 0, 1, 3]
    """
    del config
    return rng.permutation(len(states)).astype(np.intp)


SAMPLER: Sampler = Sampler(order)
