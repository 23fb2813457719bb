"""The end of what is kept: bytes go by age, and never before what became of them was sent.

Rows and states stay, so that a film that comes again is known, and its results are not made twice.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from dataclasses import dataclass

from hilum.files.database import Database
from hilum.node.settings import Keeping
from hilum.node.spool import Spool

__all__ = ["Expired", "Keeper", "expire"]

_LOG = logging.getLogger(__package__)

_LOOK_S = 600.0
_DAY_S = 86400.0
_FILMS = """
size>0 AND state<>'ignored' AND received<?
AND EXISTS (SELECT 1 FROM study s WHERE s.number=film.study AND s.state='complete')
AND NOT EXISTS (SELECT 1 FROM object o LEFT JOIN delivery d ON d.object=o.number
    WHERE o.study=film.study
    AND coalesce(d.state, 'never') NOT IN ('sent', 'confirmed', 'superseded'))
"""
"""Films whose study has no object that is on its way, failed, or was for no destination."""
_OBJECTS = """
size>0 AND made<? AND NOT EXISTS (SELECT 1 FROM object o LEFT JOIN delivery d ON d.object=o.number
    WHERE o.number=object.number
    AND coalesce(d.state, 'never') NOT IN ('sent', 'confirmed', 'superseded'))
"""
_REFUSED = """
size>0 AND at<? AND sha256<>''
AND sha256 NOT IN (SELECT later.sha256 FROM refused later WHERE later.number>refused.number)
"""
"""The last of the refusals that share a file; rows before it have none of their own."""


@dataclass(frozen=True)
class Expired:
    """Hashes of what is no longer kept.

    Attributes:
        films: of complete studies whose results were sent.
        objects: that were sent to every destination.
        refused: that were kept apart for a human.
    """

    films: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.films or self.objects or self.refused)


def expire(database: Database, keeping: Keeping, now: float) -> Expired:
    """Mark what has reached its age, in one transaction; the files may go when this returns.

    A size of 0 says that the bytes are gone. Sizes and hashes of everything else stay.

    Args:
        database: the books of the node.
        keeping: the ages.
        now: seconds since 1970.
    """
    received, results = (
        None if days is None else now - days * _DAY_S
        for days in (keeping.received_days, keeping.results_days)
    )

    def work(connection: sqlite3.Connection) -> Expired:
        return Expired(
            _marked(connection, "film", _FILMS, received),
            _marked(connection, "object", _OBJECTS, results),
            _marked(connection, "refused", _REFUSED, received),
        )

    return database.write(work)


def _marked(
    connection: sqlite3.Connection, table: str, which: str, before: float | None
) -> tuple[str, ...]:
    """Mark the rows of a table that match, and return their hashes."""
    if before is None:
        return ()
    rows = connection.execute(
        f"UPDATE {table} SET size=0 WHERE {which} RETURNING sha256",  # noqa: S608
        (before,),
    ).fetchall()
    return tuple(row[0] for row in rows)


class Keeper:
    """Removes what has reached its age, at the start and every ten minutes.

    Args:
        keeping: the ages.
        database: the books of the node.
        spool: with the files.
    """

    def __init__(self, keeping: Keeping, database: Database, spool: Spool) -> None:
        self._keeping = keeping
        self._database = database
        self._spool = spool
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="keep")

    def start(self) -> None:
        """Remove until `stop`; nothing where no age is given."""
        if self._keeping.received_days is not None or self._keeping.results_days is not None:
            self._thread.start()

    def stop(self) -> None:
        """Stop after the file that is being removed."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def sweep(self, now: float) -> Expired:
        """Remove what has reached its age, and return what that was."""
        found = expire(self._database, self._keeping, now)
        places = (self._spool.film, self._spool.object, self._spool.refused)
        for place, hashes in zip(places, (found.films, found.objects, found.refused), strict=True):
            for sha256 in hashes:
                self._spool.remove(place(sha256))
        if found:
            _LOG.info(
                "removed by age: %d films, %d objects, %d refused",
                *(len(found.films), len(found.objects), len(found.refused)),
            )
        return found

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                self.sweep(time.time())
            except (OSError, sqlite3.Error) as error:
                _LOG.error("nothing was removed by age: %s", type(error).__name__)
            self._ended.wait(_LOOK_S)
