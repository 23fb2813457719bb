"""Lanes: each film once, whatever the others do; and nobody works on after the end."""

from __future__ import annotations

from contextlib import closing
from threading import Barrier, Event

import pytest

from hilum.batch.lanes import in_lanes


class Free:
    """A reader as far as lanes know one."""

    def __init__(self) -> None:
        self.stopped = Event()
        self.closed = False

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_film_is_worked_on_once(count: int) -> None:
    readers = [Free() for _ in range(count)]
    found = list(in_lanes(range(40), lambda item, _: item * 2, readers))
    assert sorted(found) == [item * 2 for item in range(40)]
    assert all(reader.closed for reader in readers)


def test_no_reader_is_asked_by_two_at_once() -> None:
    busy: set[int] = set()

    def work(item: int, reader: Free) -> int:
        assert id(reader) not in busy
        busy.add(id(reader))
        busy.remove(id(reader))
        return item

    assert len(list(in_lanes(range(200), work, [Free() for _ in range(4)]))) == 200


def test_a_slow_film_holds_up_its_own_lane_alone() -> None:
    rest = Barrier(2)

    def work(item: int, _: Free) -> int:
        if item in (0, 30):
            rest.wait(20)  # the first film is not done before the last one is begun
        return item

    assert sorted(in_lanes(range(31), work, [Free(), Free()])) == list(range(31))


def test_few_films_are_begun_ahead_of_what_is_taken() -> None:
    taken: list[int] = []

    def films() -> object:
        for item in range(1000):
            taken.append(item)
            yield item

    with closing(in_lanes(films(), lambda item, _: item, [Free(), Free()])) as found:
        for done, _ in enumerate(found, start=1):
            assert len(taken) <= done + 4
            if done == 50:
                break


def test_an_error_comes_out_after_what_was_finished_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(item: int, _: Free) -> int:
        begun.append(item)
        if item == 3:
            raise OSError(28, "No space left on device")
        return item

    readers = [Free()]
    found: list[int] = []
    with pytest.raises(OSError, match="No space left"):
        found.extend(in_lanes(range(1000), work, readers))
    assert len(begun) <= 3 + 1 + 2
    assert readers[0].closed


def test_when_it_is_closed_no_lane_works_any_more() -> None:
    ended: list[int] = []

    def work(item: int, reader: Free) -> int:
        if item:
            assert reader.stopped.wait(20)  # as one that waits for its process does
        ended.append(item)
        return item

    readers = [Free(), Free()]
    films = in_lanes(range(1000), work, readers)
    assert next(films) == 0
    films.close()
    assert all(reader.closed for reader in readers)
    assert len(ended) <= 1 + 4
