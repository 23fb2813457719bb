"""The tables of a store."""

from __future__ import annotations

from pathlib import Path

from hilum.files.database import Database, Tables

__all__ = ["open_database"]

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


def open_database(path: Path) -> Database:
    """Open the file of a store, made where it is missing.

    Raises:
        UsageError: for a file of another version, or that is no database.
    """
    return Database(path, Tables(_TABLES, 1, "a store", "Name another with --store"))
