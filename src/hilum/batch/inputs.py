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
from typing import Self, TypeVar

from hilum.batch.walk import Listed, PassedOver, codes_of, walk
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FILM_COLUMNS, stem_of
from hilum.files.films import RESULT_FOLDERS, film_beside, is_film, is_result
from hilum.files.lines import read_names

__all__ = ["Listed", "PassedOver", "Shard", "image_ids", "list_films", "output_names"]

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
    search = _Search(follow_links, passed or PassedOver())
    for name in named:
        for item in search.named(name):
            key = os.path.abspath(item.path)  # noqa: PTH100 (links stay links)
            known = found.get(key)
            # a link that a folder is refused for may be named by itself as well
            if known is None or (known.refusal is not None and item.refusal is None):
                found[key] = item
    if not found:
        nothing = "; ".join(["nothing", *search.passed.lines()])
        raise UsageError(f"there must be a film to score; {nothing} in {', '.join(named)}")
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


def _list(path: Path) -> list[Path] | None:
    """Return the films that a list names; None for a file that is not a list."""
    name = path.name.lower()
    if not name.endswith((*LISTS, ".txt")):
        return None
    try:
        if name.endswith(".txt") and is_film(path):
            return None
        listed = read_names(path, FILM_COLUMNS)
    except (OSError, DatasetError, UsageError) as error:
        if name.endswith(".txt"):  # it is a file like any other, and its row says what is wrong
            return None
        raise UsageError(f"a list of films must be CSV in UTF-8; {path}: {error}") from None
    films = _beside(path.parent, [name for _, name in listed.names])
    if listed.column or any(stem_of(film.name) != film.name or _exists(film) for film in films):
        return films
    if name.endswith(".txt"):
        return None
    raise UsageError(
        f"a list of films must have one of the columns {', '.join(FILM_COLUMNS)}, or a film on "
        f"each line; {path} has {listed.names[0][1][:60] if listed.names else 'none'}"
    )


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
        whole = film_beside(folder / name) or film_beside(folder / slashed)
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
            made[at] = "/".join(paths[at].parts[-depth:])
        counts = _counts(made)
        again = [at for at in again if counts[at] > 1 and len(paths[at].parts) > depth]
    return made


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
