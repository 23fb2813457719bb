"""What can be seen of a running node, and what can be repaired: no patient is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from hilum.node.books import NodeBooks
from hilum.node.outbox import NodeOverview, StudyLine, oldest, overview, pseudonyms, retry
from hilum.node.spool import Spool
from hilum.node.tally import Tally

__all__ = ["NodeView"]


@dataclass(frozen=True)
class NodeView:
    """A running node, as pages and metrics see it.

    Attributes:
        books: states.
        spool: room.
        tally: of events and times.
        bundle: id of what scores.
        largest: bytes of the largest object that may come.
        wake: called when something is to be done again.
    """

    books: NodeBooks
    spool: Spool
    tally: Tally
    bundle: str
    largest: int
    wake: Callable[[], None] = lambda: None

    def overview(self) -> NodeOverview:
        """Return what the books say."""
        return overview(self.books.database)

    def oldest(self) -> list[StudyLine]:
        """Return the studies that wait or are being scored, those that came first before others."""
        return oldest(self.books.database)

    def pseudonyms(self, studies: set[int]) -> dict[int, str]:
        """Return the pseudonym of the patient of each study that has been scored."""
        return pseudonyms(self.books.database, studies)

    def retry(self, study: int | None) -> tuple[int, int]:
        """Score failed studies and send failed objects again; return how many of each."""
        found = retry(self.books.database, study)
        self.wake()
        return found

    def unready(self) -> str:
        """Return why no film should be sent now; nothing where one may be.

        It says so while the largest object still fits: before senders are answered 0xA700.
        """
        if not self.spool.has_room(self.largest):
            return "the spool has no room for another object"
        try:
            self.spool.check()
            self.books.database.one("SELECT 1 FROM study LIMIT 1")
        except (OSError, sqlite3.Error):
            return "the spool or its books cannot be written"
        return ""
