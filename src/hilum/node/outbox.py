"""Objects on their way: one delivery for each object and destination, and what became of it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from hilum.files.database import Database

__all__ = [
    "Delivery",
    "NodeOverview",
    "Outbox",
    "StudyLine",
    "forget",
    "oldest",
    "overview",
    "pseudonyms",
    "retry",
]

GIVEN_UP = "given up after the time that `retry` allows"
UNPROVEN = "the destination did not show that it has the object"


@dataclass(frozen=True)
class Delivery:
    """An object to send to a destination.

    Attributes:
        object: its number.
        destination: name.
        sop_class, syntax: UIDs.
        sha256: names its file.
        tries: how often it was taken, this time included.
    """

    object: int
    destination: str
    sop_class: str
    syntax: str
    sha256: str
    tries: int


class Outbox:
    """Deliveries.

    Args:
        database: the books of the node.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self, destination: str, resting: Set[int], most: int, give_up_s: float
    ) -> list[Delivery]:
        """Take objects to send, in the order in which they were made.

        Args:
            destination: name.
            resting: objects that are not to be tried yet.
            most: objects to take.
            give_up_s: seconds since the first try, after which an object is failed.
        """

        def work(connection: sqlite3.Connection) -> list[Delivery]:
            now = time.time()
            connection.execute(
                "UPDATE delivery SET state='failed', words=?, changed=? WHERE destination=? AND "
                "state='waiting' AND begun<?",
                (GIVEN_UP, now, destination, now - give_up_s),
            )
            rows = connection.execute(
                "SELECT d.object, d.destination, o.sop_class, o.syntax, o.sha256, d.tries+1 "
                "FROM delivery d JOIN object o ON o.number=d.object WHERE d.destination=? AND "
                "d.state='waiting' ORDER BY d.object LIMIT ?",
                (destination, most + len(resting)),
            ).fetchall()
            due = [Delivery(*row) for row in rows if row["object"] not in resting][:most]
            connection.executemany(
                "UPDATE delivery SET state='sending', tries=tries+1, changed=?, "
                "begun=coalesce(begun, ?) WHERE object=? AND destination=?",
                [(now, now, one.object, destination) for one in due],
            )
            return due

        if self._database.one(
            "SELECT 1 FROM delivery WHERE destination=? AND state='waiting' LIMIT 1", (destination,)
        ):
            return self._database.write(work)
        return []

    def confirm(self, one: Delivery, status: int, words: str, proof: bool = False) -> None:
        """Enter that the destination answered success; with `proof`, it must show it, too."""
        self._enter(one, "unconfirmed" if proof else "sent", status, words)

    def unproven(
        self, destination: str, resting: Set[int], most: int, give_up_s: float
    ) -> list[Delivery]:
        """Return objects that were sent to a destination, which did not show yet that it has them.

        Args:
            destination: name.
            resting: objects that are not to be looked at yet.
            most: objects to return.
            give_up_s: seconds since an object was sent, after which it is failed.
        """
        of = "destination=? AND state='unconfirmed'"
        if not self._database.one(f"SELECT 1 FROM delivery WHERE {of} LIMIT 1", (destination,)):  # noqa: S608
            return []
        now = time.time()
        self._database.write(
            lambda connection: connection.execute(
                f"UPDATE delivery SET state='failed', words=?, changed=? WHERE {of} AND changed<?",  # noqa: S608
                (UNPROVEN, now, destination, now - give_up_s),
            )
        )
        rows = self._database.all(
            "SELECT d.object, d.destination, o.sop_class, o.syntax, o.sha256, d.tries "
            "FROM delivery d JOIN object o ON o.number=d.object WHERE d.destination=? AND "
            "d.state='unconfirmed' ORDER BY d.object LIMIT ?",
            (destination, most + len(resting)),
        )
        return [Delivery(*row) for row in rows if row["object"] not in resting][:most]

    def prove(self, one: Delivery) -> None:
        """Enter that the destination showed that it has the object."""
        self._enter(one, "confirmed", 0, "")

    def fail(self, one: Delivery, status: int | None, words: str) -> None:
        """Enter that the object is not sent again by itself."""
        self._enter(one, "failed", status, words)

    def put_off(self, one: Delivery, status: int | None, words: str) -> None:
        """Enter that the object is to be sent later."""
        self._enter(one, "waiting", status, words)

    def put_back(self, destination: str, words: str = "") -> None:
        """Let everything wait that was taken for a destination and has no answer."""
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE delivery SET state='waiting', words=?, changed=? WHERE destination=? AND "
                "state='sending'",
                (words, time.time(), destination),
            )
        )

    def _enter(self, one: Delivery, state: str, status: int | None, words: str) -> None:
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE delivery SET state=?, status=?, words=?, changed=? WHERE object=? AND "
                "destination=?",
                (state, status, words, time.time(), one.object, one.destination),
            )
        )


@dataclass(frozen=True)
class NodeOverview:
    """What a node has and waits for; no patient, UID or name from outside is in it.

    Attributes:
        studies, films: state to number.
        refused: code to number.
        destinations: destination to state to number of objects.
        oldest_waiting_s: age of the study that has waited longest; 0 without one.
        failures: studies, films and deliveries that failed: number, what, why.
    """

    studies: dict[str, int]
    films: dict[str, int]
    refused: dict[str, int]
    destinations: dict[str, dict[str, int]]
    oldest_waiting_s: float
    failures: list[dict[str, Any]]


