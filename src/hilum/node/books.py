"""The books of a node: every film, study and refusal with its state, in one SQLite file.

A number that only grows is the order of everything; clocks are shown and decide nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from hilum.files.database import Database, Row, Tables
from hilum.node.records import (
    BuiltObject,
    FilmOutcome,
    FilmState,
    Receipt,
    ReceivedFilm,
    Refused,
    SpooledFilm,
    StudyRun,
)

__all__ = ["BOOKS", "CONFLICT", "NodeBooks"]

BOOKS = "node.sqlite"
"""Name of the file in the spool."""
CONFLICT = "PATIENT_CONFLICT"
"""Code of a study whose films name several patients."""
_TABLES = """
CREATE TABLE study (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
    newest INTEGER NOT NULL, scored INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0, received REAL NOT NULL, changed REAL NOT NULL
) STRICT;
CREATE INDEX study_state ON study (state, number);
CREATE TABLE film (
    number INTEGER PRIMARY KEY AUTOINCREMENT, sop TEXT NOT NULL UNIQUE, study INTEGER NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, patient TEXT NOT NULL, state TEXT NOT NULL,
    code TEXT NOT NULL DEFAULT '', line TEXT NOT NULL DEFAULT '', received REAL NOT NULL,
    changed REAL NOT NULL
) STRICT;
CREATE INDEX film_study ON film (study, number);
CREATE TABLE refused (
    number INTEGER PRIMARY KEY AUTOINCREMENT, sop TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE object (
    number INTEGER PRIMARY KEY AUTOINCREMENT, film INTEGER NOT NULL, study INTEGER NOT NULL,
    revision INTEGER NOT NULL, kind TEXT NOT NULL, sop TEXT NOT NULL UNIQUE, series TEXT NOT NULL,
    sop_class TEXT NOT NULL, syntax TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    made REAL NOT NULL
) STRICT;
CREATE INDEX object_film ON object (film, revision);
CREATE INDEX object_study ON object (study);
CREATE TABLE delivery (
    object INTEGER NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, status INTEGER, words TEXT NOT NULL DEFAULT '',
    begun REAL, changed REAL NOT NULL, PRIMARY KEY (object, destination)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_open ON delivery (destination, object) WHERE state IN ('waiting', 'sending');
"""


class NodeBooks:
    """Films and studies.

    Args:
        spool: folder with the file, which is made where it is missing.
    """

    def __init__(self, spool: Path) -> None:
        tables = Tables(_TABLES, 1, "the books of a node", "Name another folder with `spool`")
        self.database = Database(spool / BOOKS, tables)
        (spool / BOOKS).chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def receive(self, film: ReceivedFilm) -> Receipt:
        """Enter a film; the disk has the row when this returns."""
        return self.database.write(lambda connection: _receive(connection, film))

    def known(self, sop: str) -> str | None:
        """Return the hash of the object of that UID, ours or received; None for an unknown one."""
        row = self.database.one(
            "SELECT sha256 FROM film WHERE sop=? UNION ALL SELECT sha256 FROM object WHERE sop=?",
            (sop, sop),
        )
        return None if row is None else row[0]

    def is_result(self, sop: str) -> bool:
        """Return whether an object is one that this node made."""
        return self.database.one("SELECT 1 FROM object WHERE sop=?", (sop,)) is not None

    def refuse(self, refused: Refused) -> None:
        """Enter what was not accepted."""
        self.database.write(
            lambda connection: connection.execute(
                "INSERT INTO refused (sop, sha256, size, status, code, at) "
                "VALUES (:sop, :sha256, :size, :status, :code, :at)",
                {**vars(refused), "at": time.time()},
            )
        )

    def waiting(self) -> list[tuple[int, int]]:
        """Return number and newest film of each study that waits to be scored, oldest first."""
        rows = self.database.all(
            "SELECT number, newest FROM study WHERE state='waiting' ORDER BY number"
        )
        return [(row["number"], row["newest"]) for row in rows]

    def begin(self, study: int) -> StudyRun | None:
        """Take a waiting study to score it; None for one that does not wait.

        Objects of the revision before that went nowhere yet are superseded, and no report names
        them: an archive would look for them in vain.
        """
        return self.database.write(lambda connection: _begin(connection, study))

    def finish(
        self,
        run: StudyRun,
        outcomes: Iterable[FilmOutcome],
        objects: Iterable[BuiltObject],
        destinations: Sequence[str],
    ) -> None:
        """Enter the results of a study, all or none. It waits again if a film came meanwhile."""

        def work(connection: sqlite3.Connection) -> None:
            now = time.time()
            states: set[str] = set()
            for outcome in outcomes:
                states.add(outcome.state)
                connection.execute(
                    "UPDATE film SET state=?, code=?, line=?, changed=? WHERE number=?",
                    (outcome.state, outcome.code, outcome.line, now, outcome.number),
                )
            for one in objects:
                made = connection.execute(
                    "INSERT INTO object (film, study, revision, kind, sop, series, sop_class, "
                    "syntax, sha256, size, made) VALUES (:film, :study, :revision, :kind, :sop, "
                    ":series, :sop_class, :syntax, :sha256, :size, :made)",
                    {**vars(one), "study": run.number, "revision": run.revision, "made": now},
                )
                connection.executemany(
                    "INSERT INTO delivery (object, destination, state, changed) "
                    "VALUES (?, ?, 'waiting', ?)",
                    [(made.lastrowid, name, now) for name in destinations],
                )
            state = "failed" if FilmState.FAILED in states else "complete"
            _close(connection, run, state, "")

        self.database.write(work)

    def fail(self, run: StudyRun, code: str) -> None:
        """Enter that a study cannot be scored; a later film of it is a reason to try again."""
        self.database.write(lambda connection: _close(connection, run, "failed", code))

    def put_back(self, run: StudyRun) -> None:
        """Let a study that is being scored wait again."""
        self.database.write(
            lambda connection: connection.execute(
                "UPDATE study SET state='waiting', changed=? WHERE number=?",
                (time.time(), run.number),
            )
        )

    def recover(self) -> None:
        """Take up what a node that ended in any way was working on."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE study SET state='waiting' WHERE state='running'")
            connection.execute("UPDATE delivery SET state='waiting' WHERE state='sending'")

        self.database.write(work)

    def files(self) -> tuple[set[str], set[str]]:
        """Return the hashes of the films and of the objects that are kept."""
        films = self.database.all("SELECT sha256 FROM film WHERE state<>'ignored' AND size>0")
        objects = self.database.all("SELECT sha256 FROM object WHERE size>0")
        return {row[0] for row in films}, {row[0] for row in objects}


def _receive(connection: sqlite3.Connection, film: ReceivedFilm) -> Receipt:
    known = connection.execute("SELECT sha256 FROM film WHERE sop=?", (film.sop,)).fetchone()
    if known is not None:
        return Receipt.SAME if known["sha256"] == film.sha256 else Receipt.CONFLICT
    now = time.time()
    number = 0
    if not film.ignored:
        connection.execute(
            "INSERT INTO study (uid, state, newest, received, changed) VALUES (?, 'waiting', 0, ?, "
            "?) ON CONFLICT (uid) DO NOTHING",
            (film.study, now, now),
        )
        number = connection.execute(
            "SELECT number FROM study WHERE uid=?", (film.study,)
        ).fetchone()[0]
    state = FilmState.IGNORED if film.ignored else FilmState.RECEIVED
    added = connection.execute(
        "INSERT INTO film (sop, study, sha256, size, patient, state, code, received, changed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (film.sop, number, film.sha256, film.size, film.patient, state, film.ignored, now, now),
    )
    if number:
        connection.execute(
            "UPDATE study SET newest=?, changed=?, "
            "state=CASE state WHEN 'running' THEN 'running' ELSE 'waiting' END WHERE number=?",
            (added.lastrowid, now, number),
        )
    return Receipt.NEW


def _begin(connection: sqlite3.Connection, study: int) -> StudyRun | None:
    row = connection.execute(
        "SELECT revision, newest FROM study WHERE number=? AND state='waiting'", (study,)
    ).fetchone()
    if row is None:
        return None
    connection.execute(
        "UPDATE study SET state='running', tries=tries+1, changed=? WHERE number=?",
        (time.time(), study),
    )
    begun = connection.execute(
        "SELECT 1 FROM delivery d JOIN object o ON o.number=d.object WHERE o.study=? AND "
        "(d.state NOT IN ('waiting', 'superseded') OR d.tries>0) LIMIT 1",
        (study,),
    ).fetchone()
    if begun is None:
        connection.execute(
            "UPDATE delivery SET state='superseded', changed=? WHERE state='waiting' AND object IN "
            "(SELECT number FROM object WHERE study=?)",
            (time.time(), study),
        )
    films = connection.execute(
        "SELECT number, sha256, size, patient FROM film WHERE study=? ORDER BY number", (study,)
    ).fetchall()
    spooled = [
        SpooledFilm(
            film["number"],
            film["sha256"],
            {} if begun is None else _reports(connection, film),
        )
        for film in films
        if film["size"] > 0
    ]
    several = len({film["patient"] for film in films}) > 1
    return StudyRun(study, row["revision"] + 1, row["newest"], spooled, several)


def _reports(connection: sqlite3.Connection, film: Row) -> dict[str, tuple[str, str]]:
    """Return the reports of a film of the newest revision that has any."""
    rows = connection.execute(
        "SELECT kind, series, sop FROM object WHERE film=? AND kind IN ('sr', 'region') "
        "ORDER BY revision",
        (film["number"],),
    )
    return {kind: (series, sop) for kind, series, sop in rows}


def _close(connection: sqlite3.Connection, run: StudyRun, state: str, code: str) -> None:
    connection.execute(
        "UPDATE study SET scored=?, revision=?, code=?, changed=?, "
        "state=CASE WHEN newest>? THEN 'waiting' ELSE ? END WHERE number=?",
        (run.newest, run.revision, code, time.time(), run.newest, state, run.number),
    )
