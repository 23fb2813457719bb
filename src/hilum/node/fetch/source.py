"""The contract of a source of films, and what goes wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hilum.node.fetch.folder import FilmFolder
from hilum.node.fetch.wanted import StudyKey, StudyQuery

__all__ = [
    "FilmSource",
    "FoundSeries",
    "SourceRefusedError",
    "SourceUnreachableError",
]


class SourceUnreachableError(Exception):
    """A source that does not answer; the words say nothing of a patient."""


class SourceRefusedError(Exception):
    """A source that answers with a failure; the words say nothing of a patient."""


@dataclass(frozen=True, repr=False)
class FoundSeries:
    """A series of a study.

    Attributes:
        uid: of the series.
        modality: such as CR.
        body_part: as the source has it; often empty.
    """

    uid: str
    modality: str
    body_part: str


class FilmSource(Protocol):
    """An archive. Every method raises `SourceUnreachableError` or `SourceRefusedError`."""

    def studies(self, key: StudyKey) -> list[str]:
        """Return the UIDs of the studies that a key names; answers that do not match are left."""
        ...

    def search(self, query: StudyQuery) -> list[str]:
        """Return the UIDs of the studies that a query finds, one more than it allows at most."""
        ...

    def series(self, study: str) -> list[FoundSeries]:
        """Return the series of a study."""
        ...

    def retrieve(self, study: str, series: str, folder: FilmFolder) -> int:
        """Put the films of a series into a folder; return how many did not come or were refused."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
