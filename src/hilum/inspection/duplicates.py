"""Films that are there twice: as the same bytes, or as copies made to look new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.inspection import Copy, Variant
from hilum.domain.errors import FilmError
from hilum.inspection.agreement import agreement
from hilum.inspection.films import FilmPrint
from hilum.inspection.fingerprint import as_variant
from hilum.inspection.hamming import near_pairs
from hilum.reading.pool import ReaderPool
from hilum.reading.requests import thumbnail_request
from hilum.splits import SplitTable

__all__ = ["LIMIT", "Duplicates", "find_duplicates"]

LIMIT = 44
"""Bits of 256. Among 5.8 million pairs of different patients no two films were as near; at 56 bits
fourteen were."""
_REMEMBERED = 256

Step = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Duplicates:
    """The copies among some films.

    Attributes:
        candidates: pairs that look alike by their hashes.
        copies: pairs that are one film; enough of them to tie together every group of copies.
    """

    candidates: int
    copies: tuple[Copy, ...]


@dataclass(frozen=True)
class _Candidate:
    first: FilmPrint
    second: FilmPrint
    variant: Variant
    distance: int


def find_duplicates(
    looks: Sequence[FilmPrint],
    pool: ReaderPool,
    splits: SplitTable | None,
    step: Step | None = None,
) -> Duplicates:
    """Find films that are copies of each other, whoever's they are.

    Files of the same bytes are one film. Of the others, those whose 256-bit hashes differ in at
    most 44 bits, as they are, mirrored or inverted, are read again and compared pixel by pixel.

    Args:
        looks: the films, in the cohort's order.
        pool: confined processes that read the candidates again.
        splits: to say which splits a pair spans.
        step: called with (what, done, total).
    """
    groups = _Groups()
    copies: list[Copy] = []
    distinct: list[FilmPrint] = []
    by_bytes: dict[str, FilmPrint] = {}
    for look in looks:
        first = by_bytes.setdefault(look.sha256, look)
        if first is look:
            distinct.append(look)
        else:
            groups.join(first, look)
            same = _Candidate(first, look, Variant.SAME, 0)
            copies.append(_copy(same, splits, exact=True, correlation=1.0, detail=1.0))
    candidates = list(_candidates([look for look in distinct if look.hashes is not None], step))

    @lru_cache(maxsize=_REMEMBERED)
    def squares(path: Path) -> NDArray[np.uint8] | None:
        """Read a film again; None where it has gone since it was first read."""
        (result,) = pool.results([path], thumbnail_request)
        return None if isinstance(result, FilmError) else result.pixels

    for done, near in enumerate(candidates, start=1):
        if not groups.joined(near.first, near.second):
            one, other = squares(near.first.path), squares(near.second.path)
            if one is not None and other is not None:
                found = agreement(one, as_variant(other, near.variant))
                if found.copies:
                    groups.join(near.first, near.second)
                    correlation, detail = round(found.pixels, 4), round(found.detail, 4)
                    facts = {"correlation": correlation, "detail": detail}
                    copies.append(_copy(near, splits, exact=False, **facts))
        if step is not None:
            step("comparing candidates", done, len(candidates))
    return Duplicates(len(candidates), tuple(copies))


def _candidates(looks: Sequence[FilmPrint], step: Step | None) -> Iterator[_Candidate]:
    """Yield pairs of near hashes, the nearest first; each pair once, in its nearest variant."""
    if not looks:
        return
    hashes = np.array([look.hashes for look in looks], np.uint64)
    nearest: dict[tuple[int, int], tuple[int, Variant]] = {}
    for at, variant in enumerate(Variant):

        def advance(done: int, total: int, at: int = at) -> None:
            if step is not None:
                step("comparing films", at * total + done, len(Variant) * total)

        for i, j, distance in near_pairs(hashes[:, 0], hashes[:, at], LIMIT, advance).tolist():
            if distance < nearest.get((i, j), (LIMIT + 1, variant))[0]:
                nearest[i, j] = (distance, variant)
    for (i, j), (distance, variant) in sorted(nearest.items(), key=lambda at: (at[1][0], at[0])):
        yield _Candidate(looks[i], looks[j], variant, distance)


def _copy(
    near: _Candidate, splits: SplitTable | None, exact: bool, correlation: float, detail: float
) -> Copy:
    one, other = near.first.record, near.second.record

    def use(name: str) -> str | None:
        return None if splits is None else splits.films[name].split.value

    return Copy(
        first=one.image_id,
        second=other.image_id,
        first_patient=one.patient_id,
        second_patient=other.patient_id,
        first_split=use(one.image_id),
        second_split=use(other.image_id),
        variant=near.variant,
        exact=exact,
        distance=near.distance,
        correlation=correlation,
        detail=detail,
    )


class _Groups:
    """Groups of films already found to be one.

    So a film that is there a thousand times is compared a thousand times, not half a million.
    """

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, one: FilmPrint, other: FilmPrint) -> None:
        self._above[self._top(other)] = self._top(one)

    def joined(self, one: FilmPrint, other: FilmPrint) -> bool:
        return self._top(one) == self._top(other)

    def _top(self, look: FilmPrint) -> str:
        name = look.record.image_id
        while (above := self._above.get(name, name)) != name:
            name = above
        return name
