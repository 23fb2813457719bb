"""The parts of a running service, and what of a film may be shown to whom."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import UsageError
from hilum.files.database import Database
from hilum.files.lock import LOCK
from hilum.service.objects import FilmObjects
from hilum.service.pictures import FilmPictures
from hilum.service.settings import ServiceSettings
from hilum.service.store.database import open_database
from hilum.service.store.films import FilmRow, FilmState, StoredFilms
from hilum.service.store.tokens import AccessToken, StoredTokens
from hilum.service.store.verdicts import StoredVerdicts
from hilum.service.store.worklist import BLINDED_STATES, Worklist, WorklistState
from hilum.web.rates import RateLimit

if TYPE_CHECKING:
    from anyio import CapacityLimiter

    from hilum.service.queue import FilmQueue
    from hilum.service.watch import ServiceWatch

__all__ = ["DATABASE", "BundleOnShow", "ServiceParts", "Store", "open_store", "utc"]

DATABASE = "hilum.sqlite"
"""Name of the database in a store."""
_LOOKING = 8
"""Requests for pictures that are worked on at a time; one reader makes the pictures."""


@dataclass(frozen=True)
class Store:
    """The books and the files of a service.

    Attributes:
        root: the folder.
        database: the books.
        films, tokens: parts of them.
        objects: the files.
    """

    root: Path
    database: Database
    films: StoredFilms
    tokens: StoredTokens
    objects: FilmObjects

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def open_store(root: Path, new: bool = True) -> Store:
    """Open the store in a folder.

    Args:
        root: the folder.
        new: make it where it is missing.

    Raises:
        UsageError: for a folder of something else, or a missing one with `new` false.
    """
    path = root / DATABASE
    if not path.exists():
        held = [one.name for one in root.iterdir() if one.name != LOCK] if root.is_dir() else []
        if not new or held:
            raise UsageError(
                f"a store must be a folder that `hilum serve` made{', or a new one' * new}; "
                f"{root} is not. Name one with --store"
            )
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(path)
    return Store(root, database, StoredFilms(database), StoredTokens(database), FilmObjects(root))


@dataclass(frozen=True)
class BundleOnShow:
    """What a service says of the bundle that scores, or scored.

    Attributes:
        id, name: of the bundle.
        thresholds: finding to threshold, in the bundle's order.
        evaluation: its own numbers; None where it was never evaluated, or is not at hand.
    """

    id: str
    name: str
    thresholds: Mapping[str, float | None]
    evaluation: Evaluation | None = None

    @property
    def findings(self) -> tuple[str, ...]:
        """The findings it knows."""
        return tuple(self.thresholds)


@dataclass
class ServiceParts:
    """Everything that answers requests.

    Attributes:
        store: books and files.
        settings: how it is run.
        bundle: what scores, or scored.
        pictures: what can be looked at.
        queue: what scores; None where films are only reviewed.
        watch: holds films against the bundle's reference; None where it has none.
    """

    store: Store
    settings: ServiceSettings
    bundle: BundleOnShow
    pictures: FilmPictures
    queue: FilmQueue | None = None
    watch: ServiceWatch | None = None
    verdicts: StoredVerdicts = field(init=False)
    worklist: Worklist = field(init=False)
    uploads: RateLimit = field(init=False)
    wrong_tokens: RateLimit = field(init=False)
    counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        limits = self.settings.limits
        self.verdicts = StoredVerdicts(self.store.database, apart=self.settings.blind)
        self.worklist = Worklist(self.store.database, self.bundle.findings)
        self.uploads = RateLimit(limits.uploads_per_minute)
        self.wrong_tokens = RateLimit(limits.wrong_tokens_per_minute)

    @cached_property
    def looking(self) -> CapacityLimiter:
        """Threads that wait for pictures, so that those who look leave threads for the rest."""
        from anyio import CapacityLimiter

        return CapacityLimiter(_LOOKING)

    def count(self, what: str) -> None:
        """Count something for `/metrics`."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def may_see(self, film: str, caller: AccessToken) -> bool:
        """Return whether a caller may see what the model, and other readers, found on a film."""
        return not self.settings.blind or self.verdicts.has_read(film, caller.reader)

    def shown_counts(self, caller: AccessToken) -> dict[WorklistState, int]:
        """Return the films in each part of the list; while blinded, of those that tell nothing."""
        counts = self.worklist.counts(caller.reader)
        hidden = {*BLINDED_STATES, WorklistState.SECOND_LOOK} if self.settings.blind else set()
        return {state: films for state, films in counts.items() if state not in hidden}

    def state_of(self, film: FilmRow) -> str:
        """Return the film's state in the words of the API."""
        reading = self.queue is not None and self.queue.is_reading(film.id)
        return "reading" if reading and film.state is FilmState.QUEUED else film.state.value

    def close(self) -> None:
        """Stop scoring, and close everything."""
        if self.queue is not None:
            self.queue.close()
        self.pictures.close()
        self.store.close()


def utc(seconds: float) -> str:
    """Return a time as ISO 8601, in UTC.

    >>> utc(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
