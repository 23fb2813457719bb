"""The films of a folder: every file through all its levels, and what the others are.

A folder is not trusted: links in it may lead out of it or round in circles, and things that are no
files may have the names of films. None of this is dropped without a word: what is not read gets a
reason, and so gets a row.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.files.films import (
    FIGURES,
    RESULT_FOLDERS,
    holds_results,
    is_film,
    is_object_folder,
    is_result,
    suffix_of,
)

__all__ = ["SUFFIXES", "Listed", "PassedOver", "codes_of", "walk"]

SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".dcm", ".dicom", ""),
        *(".bmp", ".gif", ".webp", ".jp2"),
    }
)
"""Files that get a row whatever is in them; the content decides what they are. The second row are
pictures that are refused, with a row that says so. A file of a different suffix gets a row if it
begins as a film. A file named by the user is taken whatever its suffix."""


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


@dataclass
class PassedOver:
    """What a search found and gave no row: it is counted, and named to the user.

    Attributes:
        suffixes: files that do not begin as films, by suffix.
        hidden: hidden files and folders, and those that macOS leaves on foreign disks.
        results: folders with results of hilum, whose pictures are not films.
    """

    suffixes: Counter[str] = field(default_factory=Counter[str])
    hidden: int = 0
    results: list[str] = field(default_factory=list[str])

    def add_results(self, folder: str) -> None:
        """Note a folder with results of hilum, once."""
        if folder not in self.results:
            self.results.append(folder)

    def lines(self) -> list[str]:
        """Return what was passed over, in a line for each kind.

        >>> PassedOver(Counter({".txt": 2, ".csv": 1}), 1, ["in/report"]).lines()
        ['passed over, not films by their first bytes: 2 .txt, 1 .csv; 1 hidden',
         'passed over, results of hilum: the pictures in in/report']
        """
        found = [
            f"{count:,} {suffix.encode('ascii', 'backslashreplace').decode()[:16]!r}"
            if not suffix.isprintable()
            else f"{count:,} {suffix[:16] or 'without suffix'}"
            for suffix, count in self.suffixes.most_common(12)
        ]
        if len(self.suffixes) > len(found):
            rest = self.suffixes.total() - sum(n for _, n in self.suffixes.most_common(12))
            found.append(f"{rest:,} of other suffixes")
        parts = [f"not films by their first bytes: {', '.join(found)}"] if found else []
        parts += [f"{self.hidden:,} hidden"] if self.hidden else []
        lines = [f"passed over, {'; '.join(parts)}"] if parts else []
        if self.results:
            some = ", ".join(sorted(self.results)[:3]) + (", …" if len(self.results) > 3 else "")
            lines.append(f"passed over, results of hilum: the pictures in {some}")
        return lines


@dataclass(frozen=True)
class _Root:
    path: str
    """Folder where the search began, without links."""
    follow: bool
    passed: PassedOver

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


def walk(
    root: Path, follow_links: bool = False, passed: PassedOver | None = None
) -> Iterator[Listed]:
    """Yield every film below a folder, unordered, and every name there that is refused.

    Files count whose suffix is one of `SUFFIXES`, hidden ones too if they have one: `.DS_Store` is
    no film, and `.film.png` may be one. Other files count that begin as DICOM or as a picture,
    such as an export named by its UIDs. Hidden folders are passed over, what macOS leaves
    beside each file on a foreign disk (`._film.png`), and pictures that hilum wrote.
    A link counts as the file that it leads to, under its own name, where that lies in the folder
    too. A link that leads out of it is refused, unless links are followed. A folder is searched
    once, however many links lead to it.

    Args:
        root: the folder, which may itself be a link.
        follow_links: whether links may lead out of the folder.
        passed: where what gets no row is counted.
    """
    within = _Root(os.path.realpath(root), follow_links, passed or PassedOver())
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
        within.passed.hidden += 1
        return
    if entry.is_symlink():
        yield from _link(entry, within, queue)
    elif entry.is_dir(follow_symlinks=False):
        folder = os.path.dirname(entry.path)  # noqa: PTH120
        if name in RESULT_FOLDERS and holds_results(folder):
            within.passed.add_results(folder)
            return
        if is_object_folder(Path(entry.path)):
            within.passed.add_results(os.path.dirname(folder))  # noqa: PTH120
            return
        queue.plain.append(entry.path)
        if _suffix(name):  # it has the name of a film, and is none
            yield _odd(entry.path, "it is a folder; what is in it is listed on its own")
    elif entry.is_file(follow_symlinks=False):
        if name in FIGURES and is_result(Path(entry.path)):
            within.passed.add_results(os.path.dirname(entry.path))  # noqa: PTH120
        elif _suffix(name) is None:
            yield from _file(entry.path, within.passed)
        else:
            yield Listed(Path(entry.path), codes=codes_of(entry.path))
    elif _suffix(name) is not None:
        yield _odd(entry.path, "it is a pipe, socket or device")
    else:
        within.passed.suffixes[suffix_of(name)] += 1


def _file(path: str, passed: PassedOver) -> Iterator[Listed]:
    """List a file of unknown suffix that begins as a film; count any other."""
    try:
        film = is_film(path)
    except OSError as error:
        yield Listed(Path(path), _unreadable(error), codes_of(path))
        return
    if film:
        yield Listed(Path(path), codes=codes_of(path))
    else:
        passed.suffixes[suffix_of(path)] += 1


def _link(entry: os.DirEntry[str], within: _Root, queue: _Queue) -> Iterator[Listed]:
    path = entry.path
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        if _suffix(entry.name) is not None:
            yield Listed(Path(path), _unreadable(error), codes_of(path))
        else:
            within.passed.suffixes[suffix_of(path)] += 1
        return
    folder = stat.S_ISDIR(mode)
    inside = within.holds(path)
    if not folder and _suffix(entry.name) is None:
        if stat.S_ISREG(mode) and (inside or within.follow):
            yield from _file(path, within.passed)
        else:
            within.passed.suffixes[suffix_of(path)] += 1
        return
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
    suffix = suffix_of(name)
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
