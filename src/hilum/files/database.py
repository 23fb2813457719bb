"""One SQLite file: its tables, one thread that writes, and connections that reads borrow."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hilum.domain.errors import UsageError

__all__ = ["Database", "Row", "Tables", "Values", "Write"]

T = TypeVar("T")
Row = sqlite3.Row
Values = Sequence[Any] | Mapping[str, Any]
Write = Callable[[sqlite3.Connection], T]

_BUSY_S = 10.0
"""Seconds to wait for another process, such as `hilum serve token`, that is writing."""
_READING = 4
"""Connections that read at a time; a read beyond them waits for one.

All are opened with the file, so that a server holds as many files after months as at its start.
"""


@dataclass(frozen=True)
class Tables:
    """The tables of a database file, and what to say of a file that has others.

    Attributes:
        statements: SQL that makes them, with `;` between.
        version: of the tables.
        noun: what the file is called, such as "a store".
        advice: what to do about a file that is not one.
    """

    statements: str
    version: int
    noun: str
    advice: str


class Database:
    """One SQLite file that several threads read and one writes.

    Each read borrows a connection of its own, and sees every write that has returned.
    Writes are functions of a connection; they run one after the other in one thread, each in a
    transaction of its own, which is on the disk (WAL, `synchronous=FULL`) when `write` returns.

    Args:
        path: the file, made with its tables where it is missing.
        tables: that it has.

    Raises:
        UsageError: for a file of another version, or that is no database.
    """

    def __init__(self, path: Path, tables: Tables) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(_READING)
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._writing: sqlite3.Connection | None = None
        self._writer = ThreadPoolExecutor(1, "database-writer")
        try:
            self.write(lambda connection: _make(connection, tables))
        except sqlite3.DatabaseError as error:
            self.close()
            raise UsageError(
                f"{tables.noun} must be one that hilum wrote; {path}: {error}. {tables.advice}"
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


def _make(connection: sqlite3.Connection, tables: Tables) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        for statement in tables.statements.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={tables.version}")
    elif version != tables.version:
        raise UsageError(
            f"{tables.noun} must be of version {tables.version}; this one is of {version}. Use the "
            f"hilum that wrote it. {tables.advice}"
        )
