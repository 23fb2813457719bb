"""All films of a store in counts, each of which is a part of the worklist."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hilum.domain.errors import Status
from hilum.files.database import Database
from hilum.service.store.films import SCORED, parted

__all__ = ["StoreTally"]

_RESULTS = "result r JOIN film f ON f.id=r.film AND f.bundle=r.bundle AND f.state<>'deleted'"


@dataclass(frozen=True)
class StoreTally:
    """Counts of the newest result of each film, and of readings.

    Attributes:
        statuses: films of each status.
        views: films of each view position.
        positives: films on which each finding is at or above its threshold.
        scored: films that carry probabilities.
        codes: films that carry each reason code, by whether they were scored.
        readers: films that each reader has read, by pseudonym.
    """

    statuses: Counter[str]
    views: Counter[str]
    positives: Counter[str]
    scored: int
    codes: Counter[tuple[str, bool]]
    readers: Counter[str]

    @classmethod
    def of(cls, database: Database) -> StoreTally:
        """Count."""
        statuses: Counter[str] = Counter()
        views: Counter[str] = Counter()
        positives: Counter[str] = Counter()
        for row in database.all(
            f"SELECT r.status, r.view, r.positives, COUNT(*) AS films FROM {_RESULTS} "  # noqa: S608
            "GROUP BY r.status, r.view, r.positives"
        ):
            statuses[row["status"]] += row["films"]
            views[row["view"]] += row["films"]
            for finding in parted(row["positives"]):
                positives[finding] += row["films"]
        codes = database.all(
            f"SELECT c.value AS code, {SCORED} AS scored, COUNT(*) AS films "  # noqa: S608
            f"FROM {_RESULTS} JOIN json_each(r.line, '$.codes') c GROUP BY c.value, scored"
        )
        readers = database.all(
            "SELECT v.reader, COUNT(DISTINCT v.film) AS films FROM verdict v GROUP BY v.reader"
        )
        return cls(
            statuses,
            views,
            positives,
            sum(films for status, films in statuses.items() if Status(status).scored),
            Counter({(row["code"], bool(row["scored"])): row["films"] for row in codes}),
            Counter({row["reader"]: row["films"] for row in readers}),
        )
