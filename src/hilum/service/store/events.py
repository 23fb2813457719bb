"""The audit trail: events in a hash chain, so that a later change of any of them is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hilum.files.database import Database, Row

__all__ = ["AuditTrail", "Happening", "append_event", "digest_of", "verify_chain"]

_FIRST = "0" * 64
"""What the first event has in place of the hash of one before it."""
_RECORDED = {
    "verdict": ("reading", "SELECT body FROM verdict WHERE film=? AND version=?", "version"),
    "result": ("result", "SELECT line FROM result WHERE film=? AND bundle=?", "bundle"),
}
"""Action to what it records, where that is, and what tells it from others of the film."""
_FIELDS = ("number", "at", "actor", "action", "film", "detail", "previous")


@dataclass(frozen=True)
class Happening:
    """Something to record.

    Attributes:
        at: seconds since 1970.
        actor: pseudonym of the reader, or what acted by itself.
        action: word for what was done, such as `film.added`.
        film: its id; empty where no film is concerned.
        detail: plain values; hashes in place of what a film or a reader says.
    """

    at: float
    actor: str
    action: str
    film: str
    detail: Mapping[str, Any]


def append_event(connection: sqlite3.Connection, event: Happening) -> None:
    """Add an event to the chain, in the transaction of what it records."""
    last = connection.execute(
        "SELECT number, hash FROM event ORDER BY number DESC LIMIT 1"
    ).fetchone()
    fields: tuple[Any, ...] = (
        1 if last is None else last["number"] + 1,
        event.at,
        event.actor,
        event.action,
        event.film,
        json.dumps(event.detail, sort_keys=True, separators=(",", ":")),
        _FIRST if last is None else last["hash"],
    )
    connection.execute(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*fields, _hash(fields))
    )


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, to stand for it in an event.

    >>> digest_of("a")[:8]
    'ca978112'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class AuditTrail:
    """What a check of the chain found.

    Attributes:
        events: number of events.
        head: hash of the last event: whoever keeps it elsewhere can see that none was cut off.
        fault: the first event that is not as it was written, and why; empty where all are.
    """

    events: int
    head: str
    fault: str


def verify_chain(database: Database) -> AuditTrail:
    """Check every event, and every reading and result against the event that recorded it."""
    previous, count = _FIRST, 0
    for row in database.all("SELECT * FROM event ORDER BY number"):
        count += 1
        fault = _fault(database, row, count, previous)
        if fault:
            return AuditTrail(count, previous, f"event {row['number']}: {fault}")
        previous = row["hash"]
    return AuditTrail(count, previous, _unrecorded(database))


def _fault(database: Database, row: Row, number: int, previous: str) -> str:
    if row["number"] != number:
        return f"number {number} is missing before it"
    if row["previous"] != previous:
        return "it does not follow the event before it"
    if row["hash"] != _hash(tuple(row[name] for name in _FIELDS)):
        return "it was changed after it was written"
    return _content_fault(database, row)


def _content_fault(database: Database, row: Row) -> str:
    """Compare a row with the hash in the last event that recorded it."""
    if row["action"] not in _RECORDED:
        return ""
    what, query, key = _RECORDED[row["action"]]
    detail = json.loads(row["detail"])
    later = (
        "SELECT 1 FROM event WHERE film=? AND number>? AND (action='film.deleted' OR "
        "(action=? AND json_extract(detail, ?)=?))"
    )
    values = (row["film"], row["number"], row["action"], f"$.{key}", detail[key])
    if database.one(later, values) is not None:
        return ""
    found = database.one(query, (row["film"], detail[key]))
    if found is None:
        return f"the {what} that it records is missing"
    return "" if digest_of(found[0]) == detail["sha256"] else f"the {what} it records was changed"


def _unrecorded(database: Database) -> str:
    """Find a reading that no event records."""
    row = database.one(
        "SELECT film, version FROM verdict v WHERE NOT EXISTS (SELECT 1 FROM event e WHERE "
        "e.film=v.film AND e.action='verdict' AND json_extract(e.detail,'$.version')=v.version)"
    )
    if row is None:
        return ""
    return f"version {row['version']} of film {row['film']}: no event records this reading"


def _hash(fields: tuple[Any, ...]) -> str:
    text = json.dumps([repr(one) if isinstance(one, float) else one for one in fields])
    return hashlib.sha256(text.encode("ascii")).hexdigest()
