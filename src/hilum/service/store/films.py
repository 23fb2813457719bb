"""Films and their results in the store."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from hilum.files.database import Database, Row
from hilum.service.store.events import Happening, append_event, digest_of

__all__ = ["SCORED", "FilmRow", "FilmState", "NewFilm", "NewResult", "StoredFilms", "parted"]

SCORED = "r.status IN ('ok', 'warn')"
"""Test of a result `r` that has scores."""

_SERVICE = "service"
"""Actor of what no reader does."""


class FilmState(StrEnum):
    """Where a film of the store is on its way."""

    QUEUED = "queued"
    """Its bytes are safe, and it is waiting to be read and scored."""
    DONE = "done"
    """It has a result, whether or not it was scored."""
    DELETED = "deleted"
    """Its bytes and results are gone; its row and its events stay."""


@dataclass(frozen=True)
class NewFilm:
    """A film to add.

    Attributes:
        id: its name in the API, made of hashes alone.
        sha256: of its bytes; None where they could not be read.
        name: as its sender called it.
        suffix: harmless end of the name, which the reader compares with the content.
        size: bytes.
        bundle: id of the bundle that scores it.
        place: path of the file, of a film that the store does not keep; empty for its own.
    """

    id: str
    sha256: str | None
    name: str
    suffix: str
    size: int
    bundle: str
    place: str = ""


@dataclass(frozen=True)
class NewResult:
    """A result to add.

    Attributes:
        bundle: id of the bundle that scored.
        thresholds: id of the thresholds.
        line: the line of results.jsonl, without its end.
        status, view, patient: as in the line.
        priority: largest log-odds of a finding over those of its threshold; None without one.
        positives: findings at or above their threshold.
        near: findings just below.
        scores: finding to its log-odds over those of its threshold, or its own without one.
        sop: hash of the DICOM identity; empty without one.
        pixels: hash of the stored pixels; empty without such an identity.
    """

    bundle: str
    thresholds: str
    line: str
    status: str
    view: str
    patient: str
    priority: float | None
    positives: Sequence[str]
    near: Sequence[str]
    scores: dict[str, float]
    sop: str = ""
    pixels: str = ""


@dataclass(frozen=True)
class FilmRow:
    """A film as the store has it, with its newest result if it has one.

    Attributes:
        version: of its newest reading; 0 without one.
        readings: readers that read it.
        conflict: readers differ on a finding.
        line: its result; empty before it has one.
    """

    id: str
    sha256: str | None
    name: str
    suffix: str
    state: FilmState
    added: float
    bundle: str
    place: str
    version: int
    readings: int
    conflict: bool
    second_look: bool
    thresholds: str
    line: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The result as plain values; empty before there is one."""
        return json.loads(self.line) if self.line else {}

    @property
    def scored(self) -> bool:
        """Whether its result has scores."""
        return self.facts.get("findings") is not None

    @classmethod
    def of(cls, row: Row) -> FilmRow:
        """Return the film of a row of `FILMS`."""
        return cls(
            **{name: row[name] for name in ("id", "sha256", "name", "suffix", "added")},
            state=FilmState(row["state"]),
            **{name: row[name] for name in ("bundle", "place", "version", "readings")},
            conflict=bool(row["conflict"]),
            second_look=bool(row["second_look"]),
            thresholds=row["thresholds"] or "",
            line=row["line"] or "",
        )


FILMS = (
    "SELECT f.*, r.thresholds, r.line FROM film f "
    "LEFT JOIN result r ON r.film=f.id AND r.bundle=f.bundle "
)


_ADD = (
    "INSERT OR REPLACE INTO film (id, sha256, name, suffix, size, bundle, place, added, state) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued')"
)


