"""One film, many spellings of its name: folders in front, another suffix, part of a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

__all__ = ["FilmNames", "Found"]

_SUFFIX = re.compile(r"\.(png|jpe?g|dcm|dicom|tiff?)$", re.IGNORECASE)
_MANY = -1


class Found(NamedTuple):
    """The film that a name refers to.

    Attributes:
        row: the film's row; None where no film, or more than one, has the name.
        parts: how many last parts of the paths agree, where neither path holds the other; else 0.
        many: more than one film fits.
    """

    row: int | None
    parts: int = 0
    many: bool = False


class FilmNames:
    r"""The names of some films, to be found again under other people's spellings.

    A name is looked for, in this order, as it is; then without image suffix as the end of the
    requested path (`data/images/1.png` for film `1.png`); then the other way round, where one film
    only ends with it (`1.png` for film `images/1.png`). Where neither path holds the other, their
    last parts must agree, as many as it takes to tell all films here apart: of
    `valid/patient1/study1/view1_frontal.jpg` the file name alone says nothing.

    >>> films = FilmNames(["valid/patient1/study1/view1.jpg", "valid/patient2/study1/view1.jpg"])
    >>> films.find("CheXpert-v1.0-small/valid/patient2/study1/view1.jpg").row
    1
    >>> films.find("patient1\\study1\\view1.png").row
    0
    >>> films.find("view1.jpg")
    Found(row=None, parts=0, many=True)
    >>> films.find("elsewhere/patient2/study1/view1.jpg")
    Found(row=1, parts=3, many=False)
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._exact = {name: row for row, name in enumerate(self._names)}
        self._endings: dict[int, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def find(self, name: str) -> Found:
        """Return the film that a name refers to."""
        row = self._exact.get(name)
        if row is not None:
            return Found(row)
        parts = _parts(name)
        for start in range(len(parts)):
            row = self._whole.get("/".join(parts[start:]))
            if row is not None:
                return _found(row)
        row = self._ending(len(parts)).get("/".join(parts))
        if row is not None:
            return _found(row)
        depth = self._depth
        if not 0 < depth < len(parts):
            return Found(None)
        row = self._ending(depth).get("/".join(parts[-depth:]))
        return Found(None) if row is None else Found(row, depth)

    @cached_property
    def _whole(self) -> dict[str, int]:
        return _index("/".join(_parts(name)) for name in self._names)

    @cached_property
    def _depth(self) -> int:
        """Number of last path parts that distinguish all films; 0 where there is none."""
        longest = max((len(_parts(name)) for name in self._names), default=0)
        for depth in range(1, longest):
            if _MANY not in self._ending(depth).values():
                return depth
        return 0

    def _ending(self, depth: int) -> dict[str, int]:
        """Return the last parts of each longer name, mapped to its row."""
        if depth not in self._endings:
            self._endings[depth] = _index(
                "/".join(parts[-depth:]) if 0 < depth < len(parts := _parts(name)) else None
                for name in self._names
            )
        return self._endings[depth]


def _parts(name: str) -> Sequence[str]:
    path = _SUFFIX.sub("", name.strip().replace("\\", "/"))
    return [part for part in path.split("/") if part not in ("", ".")]


def _index(keys: Iterable[str | None]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key is not None:
            rows[key] = _MANY if key in rows else row
    return rows


def _found(row: int) -> Found:
    return Found(None, many=True) if row == _MANY else Found(row)
