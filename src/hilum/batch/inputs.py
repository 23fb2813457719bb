"""List of films from the inputs that the user named."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from hilum.batch.walk import Listed, PassedOver, codes_of, walk
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FILM_COLUMNS, stem_of
from hilum.files.films import RESULT_FOLDERS, film_beside, is_film, is_result
from hilum.files.lines import open_names

__all__ = [
    "Listed",
    "PassedOver",
    "SafeStem",
    "Shard",
    "deeper_name",
    "each_film",
    "image_ids",
    "list_films",
    "nothing_listed",
    "output_names",
]

T = TypeVar("T")

LISTS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""Files that list films. A `.txt` is a list where one of its lines names a film."""


def list_films(
    named: Sequence[str], follow_links: bool = False, passed: PassedOver | None = None
) -> list[Listed]:
    """List the films named by files, folders, globs and lists, each once, by path.

    What is named itself is taken as it is, links too. Folders are searched as `walk` says; what is
    found there and not to be read is listed with the reason.

    Args:
        named: as the user wrote them.
        follow_links: whether links found in folders may lead out of them.
        passed: where what gets no row is counted.

    Raises:
        UsageError: when a name matches nothing, or a list has no column of films.
    """
    found: dict[str, Listed] = {}
    passed = passed or PassedOver()
    for item in each_film(named, follow_links, passed):
        key = os.path.abspath(item.path)  # noqa: PTH100 (links stay links)
        known = found.get(key)
        # a link that a folder is refused for may be named by itself as well
        if known is None or (known.refusal is not None and item.refusal is None):
            found[key] = item
    if not found:
        raise nothing_listed(named, passed)
    return [found[key] for key in sorted(found)]


def each_film(
    named: Sequence[str], follow_links: bool = False, passed: PassedOver | None = None
) -> Iterator[Listed]:
    """Yield the films of `list_films` as they are found: unordered, and some more than once.

    Raises:
        UsageError: as `list_films`, but for inputs without a film.
    """
    search = _Search(follow_links, passed or PassedOver())
    for name in named:
        yield from search.named(name)


def nothing_listed(named: Sequence[str], passed: PassedOver) -> UsageError:
    """Return the error for inputs in which there is no film."""
    nothing = "; ".join(["nothing", *passed.lines()])
    return UsageError(f"there must be a film to score; {nothing} in {', '.join(named)}")


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


@dataclass(frozen=True)
class _Search:
    follow: bool
    passed: PassedOver

    def named(self, name: str) -> Iterable[Listed]:
        """List what one name of the user stands for."""
        path = Path(name)
        # os.path says no where pathlib raises: for a name that is too long
        if os.path.isdir(path):  # noqa: PTH112
            return walk(path, self.follow, self.passed)
        if os.path.isfile(path):  # noqa: PTH113
            films = _list(path)
            return [_film(path)] if films is None else map(_film, films)
        if not os.path.lexists(path) and glob.has_magic(name):
            return self._matching(name)
        return [_film(path)]

    def _matching(self, pattern: str) -> Iterator[Listed]:
        found = False
        matches = map(Path, glob.iglob(pattern))  # noqa: PTH207 (which passes over hidden files)
        for match in _recursive(pattern) if "**" in pattern else matches:
            found = True
            if match.is_dir():
                yield from walk(match, self.follow, self.passed)
            elif not is_result(match):
                yield _film(match)
            else:
                up = match.parent.parent if match.parent.name in RESULT_FOLDERS else match.parent
                self.passed.add_results(str(up))
        if not found:
            raise UsageError(f"a pattern must match something; '{pattern}' matches no file")


def _film(path: Path) -> Listed:
    return Listed(path, codes=codes_of(str(path)))


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


def _list(path: Path) -> Iterable[Path] | None:
    """Return the films that a list names; None for a file that is not a list.

    The list is read twice: to see that it is one, and then for its films, one at a time.
    """
    name = path.name.lower()
    if not name.endswith((*LISTS, ".txt")):
        return None
    try:
        if name.endswith(".txt") and is_film(path):
            return None
        column, first, drives = _checked(path)
    except (OSError, DatasetError, UsageError) as error:
        if name.endswith(".txt"):  # it is a file like any other, and its row says what is wrong
            return None
        raise UsageError(f"a list of films must be CSV in UTF-8; {path}: {error}") from None
    films = _Films(path, drives)
    if column or any(stem_of(film.name) != film.name or _exists(film) for film in films):
        return films
    if name.endswith(".txt"):
        return None
    raise UsageError(
        f"a list of films must have one of the columns {', '.join(FILM_COLUMNS)}, or a film on "
        f"each line; {path} has {first[:60] or 'none'}"
    )


def _checked(path: Path) -> tuple[str, str, bool]:
    """Return a list's column, its first name, and whether any name begins with a drive."""
    first, drives = "", False
    with open_names(path, FILM_COLUMNS) as (column, rows):
        for _, name, _ in rows:
            first = first or name
            drives = drives or _DRIVE.match(name.replace("\\", "/")) is not None
    return column, first, drives


