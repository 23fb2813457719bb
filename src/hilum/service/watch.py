"""The films of a service held against the reference of its bundle, lot by lot as they come.

What was counted is in the store, so that the slow test goes on after a restart. Of films nothing
is kept here but sums by channel.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time

from hilum.domain.documents import Document
from hilum.domain.documents.watch import DayVerdict, WatchCheck, WatchReference, WatchState
from hilum.domain.errors import UsageError, counted
from hilum.files.database import Database, Row
from hilum.monitoring.check import CheckedDay, check_films, days_of
from hilum.monitoring.films import FilmNote, WatchedFilms, watched_films
from hilum.report.batch.results_jsonl import result_of
from hilum.report.watch import line_of_check
from hilum.service.documents import WatchSummary

__all__ = ["ServiceWatch", "WatchBooks"]

_LOG = logging.getLogger(__package__)
_MOST = 5_000
"""Films in one check; more wait for the next, so that no check holds a lane for long."""
_PENDING = (
    "SELECT rowid, film, line, made FROM result WHERE bundle=? AND rowid>? AND made<? "
    "ORDER BY rowid LIMIT ?"
)
_COUNT = "SELECT COUNT(*) FROM result WHERE bundle=? AND rowid>?"
_READ = "SELECT value FROM setting WHERE name=?"
_WRITE = "INSERT OR REPLACE INTO setting VALUES (?, ?)"


class WatchBooks(Document):
    """What a watch keeps in the store, of one reference."""

    last: int = 0
    """Row of the last result that was counted."""
    films: int = 0
    days: int = 0
    alarmed: int = 0
    """Days that alarmed."""
    apart: int = 0
    """Films without a patient, which no day counts."""
    verdict: str = ""
    """Outcome of the last day; empty before the first."""
    day: str = ""
    at: float = 0.0
    """When it was held against the reference, in seconds since 1970."""
    words: str = ""
    moved: tuple[str, ...] = ()
    rule_void: bool = False
    """Whether any day alarmed since the reference ships, and the bundle has a rule."""
    state: WatchState | None = None


@dataclass
class ServiceWatch:
    """The watch of a service.

    Attributes:
        database: of the store.
        bundle: id of the bundle that scores.
        reference: that it carries.
        seal: of the reference; another reference begins anew.
        every: films of a day; None for days by date of arrival, in UTC.
        clock: seconds since 1970.
    """

    database: Database
    bundle: str
    reference: WatchReference
    seal: str
    every: int | None = None
    clock: Callable[[], float] = time
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: int | None = None
    _day: str = ""

    @property
    def _name(self) -> str:
        return f"watch {self.bundle} {self.seal[:12]}"

    def books(self) -> WatchBooks:
        """Return what was counted until now."""
        row = self.database.one(_READ, (self._name,))
        return WatchBooks() if row is None else WatchBooks.model_validate_json(row["value"])

    def summary(self, blinded: bool) -> WatchSummary:
        """Return what the page shows: no film and no patient.

        Args:
            blinded: say only whether the last day alarmed, and not what moved.
        """
        books = self.books()
        return WatchSummary(
            verdict=books.verdict,
            day=books.day,
            films=books.films,
            days=books.days,
            alarmed=books.alarmed,
            apart=books.apart,
            words="" if blinded else books.words,
            moved=() if blinded else books.moved,
            rule_void=books.rule_void,
            false_alarms=self.reference.false_alarms,
        )

    def note(self) -> None:
        """Count one more result, and hold a whole lot, or the days before today, to the limits.

        It is called by the lane that scored the film. An error costs the check alone.
        """
        if not self._lock.acquire(blocking=False):
            return  # another lane is at it, and counts this film next time
        try:
            if self._is_due():
                self._check()
        except Exception as error:  # a lane must go on
            _LOG.error("films were not watched: %s", type(error).__name__)
        finally:
            self._lock.release()

    def _is_due(self) -> bool:
        if self.every is None:
            today = _date(self.clock())
            due = today != self._day
            self._day = today
            return due
        if self._waiting is None:
            row = self.database.one(_COUNT, (self.bundle, self.books().last))
            self._waiting = 0 if row is None else int(row[0])
        else:
            self._waiting += 1
        return self._waiting >= self.every

    def _check(self) -> None:
        books = self.books()
        today = datetime.fromtimestamp(self.clock(), UTC).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        before = self.clock() + 1.0 if self.every is not None else today.timestamp()
        rows = self.database.all(_PENDING, (self.bundle, books.last, before, _MOST))
        self._waiting = 0
        if rows:
            self._keep(self._after(books, rows))

    def _after(self, books: WatchBooks, rows: Sequence[Row]) -> WatchBooks:
        """Return the books with these results counted; with a remark where they cannot be yet."""
        read = [(row, result_of(row["line"])) for row in rows]
        known = [(row, result) for row, result in read if result.patient]
        apart = len(read) - len(known)
        done = {"last": int(rows[-1]["rowid"]), "apart": books.apart + apart, "at": self.clock()}
        if not known:
            words = f"{counted(apart, 'film')} without a patient cannot be watched"
            return books.model_copy(update={**done, "verdict": "not checked", "words": words})
        notes = {row["film"]: FilmNote(day=_date(row["made"])) for row, _ in known}
        films = watched_films(
            [result.model_copy(update={"image_id": row["film"]}) for row, result in known],
            notes if self.every is None else None,
        )
        try:
            check = check_films(
                films, self._days(films, books), self.reference, self.seal, books.state
            )
        except UsageError as error:
            update = {"verdict": "not checked", "words": str(error), "at": self.clock()}
            full = len(rows) == _MOST  # they would stand in the way for good
            return books.model_copy(update={**done, **update} if full else update)
        return books.model_copy(update={**done, **self._counted(books, check)})

    def _days(self, films: WatchedFilms, books: WatchBooks) -> list[CheckedDay]:
        """Return days by date, or as many lots as there are; a rest counts with them."""
        if self.every is None:
            return days_of(films, None)
        lots = max(1, len(films) // self.every)
        return days_of(films, -(-len(films) // lots), books.films)

    def _counted(self, books: WatchBooks, check: WatchCheck) -> dict[str, object]:
        days = [day for day in check.days if day.verdict is not DayVerdict.TOO_FEW]
        alarms = [one for one in check.alarms if one.day == days[-1].name]
        return {
            "films": books.films + check.films,
            "days": books.days + len(days),
            "alarmed": books.alarmed + sum(day.verdict is DayVerdict.ALARM for day in days),
            "verdict": days[-1].verdict.value,
            "day": days[-1].name,
            "words": line_of_check(check),
            "moved": tuple(one.words for one in alarms),
            "rule_void": books.rule_void or check.rule_void,
            "state": check.state,
        }

    def _keep(self, books: WatchBooks) -> None:
        value = books.model_dump_json()
        self.database.write(lambda connection: connection.execute(_WRITE, (self._name, value)))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
