"""Films of rare findings repeated, all others shown once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelState
from hilum.runs.recipe_parts import DataConfig
from hilum.training.data.samplers import Sampler

__all__ = ["SAMPLER", "factors", "order"]


def order(
    states: NDArray[np.int8], config: DataConfig, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Each film r times, shuffled; r is rounded up or down at random, so that it holds on average.

    The films are rounded together (systematic sampling, Madow 1949), so that every epoch has
    `floor(sum of r)` rows.

    >>> states = np.array([[1], *[[0]] * 99], np.int8)
    >>> rows = order(states, DataConfig(repeat_threshold=0.09), np.random.default_rng(0))
    >>> len(rows), np.bincount(rows)[:3].tolist()  # sqrt(0.09 / 0.01)
    (102, [3, 1, 1])
    """
    factor = factors(states, config.repeat_threshold)
    films = rng.permutation(len(states))
    ends = np.floor(np.cumsum(factor[films]) + rng.random()).astype(np.intp)
    rows = np.repeat(films, np.diff(ends, prepend=0))
    return rng.permutation(rows)[: int(factor.sum())].astype(np.intp)


SAMPLER: Sampler = Sampler(order)


def factors(states: NDArray[np.int8], threshold: float) -> NDArray[np.float64]:
    """(N,) r of each film: the largest `max(1, sqrt(t / f_c))` of its findings c, else 1.

    f_c is the fraction of films with c (Gupta, Dollar & Girshick 2019, LVIS, section B.2,
    arXiv:1908.03195).

    >>> factors(np.array([[1, 0], [0, 1], [0, 1], [0, 0]], np.int8), 1.0).round(2).tolist()
    [2.0, 1.41, 1.41, 1.0]
    """
    positive = states == LabelState.POSITIVE
    frequency = np.maximum(positive.mean(axis=0), 1.0 / len(states))  # never seen: repeats nothing
    repeat = np.maximum(1.0, np.sqrt(threshold / frequency))
    return np.where(positive, repeat, 1.0).max(axis=1, initial=1.0)