@dataclass(frozen=True)
class _Films:
    """The films of a list, read from it each time.

    Attributes:
        path: of the list.
        drives: whether names begin with a drive: where such a film is depends on all others.
    """

    path: Path
    drives: bool

    def __iter__(self) -> Iterator[Path]:
        folder = self.path.parent
        with open_names(self.path, FILM_COLUMNS) as (_, rows):
            if self.drives:
                yield from _beside(folder, [name for _, name, _ in rows])
                return
            for _, name, _ in rows:
                yield _whole(folder, name, name.replace("\\", "/")) or folder / name


def _whole(folder: Path, name: str, slashed: str) -> Path | None:
    """Return the film of a name as it stands, or as Windows writes it; None where none is there."""
    film = film_beside(folder / name)
    return film if film is not None or slashed == name else film_beside(folder / slashed)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)  # which says no where pathlib raises: for a name that is too long


def _beside(folder: Path, names: Sequence[str]) -> list[Path]:
    r"""Find films as a list names them, from its folder; the names themselves where none is there.

    A path of Windows is read as such where no file has that very name. Of one that begins with a
    drive, the end counts that is here, as in `D:\study\images\1.png`, if no other has it.
    """
    found: list[tuple[Path, bool]] = []
    for name in names:
        slashed = name.replace("\\", "/")
        whole = _whole(folder, name, slashed)
        ending = _ending(folder, slashed) if whole is None and _DRIVE.match(slashed) else None
        found.append((whole or ending or folder / name, ending is not None))
    counts = Counter(path for path, _ in found)
    return [
        folder / name if ended and counts[path] > 1 else path
        for name, (path, ended) in zip(names, found, strict=True)
    ]


def _ending(folder: Path, name: str) -> Path | None:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        return None
    endings = (film_beside(folder.joinpath(*parts[start:])) for start in range(1, len(parts)))
    return next((film for film in endings if film is not None), None)


_DRIVE = re.compile("[A-Za-z]:/|//")

_UNSAFE = re.compile("[^A-Za-z0-9._-]")
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))}
)
"""Names that Windows takes for devices, whatever their suffix."""


def image_ids(paths: Sequence[Path]) -> list[str]:
    """Return the name of each film in the results: its file's, unique in the batch.

    Where several files have one name, as `I1` in an export, as many folders stand before it as it
    takes to tell them apart.

    Args:
        paths: each once.

    >>> image_ids([Path("a/S1/I1"), Path("a/S2/I1"), Path("a/x.png")])
    ['S1/I1', 'S2/I1', 'x.png']
    """
    made = [path.name for path in paths]
    depth, again = 1, [at for at, count in enumerate(_counts(made)) if count > 1]
    while again:
        depth += 1
        for at in again:
            made[at] = deeper_name(paths[at], depth)
        counts = _counts(made)
        again = [at for at in again if counts[at] > 1 and len(paths[at].parts) > depth]
    return made


def deeper_name(path: Path, depth: int) -> str:
    """Return the last parts of a path.

    >>> deeper_name(Path("a/S1/I1"), 2)
    'S1/I1'
    """
    return "/".join(path.parts[-depth:])


def _counts(words: Sequence[str]) -> list[int]:
    counts = Counter(words)
    return [counts[word] for word in words]


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
    films = [SafeStem.from_name(path.name) for path in paths]
    # not every file system is case-sensitive
    counts = Counter(film.folded for film in films)
    marked = [film.marked(str(path)) for path, film in zip(paths, films, strict=True)]
    # a film may be called what another one gets
    used = {name.lower() for name in marked}
    return [
        film.stem
        if film.harmless and counts[film.folded] == 1 and film.folded not in used
        else name
        for film, name in zip(films, marked, strict=True)
    ]


class SafeStem(NamedTuple):
    """What is harmless of a film's name.

    Attributes:
        stem: letters, digits, and `._-`, at most 68 of them.
        harmless: whether that is the name itself, and no device of Windows.
    """

    stem: str
    harmless: bool

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Return the harmless part of the name of a file.

        >>> SafeStem.from_name("y z.png")
        SafeStem(stem='y_z', harmless=False)
        """
        dot = name.rfind(".")
        whole = name[:dot] if 0 < dot < len(name) - 1 else name  # as pathlib has it, ten times fast
        stem = _UNSAFE.sub("_", whole).strip(".")[:68]
        return cls(stem, bool(stem) and stem == whole and not _is_device(stem))

    @property
    def folded(self) -> str:
        """The stem in small letters, as some file systems compare it."""
        return self.stem.lower()

    def marked(self, path: str) -> str:
        """Return the stem with a hash of the path, which no other film gets.

        It has 80 bits: among a million names a collision has odds of 1 to 10^12.
        """
        stem = f"_{self.stem}" if _is_device(self.stem) else self.stem
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()
        return f"{stem or 'film'}-{digest[:20]}"


def _is_device(stem: str) -> bool:
    return stem.split(".")[0].lower() in _RESERVED
