"""Findings that occur together: a square of counts, and the pairs in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

__all__ = ["FindingPair", "FindingSquare"]


@dataclass(frozen=True)
class FindingPair:
    """Number of films that have two findings, and its shade from 0 (none) to 3."""

    first: str
    second: str
    films: int
    shade: int


@dataclass(frozen=True)
class FindingSquare:
    """Counts of films that have two findings, the most frequent finding first.

    Attributes:
        names: the findings of rows and columns.
        rows: name and cells of each row; on the diagonal all films with the finding.
        pairs: each pair that occurs, once, the most frequent first.
    """

    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[FindingPair]]]
    pairs: Sequence[FindingPair]

    @classmethod
    def of(cls, films: Mapping[str, int], together: Callable[[str, str], int]) -> Self | None:
        """Return the square; None where no film has two findings.

        Args:
            films: how many have each finding; those with none are left out.
            together: how many have both.
        """
        own = {name: count for name, count in films.items() if count}
        names = sorted(own, key=lambda name: -own[name])
        most = max((together(a, b) for a in names for b in names if a != b), default=0)
        if not most:
            return None

        def pair(first: str, second: str) -> FindingPair:
            count = own[first] if first == second else together(first, second)
            return FindingPair(first, second, count, math.ceil(3 * min(count / most, 1.0)))

        rows = [(first, [pair(first, second) for second in names]) for first in names]
        found = [one for k, (_, cells) in enumerate(rows) for one in cells[k + 1 :] if one.films]
        return cls(names, rows, sorted(found, key=lambda one: -one.films))
