"""List of films from the inputs that the user named."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from hilum.batch.walk import Listed, codes_of, walk
from hilum.domain.errors import UsageError

__all__ = ["Listed", "Shard", "list_films", "output_names"]

T = TypeVar("T")

COLUMNS = ("path", "Path", "Image Index", "image_id", "Image_ID", "input")
"""Columns of a CSV list that may name the films."""


def list_films(named: Sequence[str], follow_links: bool = False) -> list[Listed]:
    """List the films named by files, folders, globs and CSV lists, each once, by path.

    What is named itself is taken as it is, links too. Folders are searched as `walk` says; what is
    found there and not to be read is listed with the reason.

    Args:
        named: as the user wrote them.
        follow_links: whether links found in folders may lead out of them.

    Raises:
        UsageError: when a name matches nothing, or a list has no column of films.
    """
    found: dict[str, Listed] = {}
    for name in named:
        for item in _named(name, follow_links):
            key = os.path.abspath(item.path)  # noqa: PTH100 (links stay links)
            known = found.get(key)
            # a link that a folder is refused for may be named by itself as well
            if known is None or (known.refusal is not None and item.refusal is None):
                found[key] = item
    if not found:
        raise UsageError(f"there must be a film to score; nothing in {', '.join(named)}")
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a list, for as many machines or processes.

    Attributes:
        index: which part, from 1.
        count: of how many.

    >>> shard = Shard.parse("2/3")
    >>> shard.of(["a", "b", "c", "d", "e"])
    ['b', 'e']
    """

    index: int
    count: int

    @classmethod
    def parse(cls, word: str) -> Self:
        """Return the part that `2/3` names.

        Raises:
            UsageError: for anything else.

        >>> Shard.parse("3/3")
        Shard(index=3, count=3)
        """
        read = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", word)
        if read is None or not 1 <= int(read[1]) <= int(read[2]):
            raise UsageError(f"a shard must read i/n with 1 <= i <= n, such as 2/3; got {word!r}")
        return cls(int(read[1]), int(read[2]))

    def of(self, items: Sequence[T]) -> list[T]:
        """Return every n-th of the items, from the i-th.

        The parts together are the whole list, and each item is in one of them. It counts places of
        the whole list, so every part must be cut from the same one.
        """
        return list(items[self.index - 1 :: self.count])


def _named(name: str, follow_links: bool) -> Iterable[Listed]:
    path = Path(name)
    # os.path says no where pathlib raises: for a name that is too long
    if os.path.isdir(path):  # noqa: PTH112
        return walk(path, follow_links)
    if path.suffix.lower() == ".csv" and os.path.isfile(path):  # noqa: PTH113
        return (_film(film) for film in _csv(path))
    if not os.path.lexists(path) and glob.has_magic(name):
        return _matching(name, follow_links)
    return [_film(path)]


def _film(path: Path) -> Listed:
    return Listed(path, codes=codes_of(str(path)))


def _matching(pattern: str, follow_links: bool) -> Iterator[Listed]:
    found = False
    matches = map(Path, glob.iglob(pattern))  # noqa: PTH207 (which does not pass over hidden files)
    for match in _recursive(pattern) if "**" in pattern else matches:
        found = True
        if match.is_dir():
            yield from walk(match, follow_links)
        else:
            yield _film(match)
    if not found:
        raise UsageError(f"a pattern must match something; '{pattern}' matches no file")


def _recursive(pattern: str) -> Iterator[Path]:
    """List matches of a pattern with `**`. `glob` would follow links there in a loop."""
    path = Path(pattern)
    root, parts = Path(path.anchor), path.parts[1:] if path.anchor else path.parts
    hidden = any(part.startswith(".") for part in parts)
    try:
        for match in root.glob(str(Path(*parts))):
            below = match.relative_to(root).parts
            if hidden or not any(part.startswith(".") for part in below):
                yield match
    except ValueError as error:
        raise UsageError(f"a pattern must be one of a path; '{pattern}': {error}") from None


def _csv(path: Path) -> list[Path]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            column = next((c for c in COLUMNS if c in (reader.fieldnames or ())), None)
            if column is None:
                raise UsageError(
                    f"a list of films must have one of the columns {', '.join(COLUMNS)}; {path} "
                    f"has {', '.join(reader.fieldnames or ()) or 'none'}"
                )
            names = [row[column] for row in reader if row[column]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"a list of films must be CSV in UTF-8; {path}: {error}") from None
    return [Path(name) if Path(name).is_absolute() else path.parent / name for name in names]


_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))}
)
"""Names that Windows takes for devices, whatever their suffix."""


def output_names(paths: Sequence[Path]) -> list[str]:
    """Return a safe, short and unique stem for what is written of each film.

    The file's own name where it is harmless and nobody else has it, or could get it; else what is
    harmless of it and a hash of the path. Names from outside never become paths. A name depends on
    the list: of films that are scored in parts, ask for the names of the whole list.

    Args:
        paths: each once.

    >>> output_names([Path("a/x.png"), Path("b/y z.png")])
    ['x', 'y_z-eceab1eddb31b9a13b2c']
    """
    stems = [re.sub(r"[^A-Za-z0-9._-]", "_", path.stem).strip(".")[:68] for path in paths]
    # not every file system is case-sensitive
    counts = Counter(stem.lower() for stem in stems)
    marked = [_marked(path, stem) for path, stem in zip(paths, stems, strict=True)]
    # a film may be called what another one gets
    used = {name.lower() for name in marked}
    return [
        stem
        if _harmless(path, stem) and counts[stem.lower()] == 1 and stem.lower() not in used
        else name
        for path, stem, name in zip(paths, stems, marked, strict=True)
    ]


def _harmless(path: Path, stem: str) -> bool:
    return bool(stem) and stem == path.stem and stem.split(".")[0].lower() not in _RESERVED


def _marked(path: Path, stem: str) -> str:
    """Append a hash of 80 bits: among a million names a collision has odds of 1 to 10^12."""
    if stem.split(".")[0].lower() in _RESERVED:
        stem = f"_{stem}"
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    return f"{stem or 'film'}-{digest[:20]}"
