"""Films that arrive, wait and are read: a queue with several readers and no interruption."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["poisson_arrivals", "reading_times", "turnarounds"]


def turnarounds(
    arrivals: NDArray[np.float64],
    reading: NDArray[np.float64],
    ranks: NDArray[np.int8],
    readers: int,
) -> NDArray[np.float64]:
    """Return (n,) time from the arrival of each film to the end of its reading.

    A free reader takes the film with the lowest rank, of those the one that came first, and reads
    it to its end; nobody is idle while a film waits. The unit of time is that of the arguments.

    Args:
        arrivals: (n,) rising.
        reading: (n,) how long each film takes, whoever reads it.
        ranks: (n,) lower is read sooner.
        readers: at least 1.

    >>> came, takes = np.array([0.0, 1.0, 2.0]), np.array([5.0, 1.0, 1.0])
    >>> turnarounds(came, takes, np.array([0, 1, 0], np.int8), 1)
    array([5., 6., 4.])
    """
    came, takes, order = arrivals.tolist(), reading.tolist(), ranks.tolist()
    free = [0.0] * readers
    waiting: list[tuple[int, int]] = []
    ends = np.empty(len(came))
    following, total = 0, len(came)
    while following < total or waiting:
        now = free[0]
        if not waiting and came[following] > now:
            now = came[following]
        while following < total and came[following] <= now:
            heapq.heappush(waiting, (order[following], following))
            following += 1
        _, film = heapq.heappop(waiting)
        ends[film] = now + takes[film]
        heapq.heapreplace(free, ends[film])
    return ends - arrivals


def poisson_arrivals(
    by_hour: Sequence[float], hours: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return times in minutes of films that arrive at random, at a rate for each hour of a day.

    Args:
        by_hour: films expected in each hour of the day, repeated day after day.
        hours: how long films arrive.
        rng: source of randomness.

    >>> came = poisson_arrivals([60.0], 100.0, np.random.default_rng(0))
    >>> bool((np.diff(came) >= 0).all()), abs(len(came) - 6000) < 400
    (True, True)
    """
    starts = np.arange(np.ceil(hours))
    rates = np.asarray(by_hour, np.float64)[starts.astype(np.intp) % len(by_hour)]
    counts = rng.poisson(rates * np.minimum(hours - starts, 1.0))
    within = rng.random(int(counts.sum())) * np.repeat(np.minimum(hours - starts, 1.0), counts)
    return np.sort(60.0 * (np.repeat(starts, counts) + within))


def reading_times(
    count: int, mean: float, spread: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return log-normal reading times with a mean and a spread (standard deviation / mean).

    >>> times = reading_times(100_000, 3.0, 0.5, np.random.default_rng(0))
    >>> round(float(times.mean()), 1), round(float(times.std() / times.mean()), 1)
    (3.0, 0.5)
    """
    if spread == 0.0:
        return np.full(count, mean)
    variance = np.log1p(spread**2)
    return rng.lognormal(np.log(mean) - variance / 2.0, np.sqrt(variance), count)
