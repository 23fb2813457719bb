"""The films of a list of any length: each once, in order and named, without holding them in memory.

Everything is sorted by SQLite in a file, with a cache of a few megabytes. Names are kept as bytes
whose order is that of Python's strings, those that are not UTF-8 too.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hilum.batch.inputs import Listed, SafeStem, deeper_name
from hilum.batch.walk import codes_of
from hilum.domain.errors import FilmError, ReasonCode, Status

__all__ = ["PlannedFilm", "arranged", "decoded", "encoded", "state_of"]

_CACHE_KIB = 8192
_TABLES = """
CREATE TABLE found (
    key BLOB, name BLOB, size INTEGER, etag TEXT, status TEXT, code TEXT, message BLOB);
CREATE TABLE film (
    id INTEGER PRIMARY KEY, name BLOB, size INTEGER, etag TEXT, status TEXT, code TEXT,
    message BLOB, image BLOB, again INTEGER, folded TEXT, alone INTEGER, clash INTEGER);
"""
_ONCE = """
INSERT INTO film
SELECT NULL, name, size, etag, status, code, message, last_parts(name, 1), 1, folded(name), 1, 0
FROM (SELECT *, row_number() OVER (PARTITION BY key ORDER BY status <> '', rowid) AS turn
      FROM found)
WHERE turn = 1 ORDER BY name
"""
"""Each film once: the first that is not refused, or else the first."""
_LIKE_A_MARK = re.compile("-[0-9a-f]{20}$")


class PlannedFilm(NamedTuple):
    """A film of a plan.

    Attributes:
        name: of the film, as it was listed.
        refusal: why it is not to be opened; None for a film to read.
        image_id: its name in the results; no other film of the plan has it.
        stem: what the names of its pictures begin with.
        size: bytes when it was listed; None where there was no such file.
        etag: what shows that it was changed since; empty where there was no such file.
    """

    name: str
    refusal: FilmError | None
    image_id: str
    stem: str
    size: int | None
    etag: str

    @property
    def listed(self) -> Listed:
        """The film as it was listed."""
        return Listed(Path(self.name), self.refusal, codes_of(self.name))


def encoded(name: str) -> bytes:
    r"""Return a name as bytes that sort as the name does.

    >>> encoded("a.png"), decoded(encoded("a\udcff.png")) == "a\udcff.png"
    (b'a.png', True)
    """
    return name.encode("utf-8", "surrogatepass")


def decoded(name: bytes) -> str:
    """Return the name that `encoded` made bytes of."""
    return name.decode("utf-8", "surrogatepass")


def arranged(films: Iterable[Listed], work: Path) -> Iterator[PlannedFilm]:
    """Yield each film once, in the order of the names, as results call it.

    Names are those of `image_ids` and `output_names`. Memory does not depend on the number.

    Args:
        films: in any order, some perhaps more than once.
        work: a file for the time of this, which must not exist. About 300 bytes a film.
    """
    with closing(sqlite3.connect(work, isolation_level=None)) as store:
        for word in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            store.execute(f"PRAGMA {word}")
        store.create_function("last_parts", 2, _last_parts, deterministic=True)
        store.create_function("parts", 1, _parts, deterministic=True)
        store.create_function("folded", 1, _folded, deterministic=True)
        store.create_function("marked", 1, _marked, deterministic=True)
        store.create_function("like_a_mark", 1, _like_a_mark, deterministic=True)
        store.executescript(_TABLES)
        store.execute("BEGIN")
        store.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?, ?, ?)", map(_found, films))
        store.execute(_ONCE)
        store.execute("DROP TABLE found")
        _tell_apart(store)
        _set_apart(store)
        yield from map(_planned, store.execute(_PLANNED))


def _found(item: Listed) -> tuple[object, ...]:
    """Return the row of a film that was found, with its size and state on disk."""
    name = str(item.path)
    key, refusal = encoded(os.path.abspath(name)), item.refusal  # noqa: PTH100 (links stay links)
    if refusal is not None:
        state = (None, "", refusal.status.value, refusal.code.value, encoded(refusal.message))
        return (key, encoded(name), *state)
    return (key, encoded(name), *state_of(name), "", "", b"")


def state_of(path: str | Path) -> tuple[int | None, str]:
    """Return the size of a file, and what changes when it is written; None without a file."""
    try:
        found = os.stat(path)  # noqa: PTH116 (a Path for each of millions is slow)
    except (OSError, ValueError):
        return None, ""
    return found.st_size, f"{found.st_mtime_ns:x}"


def _tell_apart(store: sqlite3.Connection) -> None:
    """Put as many folders before the names that several films have as tell them apart."""
    depth = 1
    while True:
        store.execute(
            "CREATE TEMP TABLE twice AS SELECT image FROM film GROUP BY image HAVING count(*) > 1"
        )
        store.execute(
            "UPDATE film SET again = 0 WHERE again AND NOT (image IN (SELECT image FROM twice) "
            "AND (?1 = 1 OR parts(name) > ?1))",
            (depth,),
        )
        store.execute("DROP TABLE twice")
        if store.execute("SELECT 1 FROM film WHERE again LIMIT 1").fetchone() is None:
            return
        depth += 1
        store.execute("UPDATE film SET image = last_parts(name, ?) WHERE again", (depth,))


def _set_apart(store: sqlite3.Connection) -> None:
    """Note which harmless stems another film has, or could get by its mark."""
    store.execute(
        "CREATE TEMP TABLE twice AS SELECT folded FROM film GROUP BY folded HAVING count(*) > 1"
    )
    store.execute("UPDATE film SET alone = 0 WHERE folded IN (SELECT folded FROM twice)")
    odd = "SELECT 1 FROM film WHERE alone AND like_a_mark(folded) LIMIT 1"
    if store.execute(odd).fetchone() is not None:
        store.execute(
            "UPDATE film SET clash = 1 WHERE alone AND like_a_mark(folded) AND folded IN "
            "(SELECT marked(name) FROM film)"
        )


_PLANNED = (
    "SELECT name, size, etag, status, code, message, image, alone AND NOT clash FROM film "
    "ORDER BY id"
)


def _planned(row: tuple[bytes, int | None, str, str, str, bytes, bytes, int]) -> PlannedFilm:
    name, size, etag, status, code, message, image, free = row
    path = decoded(name)
    safe = SafeStem.from_name(_base(path))
    refusal = None
    if status:
        refusal = FilmError(Status(status), ReasonCode(code), decoded(message))
    stem = safe.stem if free and safe.harmless else safe.marked(path)
    return PlannedFilm(path, refusal, decoded(image), stem, size, etag)


def _base(path: str) -> str:
    return path.rpartition("/")[2] if os.sep == "/" else Path(path).name


def _last_parts(name: bytes, depth: int) -> bytes:
    path = decoded(name)
    return encoded(_base(path) if depth == 1 else deeper_name(Path(path), depth))


def _parts(name: bytes) -> int:
    return len(Path(decoded(name)).parts)


def _folded(name: bytes) -> str:
    return SafeStem.from_name(_base(decoded(name))).folded


def _marked(name: bytes) -> str:
    path = decoded(name)
    return SafeStem.from_name(_base(path)).marked(path).lower()


def _like_a_mark(folded: str) -> bool:
    return _LIKE_A_MARK.search(folded) is not None
