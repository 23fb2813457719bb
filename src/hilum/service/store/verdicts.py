"""Readings of films in the store: versions that are only ever added."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hilum.files.database import Database, Row
from hilum.service.store.events import Happening, append_event, digest_of

__all__ = [
    "NewVerdict",
    "StaleVersionError",
    "StoredVerdict",
    "StoredVerdicts",
    "differ",
    "newest_of_each",
]

_OPEN = "not_judged"


class StaleVersionError(Exception):
    """A reading that was based on a version which is no longer the newest that its reader may see.

    Attributes:
        current: version that it should have been based on.
    """

    def __init__(self, current: int) -> None:
        super().__init__(f"version {current}")
        self.current = current


@dataclass(frozen=True)
class NewVerdict:
    """A reading to add.

    Attributes:
        film: id of the film.
        reader: pseudonym.
        base: version that the reader saw; 0 for none.
        blinded: it is given before any score of the film was shown to this reader.
        bundle, thresholds: of the result that the reading stands beside; empty without one.
        body: the reading, as plain values.
        boxes: finding and (x, y, width, height) as shares of the film.
    """

    film: str
    reader: str
    base: int
    blinded: bool
    bundle: str
    thresholds: str
    body: Mapping[str, Any]
    boxes: Sequence[tuple[str, float, float, float, float]] = ()


@dataclass(frozen=True)
class StoredVerdict:
    """One version of a film's readings."""

    film: str
    version: int
    reader: str
    made: float
    blinded: bool
    bundle: str
    thresholds: str
    body: dict[str, Any]

    @classmethod
    def of(cls, row: Row) -> StoredVerdict:
        """Return the reading of a row."""
        return cls(
            **{name: row[name] for name in ("film", "version", "reader", "made")},
            blinded=bool(row["blinded"]),
            bundle=row["bundle"],
            thresholds=row["thresholds"],
            body=json.loads(row["body"]),
        )


class StoredVerdicts:
    """Readings.

    Args:
        database: of the store.
        apart: each reader's first reading of a film is independent: it follows no version of
            another reader, since it may not see one.
    """

    def __init__(self, database: Database, apart: bool) -> None:
        self._database = database
        self._apart = apart

    def add(self, verdict: NewVerdict) -> StoredVerdict:
        """Add a reading as the film's next version.

        Raises:
            StaleVersionError: when it is based on a different version than the newest.
            LookupError: when the film is not here.
        """
        return self._database.write(lambda connection: self._add(connection, verdict))

    def current(self, film: str, reader: str) -> int:
        """Return the newest version that a reader may see; 0 for none."""
        if self._apart and not self.has_read(film, reader):
            return 0
        row = self._database.one("SELECT version FROM film WHERE id=?", (film,))
        return 0 if row is None else row["version"]

    def has_read(self, film: str, reader: str) -> bool:
        """Return whether a reader has read a film."""
        query = "SELECT 1 FROM verdict WHERE film=? AND reader=? LIMIT 1"
        return self._database.one(query, (film, reader)) is not None

    def history(self, film: str) -> list[StoredVerdict]:
        """Return all versions of a film, oldest first."""
        query = "SELECT * FROM verdict WHERE film=? ORDER BY version"
        return [StoredVerdict.of(row) for row in self._database.all(query, (film,))]

    def version(self, film: str, version: int) -> StoredVerdict | None:
        """Return one version; None where there is none."""
        row = self._database.one(
            "SELECT * FROM verdict WHERE film=? AND version=?", (film, version)
        )
        return None if row is None else StoredVerdict.of(row)

    def everything(self) -> Iterator[tuple[str, StoredVerdict]]:
        """Yield every version of every film with the film's name, by film and version."""
        query = (
            "SELECT v.*, f.name FROM verdict v JOIN film f ON f.id=v.film "
            "ORDER BY f.name, v.film, v.version"
        )
        for row in self._database.all(query):
            yield row["name"], StoredVerdict.of(row)

    def _add(self, connection: sqlite3.Connection, verdict: NewVerdict) -> StoredVerdict:
        film = connection.execute(
            "SELECT version FROM film WHERE id=? AND state<>'deleted'", (verdict.film,)
        ).fetchone()
        if film is None:
            raise LookupError(verdict.film)
        own = connection.execute(
            "SELECT 1 FROM verdict WHERE film=? AND reader=? LIMIT 1",
            (verdict.film, verdict.reader),
        ).fetchone()
        visible = 0 if self._apart and own is None else film["version"]
        if verdict.base != visible:
            raise StaleVersionError(visible)
        version, now = film["version"] + 1, time.time()
        body = json.dumps(verdict.body, sort_keys=True, separators=(",", ":"))
        row = connection.execute(
            "INSERT INTO verdict (film, version, reader, made, blinded, bundle, thresholds, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(verdict.film, version, verdict.reader, now, int(verdict.blinded)),
                *(verdict.bundle, verdict.thresholds, body),
            ),
        )
        connection.executemany(
            "INSERT INTO box VALUES (?, ?, ?, ?, ?, ?)",
            [(row.lastrowid, *box) for box in verdict.boxes],
        )
        _summarize(connection, verdict.film, version)
        detail = {"version": version, "blinded": verdict.blinded, "sha256": digest_of(body)}
        append_event(connection, Happening(now, verdict.reader, "verdict", verdict.film, detail))
        return StoredVerdict(
            verdict.film,
            version,
            verdict.reader,
            now,
            verdict.blinded,
            verdict.bundle,
            verdict.thresholds,
            json.loads(body),
        )


def newest_of_each(verdicts: Sequence[StoredVerdict]) -> dict[str, StoredVerdict]:
    """Return each reader's newest reading, readers in the order of their first."""
    newest: dict[str, StoredVerdict] = {}
    for verdict in verdicts:
        newest[verdict.reader] = verdict
    return newest


def differ(verdicts: Sequence[StoredVerdict]) -> list[str]:
    """Return the findings on which readings differ, among those that judged it."""
    words_on: dict[str, set[str]] = {}
    for verdict in verdicts:
        for finding, word in verdict.body.get("findings", {}).items():
            if word != _OPEN:
                words_on.setdefault(finding, set()).add(word)
    return sorted(finding for finding, words in words_on.items() if len(words) > 1)


def _summarize(connection: sqlite3.Connection, film: str, version: int) -> None:
    rows = connection.execute("SELECT * FROM verdict WHERE film=? ORDER BY version", (film,))
    newest = list(newest_of_each([StoredVerdict.of(row) for row in rows]).values())
    connection.execute(
        "UPDATE film SET version=?, readings=?, conflict=?, second_look=? WHERE id=?",
        (
            version,
            len(newest),
            int(bool(differ(newest))),
            int(any(one.body.get("second_look") for one in newest)),
            film,
        ),
    )
