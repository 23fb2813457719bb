"""One SQLite file: its tables, one thread that writes, and connections that reads borrow."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hilum.domain.errors import UsageError

__all__ = ["Database", "Row", "Values", "Write"]

T = TypeVar("T")
Row = sqlite3.Row
Values = Sequence[Any] | Mapping[str, Any]
Write = Callable[[sqlite3.Connection], T]

_VERSION = 1
_BUSY_S = 10.0
"""Seconds to wait for another process, such as `hilum serve token`, that is writing."""
_READING = 4
"""Connections that read at a time; a read beyond them waits for one.

All are opened with the store, so that a service holds as many files after months as at its start.
"""
_TABLES = """
CREATE TABLE film (
    id TEXT PRIMARY KEY, sha256 TEXT, name TEXT NOT NULL, suffix TEXT NOT NULL,
    size INTEGER NOT NULL, state TEXT NOT NULL, added REAL NOT NULL, bundle TEXT NOT NULL,
    place TEXT NOT NULL DEFAULT '', version INTEGER NOT NULL DEFAULT 0,
    readings INTEGER NOT NULL DEFAULT 0, conflict INTEGER NOT NULL DEFAULT 0,
    second_look INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE result (
    film TEXT NOT NULL, bundle TEXT NOT NULL, thresholds TEXT NOT NULL, line TEXT NOT NULL,
    status TEXT NOT NULL, view TEXT NOT NULL, patient TEXT NOT NULL, priority REAL,
    positives TEXT NOT NULL, near TEXT NOT NULL, scores TEXT NOT NULL,
    sop TEXT NOT NULL, pixels TEXT NOT NULL, made REAL NOT NULL,
    PRIMARY KEY (film, bundle)
) STRICT;
CREATE INDEX result_sop ON result (sop) WHERE sop <> '';
CREATE INDEX result_listed ON result
    (film, bundle, status, view, priority, positives, near, scores);
CREATE INDEX result_patient ON result (patient, film) WHERE patient <> '';
CREATE INDEX film_name ON film (name, id);
CREATE INDEX film_added ON film (added, id);
CREATE INDEX film_queued ON film (added, id) WHERE state = 'queued';
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY, film TEXT NOT NULL, version INTEGER NOT NULL, reader TEXT NOT NULL,
    made REAL NOT NULL, blinded INTEGER NOT NULL, bundle TEXT NOT NULL, thresholds TEXT NOT NULL,
    body TEXT NOT NULL, UNIQUE (film, version)
) STRICT;
CREATE INDEX verdict_reader ON verdict (reader, film);
CREATE TABLE box (
    verdict INTEGER NOT NULL, finding TEXT NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL
) STRICT;
CREATE INDEX box_verdict ON box (verdict);
CREATE TABLE event (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    film TEXT NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE INDEX event_film ON event (film);
CREATE TABLE token (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, parent INTEGER, name TEXT NOT NULL,
    reader TEXT NOT NULL, scopes TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE,
    created REAL NOT NULL, expires REAL, revoked REAL
) STRICT;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


class Database:
    """The one file of a store.

    Each read borrows a connection of its own, and sees every write that has returned.
    Writes are functions of a connection; they run one after the other in one thread, each in a
    transaction of its own, which is on the disk (WAL, `synchronous=FULL`) when `write` returns.

    Args:
        path: the file, made with its tables where it is missing.

    Raises:
        UsageError: for a file of another version, or that is no database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(_READING)
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._writing: sqlite3.Connection | None = None
        self._writer = ThreadPoolExecutor(1, "store-writer")
        try:
            self.write(_with_tables)
        except sqlite3.DatabaseError as error:
            self.close()
            raise UsageError(
                f"a store must be one that hilum wrote; {path}: {error}. Name another with --store"
            ) from None
        except UsageError:
            self.close()
            raise
        self._idle += [self._open() for _ in range(_READING)]

    def write(self, work: Write[T]) -> T:
        """Run a function in a transaction of the writer thread; wait until the disk has it."""
        return self._writer.submit(self._transact, work).result()

    def one(self, query: str, values: Values = ()) -> Row | None:
        """Return the first row of a query; None where there is none."""
        with self._lent() as connection:
            return connection.execute(query, values).fetchone()

    def all(self, query: str, values: Values = ()) -> list[Row]:
        """Return the rows of a query."""
        with self._lent() as connection:
            return connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Finish what is being written, and close all connections."""
        self._writer.shutdown(wait=True)
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in (*idle, *([self._writing] if self._writing is not None else ())):
            connection.close()

    def _transact(self, work: Write[T]) -> T:
        connection = self._writing = self._writing or self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    @contextmanager
    def _lent(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend a connection. Threads of a server come and go, and would leave theirs open.

        SQLite does not close the file of one while others of this process are open.
        """
        with self._free:
            with self._lock:
                lent = self._idle.pop() if self._idle else None
            lent = lent or self._open()  # a read that comes while the store closes
            try:
                yield lent
            finally:
                with self._lock:
                    if not self._closed:
                        self._idle.append(lent)
                if self._closed:
                    lent.close()

    def _open(self) -> sqlite3.Connection:
        made = sqlite3.connect(
            self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        made.row_factory = sqlite3.Row
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=FULL")
        return made


def _with_tables(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={_VERSION}")
    elif version != _VERSION:
        raise UsageError(
            f"a store must be of version {_VERSION}; this one is of {version}. Use the hilum that "
            "wrote it, or name another with --store"
        )
