"""Class-aware sampling: a finding first, then a film that has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.runs.recipe_parts import DataConfig
from hilum.training.data.samplers import Sampler, classes

__all__ = ["SAMPLER", "order"]


def order(
    states: NDArray[np.int8], config: DataConfig, rng: np.random.Generator
) -> NDArray[np.intp]:
    """N rows: a finding, or "none of them", each as often as the others; then a film of it.

    As in Shen et al. (2016, section 3.2, arXiv:1512.05830), both lists are gone through in
    shuffled rounds, so that no class and no film of a class comes up twice before all others have.
    A film with two findings can be drawn for either. A dozen films of a rare finding fill as many
    places as thousands of a common one: beware of learning them by heart.

    >>> states = np.array([[1], [0], [0], [0]], np.int8)
    >>> np.bincount(order(states, DataConfig(), np.random.default_rng(0))).max()  # film 0, half
    np.int64(2)
    """
    del config
    member = classes(states)
    drawn = _rounds(np.arange(member.shape[1]), len(states), rng)
    rows = np.empty(len(states), np.intp)
    for c, films in enumerate(member.T):
        places = np.flatnonzero(drawn == c)
        rows[places] = _rounds(np.flatnonzero(films), len(places), rng)
    return rows


SAMPLER: Sampler = Sampler(order)


def _rounds(items: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The first `count` of the items shuffled, shuffled anew, and so on."""
    whole = -(-count // len(items))
    return rng.permuted(np.tile(items, (whole, 1)), axis=1).ravel()[:count]
