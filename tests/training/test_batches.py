"""Batches depend on seed, epoch, step and place alone: not on workers, ranks or where one began."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from hilum.domain.errors import UsageError
from hilum.domain.members import members
from hilum.runs.recipe import TrainingConfig
from hilum.training.data import augment
from hilum.training.data.batches import Batch, batches, steps_an_epoch
from hilum.training.data.films import Films, Rasters

STORE = np.random.default_rng(0).integers(0, 256, (60, 32, 32)).astype(np.uint8)
STATES = (np.random.default_rng(1).random((50, 3)) < (0.02, 0.2, 0.5)).astype(np.int8)
FILMS = Films(tuple(map(str, range(50))), Rasters(STORE, np.arange(50)[::-1] + 3), STATES)
LOUD = {"noise": 0.1, "blur_sigma_px": 1.0, "jpeg": 0.5, "cutout": 0.5}


def config(**data: object) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "name": "small",
            "phases": [{"name": "all", "trains": {"all": 1e-3}, "epochs": 1}],
            "batch_size": 8,
            "augment": LOUD,
            "data": data,
        }
    )


CONFIG = config()


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        a.step == b.step
        and a.changes == b.changes
        and np.array_equal(a.rows, b.rows)
        and np.array_equal(a.rasters, b.rasters)
        for a, b in zip(one, other, strict=True)
    )


def of(epoch: int = 1, config: TrainingConfig = CONFIG, **how: object) -> list[Batch]:
    return list(batches(FILMS, config, epoch, **how))


def test_an_epoch_shows_every_film_at_most_once_in_whole_batches() -> None:
    found = of()
    assert [batch.step for batch in found] == list(range(6))
    assert steps_an_epoch(FILMS, CONFIG) == 6
    rows = np.concatenate([batch.rows for batch in found])
    assert len(np.unique(rows)) == 48
    assert all(batch.rasters.shape == (8, 32, 32) for batch in found)
    assert all(len(batch.changes) == 8 for batch in found)


def test_films_are_changed_as_their_changes_say() -> None:
    for batch in of():
        for row, raster, change in zip(batch.rows, batch.rasters, batch.changes, strict=True):
            np.testing.assert_array_equal(raster, augment.apply(FILMS.rasters[int(row)], change))


def test_seed_and_epoch_decide() -> None:
    assert same(of(), of())
    assert not same(of(1), of(2))
    assert not same(of(), of(config=CONFIG.model_copy(update={"seed": 1})))


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("sampler", members("hilum.training.data.samplers"))
def test_workers_do_not(workers: int, sampler: str) -> None:
    assert same(
        of(config=config(sampler=sampler, workers=workers)), of(config=config(sampler=sampler))
    )


@pytest.mark.parametrize("start", [1, 5, 6])
def test_a_later_start_gives_the_tail(start: int) -> None:
    assert same(of(start_step=start), of()[start:])


@pytest.mark.parametrize("size", [2, 3, 8])
def test_the_shares_of_all_ranks_are_the_whole(size: int) -> None:
    shares = [of(share=(rank, size), start_step=2) for rank in range(size)]
    together = [
        Batch(
            parts[0].step,
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.rasters for part in parts]),
            sum((part.changes for part in parts), ()),
        )
        for parts in zip(*shares, strict=True)
    ]
    assert same(together, of()[2:])
    lengths = {len(part.rows) for share in shares for part in share}
    assert max(lengths) - min(lengths) <= 1


def test_where_the_device_changes_films_they_come_as_they_are() -> None:
    tree = {**CONFIG.model_dump(), "augment": {"noise": 0.1}}
    there, here = (
        of(config=TrainingConfig.model_validate({**tree, "data": {"augment_on": place}}))
        for place in ("device", "cpu")
    )
    for batch, other in zip(there, here, strict=True):
        np.testing.assert_array_equal(batch.rasters, FILMS.rasters[batch.rows])
        np.testing.assert_array_equal(batch.rows, other.rows)
        assert batch.changes == other.changes


def test_repeats_make_an_epoch_longer() -> None:
    longer = config(sampler="repeat_factor", repeat_threshold=1.0)
    assert steps_an_epoch(FILMS, longer) > 6
    found = [len(of(epoch, longer)) for epoch in range(1, 5)]
    assert set(found) == {steps_an_epoch(FILMS, longer)}


@pytest.mark.parametrize(
    "call", [steps_an_epoch, lambda films, config: next(batches(films, config, 1))]
)
def test_fewer_films_than_a_batch_are_refused(call: object) -> None:
    large = CONFIG.model_copy(update={"batch_size": 51})
    with pytest.raises(UsageError, match="at least one batch of 51 films; got 50"):
        call(FILMS, large)


# threads


def workers_alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


class Watched(Rasters):
    """Rasters that count how often they were asked, and break at one row."""

    asked: list[int]
    bad: int

    def __getitem__(self, rows):
        self.asked.append(int(rows))
        if rows == self.bad:
            raise OSError(5, "Input/output error")
        return super().__getitem__(rows)


def watched(bad: int = -1) -> Films:
    rasters = Watched(STORE, np.arange(50))
    object.__setattr__(rasters, "asked", [])
    object.__setattr__(rasters, "bad", bad)
    return Films(FILMS.names, rasters, STATES)


@pytest.mark.parametrize("workers", [1, 3])
def test_what_goes_wrong_in_a_thread_is_raised_where_it_is_awaited(workers: int) -> None:
    at = int(of()[2].rows[3])
    found: list[Batch] = []

    def go(stream: Iterator[Batch]) -> None:
        for batch in stream:
            found.append(batch)

    with pytest.raises(OSError, match="Input/output error"):
        go(batches(watched(at), config(workers=workers), 1))
    assert [batch.step for batch in found] == [0, 1]
    assert workers_alive() == []


def test_few_batches_are_ahead_and_an_abandoned_epoch_leaves_no_thread() -> None:
    films = watched()
    stream = batches(films, config(workers=1), 1)
    assert workers_alive() == []
    next(stream)
    stream.close()
    assert workers_alive() == []
    asked = films.rasters.asked
    assert 8 <= len(asked) <= 24  # the one taken, and at most two more
