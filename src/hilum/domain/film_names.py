"""One film, many spellings of its name: folders in front, another suffix, part of a path."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

__all__ = ["FILM_COLUMNS", "FILM_SUFFIXES", "FilmNames", "Found", "stem_of"]

FILM_COLUMNS = (
    *("path", "Image Index", "image_id", "image", "image_name", "film", "filename", "file"),
    *("file_path", "file_name", "image_path", "img_path", "dicom_id", "SOPInstanceUID"),
    *("input", "patientId"),
)
"""Names of the column that names films in a list, in order of preference; case, blanks and
underscores do not matter."""

FILM_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".dcm", ".dicom", ".dic"),
    *(".ima", ".dcm30", ".acr", ".img", ".bmp", ".gif", ".webp", ".jp2"),
)
"""Suffixes that a film's name may have here and lack, or have otherwise, there."""
_SUFFIX = re.compile(rf"({'|'.join(map(re.escape, FILM_SUFFIXES))})$", re.IGNORECASE)
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
    `valid/patient1/study1/view1_frontal.jpg` the file name alone says nothing. Last, all this is
    tried without regard to capitals and to how accents are encoded; where that fits two films,
    neither is guessed.

    >>> films = FilmNames(["valid/patient1/study1/view1.jpg", "valid/patient2/study1/view1.jpg"])
    >>> films.find("CheXpert-v1.0-small/valid/patient2/study1/view1.jpg").row
    1
    >>> films.find("patient1\\study1\\view1.png").row
    0
    >>> films.find("view1.jpg")
    Found(row=None, parts=0, many=True)
    >>> films.find("elsewhere/patient2/study1/view1.jpg")
    Found(row=1, parts=3, many=False)
    >>> films.find("VALID\\PATIENT2\\STUDY1\\VIEW1.JPG").row
    1
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._exact = _index(self._names)
        self._endings: dict[int, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def find(self, name: str) -> Found:
        """Return the film that a name refers to."""
        found = self._find(name)
        if found.row is not None or found.many:
            return found
        return self._folded._find(_folded(name))

    @cached_property
    def _folded(self) -> FilmNames:
        """The same films under folded names, of which two may be one."""
        folded = [_folded(name) for name in self._names]
        return self if folded == self._names else FilmNames(folded)

    def _find(self, name: str) -> Found:
        row = self._exact.get(name)
        if row is not None:
            return _found(row)
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


def stem_of(name: str) -> str:
    """Return a name without the suffix of a film; a UID keeps its last number.

    >>> stem_of("a.PNG"), stem_of("1.2.840.113619"), stem_of("1.2.840.dcm")
    ('a', '1.2.840.113619', '1.2.840')
    """
    return _SUFFIX.sub("", name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _parts(name: str) -> Sequence[str]:
    path = stem_of(name.strip().replace("\\", "/"))
    return [part for part in path.split("/") if part not in ("", ".")]


def _index(keys: Iterable[str | None]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key is not None:
            rows[key] = _MANY if key in rows else row
    return rows


def _found(row: int) -> Found:
    return Found(None, many=True) if row == _MANY else Found(row)
