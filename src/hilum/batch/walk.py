"""The films of a folder: every file through all its levels, and what the others are.

A folder is not trusted: links in it may lead out of it or round in circles, and things that are no
files may have the names of films. None of this is dropped without a word: what is not read gets a
reason, and so gets a row.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import FilmError, ReasonCode, Status

__all__ = ["SUFFIXES", "Listed", "codes_of", "walk"]

SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".dcm", ".dicom", ""),
        *(".bmp", ".gif", ".webp", ".jp2"),
    }
)
"""Files that a folder is searched for; the content decides what they are. The second row are
pictures that are refused, with a row that says so. A file named by the user is taken whatever its
suffix."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One input of a batch.

    Attributes:
        path: of the file, as it was named or found.
        refusal: why it is not even to be opened; None for a film to read.
        codes: what the reader must see next to its score.
    """

    path: Path
    refusal: FilmError | None = None
    codes: tuple[ReasonCode, ...] = ()


@dataclass(frozen=True)
class _Root:
    path: str
    """Folder where the search began, without links."""
    follow: bool

    def holds(self, path: str) -> bool:
        """Return whether what a path leads to lies in the folder searched."""
        there = os.path.realpath(path)
        return there == self.path or there.startswith(self.path.rstrip(os.sep) + os.sep)


@dataclass(frozen=True)
class _Queue:
    """Folders to search.

    Links come last and in order, so that the path under which a film is found does not depend on
    the order in which the disk tells its names.
    """

    plain: list[str]
    links: list[str]

    def take(self) -> tuple[str, bool] | None:
        """Return a folder, and whether no link led to it; None when all are done."""
        if self.plain:
            return self.plain.pop(), True
        if not self.links:
            return None
        self.links.sort(reverse=True)
        return self.links.pop(), False


def walk(root: Path, follow_links: bool = False) -> Iterator[Listed]:
    """Yield every film below a folder, unordered, and every name there that is refused.

    Files count whose suffix is one of `SUFFIXES`, hidden ones too if they have one: `.DS_Store` is
    no film, and `.film.png` may be one. Hidden folders are passed over, and what macOS leaves
    beside each file on a foreign disk (`._film.png`).
    A link counts as the file that it leads to, under its own name, where that lies in the folder
    too. A link that leads out of it is refused, unless links are followed. A folder is searched
    once, however many links lead to it.

    Args:
        root: the folder, which may itself be a link.
        follow_links: whether links may lead out of the folder.
    """
    within = _Root(os.path.realpath(root), follow_links)
    seen: set[tuple[int, int]] = set()
    queue = _Queue([str(root)], [])
    while (next_folder := queue.take()) is not None:
        folder, plain = next_folder
        try:
            found = os.stat(folder)  # noqa: PTH116 (a Path for every folder of millions is slow)
            if (found.st_dev, found.st_ino) in seen:
                # a plain folder is met again only where a link led into it before
                if not plain:
                    yield _loop(folder)
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    yield from _entry(entry, within, queue)
        except OSError as error:
            yield Listed(Path(folder), _unreadable(error), codes_of(folder))


def _entry(entry: os.DirEntry[str], within: _Root, queue: _Queue) -> Iterator[Listed]:
    """Classify one name in a folder; a folder to search is added to the queue."""
    name = entry.name
    if name.startswith(".") and (
        not _suffix(name) or name.startswith("._") or entry.is_dir(follow_symlinks=False)
    ):
        return
    if entry.is_symlink():
        yield from _link(entry, within, queue)
    elif entry.is_dir(follow_symlinks=False):
        queue.plain.append(entry.path)
        if _suffix(name):  # it has the name of a film, and is none
            yield _odd(entry.path, "it is a folder; what is in it is listed on its own")
    elif _suffix(name) is not None:
        if entry.is_file(follow_symlinks=False):
            yield Listed(Path(entry.path), codes=codes_of(entry.path))
        else:
            yield _odd(entry.path, "it is a pipe, socket or device")


def _link(entry: os.DirEntry[str], within: _Root, queue: _Queue) -> Iterator[Listed]:
    path = entry.path
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        if _suffix(entry.name) is not None:
            yield Listed(Path(path), _unreadable(error), codes_of(path))
        return
    folder = stat.S_ISDIR(mode)
    if not folder and _suffix(entry.name) is None:
        return
    inside = within.holds(path)
    if not inside and not within.follow:
        yield Listed(Path(path), _outside(), codes_of(path))
    elif folder and inside:
        yield _loop(path)
    elif folder:
        queue.links.append(path)
    elif stat.S_ISREG(mode):
        yield Listed(Path(path), codes=codes_of(path))
    else:
        yield _odd(path, "it leads to a pipe, socket or device")


def _suffix(name: str) -> str | None:
    """Return the suffix that makes a file count; None for one that does not."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of millions is slow)
    return suffix if suffix in SUFFIXES else None


def codes_of(path: str) -> tuple[ReasonCode, ...]:
    r"""Return the reason codes of a name alone.

    >>> codes_of("a.png"), codes_of("a\udcff.png")
    ((), (<ReasonCode.NAME_NOT_UTF8: 'NAME_NOT_UTF8'>,))
    """
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return (ReasonCode.NAME_NOT_UTF8,)
    return ()


def _loop(path: str) -> Listed:
    reason = "the link leads back into the folder that is searched, where its films are listed"
    return Listed(
        Path(path), FilmError(Status.SKIP, ReasonCode.SYMLINK_LOOP, reason), codes_of(path)
    )


def _odd(path: str, reason: str) -> Listed:
    refusal = FilmError(Status.SKIP, ReasonCode.NOT_REGULAR_FILE, reason)
    return Listed(Path(path), refusal, codes_of(path))


def _outside() -> FilmError:
    """Return the refusal, without the target: a report must not show what else the machine has."""
    reason = (
        "the link leads out of the folder that is searched; --follow-links reads it all the same"
    )
    return FilmError(Status.REJECT, ReasonCode.SYMLINK_OUTSIDE_ROOT, reason)


def _unreadable(error: OSError) -> FilmError:
    if error.errno == errno.ELOOP:
        return FilmError(Status.SKIP, ReasonCode.SYMLINK_LOOP, "the link leads back to itself")
    if isinstance(error, FileNotFoundError):
        reason = "there is nothing where its name leads"
        return FilmError(Status.ERROR, ReasonCode.FILE_NOT_FOUND, reason)
    if isinstance(error, PermissionError):
        reason = "the folder or what the link leads to may not be read"
        return FilmError(Status.ERROR, ReasonCode.PERMISSION_DENIED, reason)
    return FilmError(Status.ERROR, ReasonCode.READ_FAILED, error.strerror or "it cannot be read")
