"""An epoch's batches, prepared ahead of the network; the same however they are prepared."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.runs.recipe import TrainingConfig
from hilum.training.data import augment, samplers
from hilum.training.data.augment import Change
from hilum.training.data.films import Films

__all__ = ["Batch", "batches", "steps_an_epoch"]


@dataclass(frozen=True, eq=False)
class Batch:
    """One process's films of one step.

    Attributes:
        step: within the epoch, from 0.
        rows: (B,) of the films.
        rasters: (B, S, S) uint8; changed already, unless the device is to do it.
        changes: what is done to each film.
    """

    step: int
    rows: NDArray[np.intp]
    rasters: NDArray[np.uint8]
    changes: tuple[Change, ...]


def steps_an_epoch(films: Films, config: TrainingConfig) -> int:
    """Return the batches of an epoch over all processes; an incomplete last one is dropped.

    Raises:
        UsageError: for fewer films than a batch, or an unknown sampler.
    """
    if len(films) < config.batch_size:
        raise UsageError(
            f"training needs at least one batch of {config.batch_size} films; got {len(films)}. "
            "Lower batch_size or give more films"
        )
    return len(_order(films, config, 0)) // config.batch_size


def batches(
    films: Films,
    config: TrainingConfig,
    epoch: int,
    *,
    start_step: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Generator[Batch]:
    """Yield the batches of one epoch in order.

    Films and changes depend on the seed, the epoch, the step and the place in the whole batch, and
    on nothing else: a run that is resumed, shared among processes or given more workers sees the
    same. `config.data.workers` threads are at most one batch each, and one more, ahead. They end
    with the generator, which may be closed early; what goes wrong in one is raised here.

    Args:
        films: of the train split.
        config: seed, batch size, sampler, augmentation and workers.
        epoch: from 1, over all phases.
        start_step: the first step that is wanted.
        share: (rank, processes); each takes its part of every batch of `config.batch_size`.
    """
    steps = steps_an_epoch(films, config)
    order = _order(films, config, epoch)
    prepare = partial(_batch, films, config, (order, epoch), share)
    ahead: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(config.data.workers, "batches")
    try:
        for step in range(start_step, steps):
            ahead.append(pool.submit(prepare, step))
            if len(ahead) > config.data.workers + 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _order(films: Films, config: TrainingConfig, epoch: int) -> NDArray[np.intp]:
    rng = np.random.default_rng([config.seed, epoch])
    return samplers.sampler(config.data.sampler).order(films.states, config.data, rng)


def _batch(
    films: Films,
    config: TrainingConfig,
    shown: tuple[NDArray[np.intp], int],
    share: tuple[int, int],
    step: int,
) -> Batch:
    """Return one process's part of a batch; changes are drawn for the full batch, then sliced."""
    order, epoch = shown
    size = config.batch_size
    part = slice(*(size * rank // share[1] for rank in (share[0], share[0] + 1)))
    rng = np.random.default_rng([config.seed, epoch, step, 1])
    changes = augment.draw(config.augment, rng, size)[part]
    rows = order[step * size : (step + 1) * size][part]
    if config.data.augment_on == "device":
        return Batch(step, rows, films.rasters[rows], changes)
    rasters = np.empty((len(rows), films.side, films.side), np.uint8)
    for i, (row, change) in enumerate(zip(rows.tolist(), changes, strict=True)):
        rasters[i] = augment.apply(films.rasters[row], change)
    return Batch(step, rows, rasters, changes)