class StoredFilms:
    """Films and results.

    Args:
        database: of the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def film(self, film: str) -> FilmRow | None:
        """Return a film that is here; None for one that never was, or was deleted."""
        row = self._database.one(f"{FILMS} WHERE f.id=? AND f.state<>'deleted'", (film,))
        return None if row is None else FilmRow.of(row)

    def add(self, film: NewFilm, actor: str) -> bool:
        """Add a film; return whether it has to be scored.

        One that is here already, with a result of the same bundle, stays as it is.
        """

        def work(connection: sqlite3.Connection) -> bool:
            known = connection.execute(
                "SELECT state, bundle FROM film WHERE id=?", (film.id,)
            ).fetchone()
            if known is not None and known["state"] != FilmState.DELETED:
                return _rescored(connection, film, known["state"], known["bundle"])
            now = time.time()
            connection.execute(
                _ADD,
                _values(film, now),
            )
            detail = {"sha256": film.sha256, "bytes": film.size}
            append_event(connection, Happening(now, actor, "film.added", film.id, detail))
            return True

        return self._database.write(work)

    def finish(self, film: str, result: NewResult) -> None:
        """Record the result of a film; a second one of the same bundle changes nothing."""
        self._database.write(lambda connection: _finish(connection, film, result))

    def load(self, films: Iterable[tuple[NewFilm, NewResult]]) -> int:
        """Add films that come with their results, all or none; return how many are new."""

        def work(connection: sqlite3.Connection) -> int:
            known = {row[0] for row in connection.execute("SELECT id FROM film")}
            new, now = 0, time.time()
            for film, result in films:
                if film.id not in known:
                    new += 1
                    connection.execute(
                        _ADD,
                        _values(film, now),
                    )
                _finish(connection, film.id, result, anew=True)
            return new

        return self._database.write(work)

    def delete(self, film: str, actor: str) -> FilmRow | None:
        """Remove a film's results and readings, keep its tombstone; None for an unknown one."""
        found = self.film(film)
        if found is None:
            return None

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM box WHERE verdict IN (SELECT id FROM verdict WHERE film=?)", (film,)
            )
            connection.execute("DELETE FROM verdict WHERE film=?", (film,))
            connection.execute("DELETE FROM result WHERE film=?", (film,))
            connection.execute(
                "UPDATE film SET state='deleted', name='', suffix='', place='', version=0, "
                "readings=0, conflict=0, second_look=0 WHERE id=?",
                (film,),
            )
            detail = {"sha256": found.sha256}
            append_event(connection, Happening(time.time(), actor, "film.deleted", film, detail))

        self._database.write(work)
        return found

    def unfinished(self) -> list[str]:
        """Return the films without a result, in the order in which they came."""
        query = "SELECT id FROM film WHERE state='queued' ORDER BY added, id"
        return [row["id"] for row in self._database.all(query)]

    def size_bytes(self) -> int:
        """Return the bytes of the films that the store keeps."""
        query = "SELECT COALESCE(SUM(size), 0) FROM film WHERE state<>'deleted' AND place=''"
        row = self._database.one(query)
        return 0 if row is None else int(row[0])

    def holder_of(self, sop: str, pixels: str, film: str) -> str | None:
        """Return the name of a scored film that has this DICOM identity and other pixels."""
        row = self._database.one(
            "SELECT f.name FROM result r JOIN film f ON f.id=r.film "  # noqa: S608
            f"WHERE r.sop=? AND r.pixels<>? AND r.film<>? AND {SCORED} ORDER BY r.made LIMIT 1",
            (sop, pixels, film),
        )
        return None if row is None else row["name"]

    def line(self, film: str, bundle: str) -> str | None:
        """Return a film's result of one bundle, which may be an older one; None without it."""
        row = self._database.one(
            "SELECT line FROM result WHERE film=? AND bundle=?", (film, bundle)
        )
        return None if row is None else row["line"]

    def setting(self, name: str) -> str | None:
        """Return a fact about the store; None where it is not set."""
        row = self._database.one("SELECT value FROM setting WHERE name=?", (name,))
        return None if row is None else row["value"]

    def set(self, name: str, value: str) -> None:
        """Set a fact about the store."""
        query = "INSERT OR REPLACE INTO setting VALUES (?, ?)"
        self._database.write(lambda connection: connection.execute(query, (name, value)))


def _rescored(connection: sqlite3.Connection, film: NewFilm, state: str, bundle: str) -> bool:
    """Return whether a film that is here must be scored by this bundle, and queue it if so."""
    if state == FilmState.QUEUED:
        return False
    has = connection.execute(
        "SELECT 1 FROM result WHERE film=? AND bundle=?", (film.id, film.bundle)
    ).fetchone()
    if has is not None:
        if bundle != film.bundle:
            connection.execute("UPDATE film SET bundle=? WHERE id=?", (film.bundle, film.id))
        return False
    connection.execute(
        "UPDATE film SET state='queued', bundle=? WHERE id=?", (film.bundle, film.id)
    )
    return True


def _finish(
    connection: sqlite3.Connection, film: str, result: NewResult, anew: bool = False
) -> None:
    """Add a result. One of the same bundle stays; with `anew`, unless it reads differently."""
    now = time.time()
    if anew:
        connection.execute(
            "DELETE FROM result WHERE film=? AND bundle=? AND line<>?",
            (film, result.bundle, result.line),
        )
    made = connection.execute(
        "INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (film, bundle) DO NOTHING",
        (
            *(film, result.bundle, result.thresholds, result.line, result.status, result.view),
            *(_safe(result.patient), result.priority, _joined(result.positives)),
            *(_joined(result.near), json.dumps(result.scores), result.sop, result.pixels, now),
        ),
    )
    connection.execute(
        "UPDATE film SET state='done', bundle=? WHERE id=? AND state<>'deleted'",
        (result.bundle, film),
    )
    if made.rowcount:
        detail = {
            "bundle": result.bundle,
            "thresholds": result.thresholds,
            "sha256": digest_of(result.line),
        }
        append_event(connection, Happening(now, _SERVICE, "result", film, detail))


def _joined(findings: Sequence[str]) -> str:
    """Return findings so that each can be found with both of its ends.

    >>> _joined(["Mass", "Edema"]), _joined([])
    ('|Mass|Edema|', '')
    """
    return f"|{'|'.join(findings)}|" if findings else ""


def parted(text: str) -> tuple[str, ...]:
    """Return the findings that `_joined` put together.

    >>> parted("|Mass|Edema|"), parted("")
    (('Mass', 'Edema'), ())
    """
    return tuple(text.strip("|").split("|")) if text else ()


def _values(film: NewFilm, added: float) -> tuple[object, ...]:
    name, suffix, place = _safe(film.name), _safe(film.suffix), _safe(film.place)
    return film.id, film.sha256, name, suffix, film.size, film.bundle, place, added


def _safe(text: str) -> str:
    r"""Return text that SQLite can hold: bytes of a name that are not UTF-8 become escapes.

    >>> _safe("a\udcff.png")
    'a\\xff.png'
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
