"""Scoring of a batch that goes on: what an earlier run finished is not scored again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hilum.batch.journal import Entry, Journal
from hilum.batch.score import FilmScoring, Input
from hilum.domain.errors import FilmError
from hilum.reading.process import ReaderProcess

__all__ = ["Done", "Scoring"]


class Done(NamedTuple):
    """An input that is finished.

    Attributes:
        entry: what the journal keeps of it.
        resumed: an earlier run had finished it, and it was not scored again.
    """

    entry: Entry
    resumed: bool


@dataclass(frozen=True)
class Scoring(FilmScoring):
    """The scoring of one input of a batch, or its entry from an earlier run.

    Attributes:
        journal: what is finished already.
    """

    journal: Journal

    def entry(self, item: Input, reader: ReaderProcess) -> Done:
        """Score a film, unless an earlier run did. Whatever is wrong with it is in the entry.

        Args:
            item: the input.
            reader: what reads it and draws on it; nobody else may use it meanwhile.
        """
        try:
            earlier = None if item.listed.refusal is not None else self._resumed(item, reader)
        except FilmError as error:
            return Done(self.unread(item, error, reader), resumed=False)
        if earlier is not None:
            return Done(earlier, resumed=True)
        return Done(self.score(item, reader).entry, resumed=False)

    def _resumed(self, item: Input, reader: ReaderProcess) -> Entry | None:
        """Return an earlier run's entry of the same bytes, if its pictures are there.

        They must have the names that they would get now, which depend on whether another film of
        the list is called the same.
        """
        entry = self.journal.of(item.name)
        if entry is None or entry.key is None or entry.result.film not in (None, item.film):
            return None
        if entry.result.image_id != item.image_id:
            return None
        there = all(_has_bytes(self.out / file) for file in entry.files)
        return entry if there and entry.key == reader.sha256(item.path) else None


def _has_bytes(path: Path) -> bool:
    """Return whether a picture is there; a power cut can leave an empty one."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
