"""The list of films: filtered, sorted, a page at a time, and counted."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hilum.domain.errors import UsageError
from hilum.files.database import Database, Row
from hilum.service.store.films import SCORED, FilmRow, parted

__all__ = ["ListedFilm", "Worklist", "WorklistPage", "WorklistQuery", "WorklistState"]

_MINE = "EXISTS (SELECT 1 FROM verdict v WHERE v.film=f.id AND v.reader=:me)"

_LISTED = "film f LEFT JOIN result r INDEXED BY result_listed ON r.film=f.id AND r.bundle=f.bundle"
"""Films with what they are filtered and sorted by. All of it is in an index, in the order of the
films: the table of results has their lines too, and 10,000 films would be read with them."""


_OF_PATIENT = (
    "SELECT o.film FROM result t JOIN result o ON o.patient=t.patient "
    "WHERE t.film=:patient_of AND t.patient<>'' AND o.patient<>''"
)
"""Films of one patient, by the pseudonym in their results: no request names a patient."""


_CODED = "EXISTS (SELECT 1 FROM json_each(r.line, '$.codes') c WHERE c.value=:code)"
_FILTERS = {
    "view": "r.view=:view",
    "status": "r.status=:status",
    "code": _CODED,
    "read_by": "EXISTS (SELECT 1 FROM verdict w WHERE w.film=f.id AND w.reader=:read_by)",
    "patient_of": f"f.id IN ({_OF_PATIENT})",
    "text": "instr(lower(f.name), lower(:text))>0",
}
"""Fields of a query that narrow the list, each with its test."""


class WorklistState(StrEnum):
    """Parts of the worklist, as its counters name them. A film may be in several."""

    ALL = "all"
    UNREAD = "unread"
    """Not read by the reader who asks."""
    READ = "read"
    POSITIVE = "positive"
    """At least one finding at or above its threshold."""
    NEAR = "near"
    """None above, and at least one within 1.5 times the odds of its threshold."""
    NOT_SCORED = "not_scored"
    CONFLICT = "conflict"
    """Readers differ on a finding."""
    SECOND_LOOK = "second_look"
    QUEUED = "queued"


_STATES = {
    WorklistState.ALL: "1",
    WorklistState.UNREAD: f"NOT {_MINE}",
    WorklistState.READ: _MINE,
    WorklistState.POSITIVE: "r.positives<>''",
    WorklistState.NEAR: "r.positives='' AND r.near<>''",
    WorklistState.NOT_SCORED: f"r.status IS NOT NULL AND NOT {SCORED}",
    WorklistState.CONFLICT: "f.conflict=1",
    WorklistState.SECOND_LOOK: "f.second_look=1",
    WorklistState.QUEUED: "f.state='queued'",
}
BLINDED_STATES = frozenset({WorklistState.POSITIVE, WorklistState.NEAR, WorklistState.CONFLICT})
"""Parts that say what the model, or another reader, found."""
_KEYS = {
    # unread first; then the largest margin over a threshold, films without a score last
    "priority": f"{_MINE} * 1e6 - COALESCE(r.priority, -1e5)",
    "name": "f.name",
    "-name": "f.name",
    "added": "f.added",
    "-added": "f.added",
    "status": "COALESCE(r.status, '')",
    "view": "COALESCE(r.view, '')",
    "readings": "f.readings",
    "-readings": "f.readings",
    "second_look": "f.second_look",
    "-second_look": "f.second_look",
}
"""Sort order to the expression that is sorted by; a minus before the name turns it around."""
BLINDED_SORTS = frozenset({"priority", "status"})


@dataclass(frozen=True)
class WorklistQuery:
    """What to list.

    Attributes:
        reader: who asks.
        state: part of the list.
        finding: films on which this finding is positive; empty for all.
        view: view position; empty for all.
        status: of the result; empty for all.
        code: reason code of the result; empty for all.
        read_by: pseudonym of a reader who read the film; empty for all.
        patient_of: id of a film whose patient's films are listed; empty for all.
        text: part of the film's name; empty for all.
        sort: a key of `_KEYS`, or `finding:NAME` for the most probable first.
        cursor: end of the page before; empty for the first.
        limit: films on a page.
    """

    reader: str
    state: WorklistState = WorklistState.ALL
    finding: str = ""
    view: str = ""
    status: str = ""
    code: str = ""
    read_by: str = ""
    patient_of: str = ""
    text: str = ""
    sort: str = "priority"
    cursor: str = ""
    limit: int = 50


@dataclass(frozen=True)
class ListedFilm:
    """One film of the list.

    Attributes:
        film: the film.
        read_by_me: whether the reader who asks has read it.
        priority: largest margin over a threshold; None without one.
        positives: findings at or above their threshold.
        near: findings just below.
    """

    film: FilmRow
    read_by_me: bool
    priority: float | None
    positives: tuple[str, ...]
    near: tuple[str, ...]

    @classmethod
    def of(cls, row: Row) -> ListedFilm:
        """Return the film of a row of a page."""
        return cls(
            FilmRow.of(row),
            bool(row["mine"]),
            row["priority"],
            parted(row["positives"] or ""),
            parted(row["near"] or ""),
        )


@dataclass(frozen=True)
class WorklistPage:
    """One page of the list.

    Attributes:
        films: in order.
        cursor: where the next page begins; empty after the last.
    """

    films: Sequence[ListedFilm]
    cursor: str


class Worklist:
    """The list of films.

    Args:
        database: of the store.
        findings: that may be sorted and filtered by.
    """

    def __init__(self, database: Database, findings: Sequence[str]) -> None:
        self._database = database
        # the name becomes part of a path within JSON
        self._findings = frozenset(name for name in findings if not set(name) & set("\"'\\"))

    def page(self, query: WorklistQuery) -> WorklistPage:
        """Return one page.

        Raises:
            UsageError: for an unknown order or finding, or a cursor of another order.
        """
        key, falling = self._key(query.sort)
        where, values = self._where(query)
        if query.cursor:
            values["at"], values["id"] = _decoded(query.cursor, query.sort)
            sign = "<" if falling else ">"
            where.append(f"({key}, f.id) {sign} (:at, :id)")
        order = "DESC" if falling else "ASC"
        values["limit"] = query.limit + 1
        rows = self._database.all(
            f"SELECT f.*, r.priority, r.positives, r.near, r.line, r.thresholds, {_MINE} AS mine, "  # noqa: S608
            f"p.at FROM (SELECT f.id, {key} AS at FROM {_LISTED} WHERE {' AND '.join(where)} "
            f"ORDER BY {key} {order}, f.id {order} LIMIT :limit) p JOIN film f ON f.id=p.id "
            "LEFT JOIN result r ON r.film=f.id AND r.bundle=f.bundle "
            f"ORDER BY p.at {order}, p.id {order}",
            values,
        )
        page = rows[: query.limit]
        more = len(rows) > query.limit
        cursor = _encoded(query.sort, page[-1]["at"], page[-1]["id"]) if more else ""
        return WorklistPage([ListedFilm.of(row) for row in page], cursor)

    def counts(self, reader: str) -> dict[WorklistState, int]:
        """Return the number of films in each part of the list."""
        sums = ", ".join(
            f"SUM({test}) AS n_{state.value}"
            for state, test in _STATES.items()
            if state not in (WorklistState.UNREAD, WorklistState.READ)
        )
        row = self._database.one(
            f"SELECT {sums}, (SELECT COUNT(DISTINCT v.film) FROM verdict v WHERE v.reader=:me) "  # noqa: S608
            f"AS n_read FROM {_LISTED} WHERE f.state<>'deleted'",
            {"me": reader},
        )
        counted: dict[str, int | None] = {} if row is None else dict(row)
        counts = {state: counted.get(f"n_{state.value}") or 0 for state in WorklistState}
        counts[WorklistState.UNREAD] = counts[WorklistState.ALL] - counts[WorklistState.READ]
        return counts

    def _key(self, sort: str) -> tuple[str, bool]:
        kind, _, finding = sort.partition(":")
        if kind == "finding" and finding in self._findings:
            path = f'$."{finding}"'
            return f"-COALESCE(json_extract(r.scores, '{path}'), -1e5)", False
        if sort not in _KEYS:
            raise UsageError(
                f"films can be sorted by {', '.join(_KEYS)} or finding:NAME; got {sort!r}"
            )
        return _KEYS[sort], sort.startswith("-")

    def _where(self, query: WorklistQuery) -> tuple[list[str], dict[str, Any]]:
        where = ["f.state<>'deleted'", f"({_STATES[query.state]})"]
        values: dict[str, Any] = {"me": query.reader}
        if query.finding:
            if query.finding not in self._findings:
                raise UsageError(
                    f"films can be filtered by their own findings; got {query.finding!r}"
                )
            where.append("instr(r.positives, :finding)>0")
            values["finding"] = f"|{query.finding}|"
        for field, test in _FILTERS.items():
            if value := getattr(query, field):
                where.append(test)
                values[field] = value
        return where, values


def _encoded(sort: str, at: object, film: str) -> str:
    text = json.dumps([sort, at, film], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str, sort: str) -> tuple[str | float, str]:
    """Return the key and the film at which a page ended.

    >>> _decoded(_encoded("name", "b.png", "0c"), "name")
    ('b.png', '0c')
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        order, at, film = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except ValueError:
        order, at, film = None, None, None
    if order != sort or not isinstance(at, str | int | float) or not isinstance(film, str):
        raise UsageError("a cursor must be that of the same list; ask for the first page again")
    return at, film