_MOST_FAILURES = 50


def overview(database: Database) -> NodeOverview:
    """Return what the books say, failures first and at most 50 of each kind."""

    def counts(table: str, column: str) -> dict[str, int]:
        rows = database.all(
            f"SELECT {column}, count(*) FROM {table} GROUP BY 1 ORDER BY 1"  # noqa: S608
        )
        return {row[0]: row[1] for row in rows}

    destinations: dict[str, dict[str, int]] = {}
    for name, state, number in database.all(
        "SELECT destination, state, count(*) FROM delivery GROUP BY 1, 2 ORDER BY 1, 2"
    ):
        destinations.setdefault(name, {})[state] = number
    oldest = database.one("SELECT min(changed) FROM study WHERE state='waiting'")
    since = None if oldest is None else oldest[0]
    return NodeOverview(
        counts("study", "state"),
        counts("film", "state"),
        counts("refused", "code"),
        destinations,
        0.0 if since is None else max(0.0, time.time() - since),
        _failures(database),
    )


@dataclass(frozen=True)
class StudyLine:
    """A study that is not finished.

    Attributes:
        study: its number.
        state: waiting or running.
        films: that came.
        age_s: seconds since it was changed last.
    """

    study: int
    state: str
    films: int
    age_s: float


def oldest(database: Database) -> list[StudyLine]:
    """Return the studies that wait or are being scored, oldest first and at most 50."""
    now = time.time()
    rows = database.all(
        "SELECT s.number, s.state, (SELECT count(*) FROM film WHERE study=s.number), s.changed "
        "FROM study s WHERE s.state IN ('waiting', 'running') ORDER BY s.number LIMIT ?",
        (_MOST_FAILURES,),
    )
    return [StudyLine(row[0], row[1], row[2], max(0.0, now - row[3])) for row in rows]


def pseudonyms(database: Database, studies: Set[int]) -> dict[int, str]:
    """Return the pseudonym of the patient of each study that has results."""
    found: dict[int, str] = {}
    for study in studies:
        row = database.one("SELECT line FROM film WHERE study=? AND line<>'' LIMIT 1", (study,))
        if row is not None and row[0]:
            found[study] = str(json.loads(row[0]).get("patient", ""))
    return found


def _failures(database: Database) -> list[dict[str, Any]]:
    studies = database.all(
        "SELECT number, code, tries FROM study WHERE state='failed' ORDER BY number DESC LIMIT ?",
        (_MOST_FAILURES,),
    )
    films = database.all(
        "SELECT number, study, code FROM film WHERE state='failed' ORDER BY number DESC LIMIT ?",
        (_MOST_FAILURES,),
    )
    deliveries = database.all(
        "SELECT d.object, o.study, d.destination, d.status, d.words, d.tries FROM delivery d "
        "JOIN object o ON o.number=d.object WHERE d.state='failed' ORDER BY d.object DESC LIMIT ?",
        (_MOST_FAILURES,),
    )
    return [
        *({"study": row[0], "code": row[1], "tries": row[2]} for row in studies),
        *({"film": row[0], "study": row[1], "code": row[2]} for row in films),
        *(
            {
                "object": row[0],
                "study": row[1],
                "destination": row[2],
                "status": None if row[3] is None else f"0x{row[3]:04X}",
                "words": row[4],
                "tries": row[5],
            }
            for row in deliveries
        ),
    ]


def retry(database: Database, study: int | None) -> tuple[int, int]:
    """Let failed studies be scored and failed deliveries be sent again.

    Args:
        database: the books of the node.
        study: number of the one study; None for all.

    Returns:
        Studies and deliveries that wait again.
    """

    def work(connection: sqlite3.Connection) -> tuple[int, int]:
        now = time.time()
        studies = connection.execute(
            "UPDATE study SET state='waiting', code='', changed=:now WHERE state='failed' AND "
            "(:study IS NULL OR number=:study)",
            {"now": now, "study": study},
        ).rowcount
        deliveries = connection.execute(
            "UPDATE delivery SET state='waiting', begun=NULL, changed=:now WHERE state='failed' "
            "AND (:study IS NULL OR object IN (SELECT number FROM object WHERE study=:study))",
            {"now": now, "study": study},
        ).rowcount
        return studies, deliveries

    return database.write(work)


def forget(database: Database, study: int) -> tuple[list[str], list[str]] | None:
    """Remove a study with its films, objects and deliveries, sent or not.

    Returns:
        Hashes of its films and of its objects, whose files may go; None for a study that is not
        there, or is being scored.
    """

    def work(connection: sqlite3.Connection) -> tuple[list[str], list[str]] | None:
        found = connection.execute(
            "SELECT 1 FROM study WHERE number=? AND state<>'running'", (study,)
        ).fetchone()
        if found is None:
            return None
        of = "SELECT {} FROM {} WHERE study=?"
        films = connection.execute(of.format("sha256", "film"), (study,)).fetchall()
        objects = connection.execute(of.format("sha256", "object"), (study,)).fetchall()
        numbers = of.format("number", "object")
        connection.execute(f"DELETE FROM delivery WHERE object IN ({numbers})", (study,))  # noqa: S608
        for table, column in (("object", "study"), ("film", "study"), ("study", "number")):
            connection.execute(f"DELETE FROM {table} WHERE {column}=?", (study,))  # noqa: S608
        return [row[0] for row in films], [row[0] for row in objects]

    return database.write(work)
