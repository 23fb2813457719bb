"""The contract of an engine that scores the chunks of an archive; each other file is one."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple, Protocol

from hilum.batch.archive.order import Order
from hilum.domain.errors import UsageError
from hilum.domain.members import members

__all__ = ["CHUNKS_AHEAD", "ArchiveEngine", "ClusterWords", "FinishedChunk", "find_engine"]

CHUNKS_AHEAD = 2
"""Chunks that a worker has at a time, so that no lane is idle at the end of one."""


@dataclass(frozen=True)
class ClusterWords:
    """Where a cluster is, and how much of it is used.

    Attributes:
        address: of a cluster that runs already; empty to start one on this machine.
        least, most: workers; 0 for as many as the cluster has room for.
        patience_s: seconds without a finished chunk after which a run ends.

    Raises:
        UsageError: for fewer workers than none, or least above most.
    """

    address: str = ""
    least: int = 0
    most: int = 0
    patience_s: float = 1800.0

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most:
            raise UsageError(
                f"workers must read least:most, such as 1:8; got {self.least}:{self.most}"
            )

    @classmethod
    def parse(cls, address: str | None, workers: str | None) -> ClusterWords:
        """Return what the command line says: `4` is as many, `1:8` between the two.

        Raises:
            UsageError: for anything else.

        >>> ClusterWords.parse("auto", "1:8")
        ClusterWords(address='auto', least=1, most=8, patience_s=1800.0)
        """
        first, colon, last = (workers or "0").partition(":")
        words = (first, last if colon else first)
        if not all(word.isascii() and word.isdigit() and len(word) < 6 for word in words):
            raise UsageError(f"--workers must read 4 or 1:8; got {workers!r}")
        least, most = map(int, words)
        if workers is not None and most < 1:
            raise UsageError(f"--workers must be 1 or more; got {workers!r}")
        return cls(address or "", least, most)

    @property
    def any(self) -> bool:
        """Whether anything is chosen."""
        return bool(self.address or self.most)


class FinishedChunk(NamedTuple):
    """A chunk whose part is there.

    Attributes:
        chunk: its number.
        killers: films of it that took their workers with them, and have a row that says so.
    """

    chunk: int
    killers: int = 0


class ArchiveEngine(Protocol):
    """The place where the chunks of an archive are scored.

    An engine calls `ChunkWorker.score_chunk` of each chunk somewhere, any number of times and in
    any order, and says where and how many at a time; nothing else. What a chunk is, and that it is
    done, is the plan's and the part's: a part is put whole and once, and its bytes depend on plan,
    bundle, options and ordinals alone. So an engine has no state that a kill could lose.
    """

    def finish(
        self, order: Order, chunks: Iterable[int], cluster: ClusterWords | None = None
    ) -> Generator[FinishedChunk]:
        """Bring each chunk to its part, and yield it when the part is there.

        Every chunk is yielded exactly once, in any order. When the generator is closed no more
        work of this run goes on anywhere.

        Args:
            order: what to score, and how.
            chunks: numbers of chunks, each once.
            cluster: where, for engines that have a choice; None for this machine.

        Raises:
            UsageError: where a worker is not as the order expects, or there is no such cluster.
        """
        ...


def find_engine(name: str) -> ArchiveEngine:
    """Return an engine by the name of its file.

    Raises:
        UsageError: for an unknown name.

    >>> type(find_engine("lanes")).__name__
    'Lanes'
    """
    package = __name__.rpartition(".")[0]
    known = [one for one in members(package) if one != "base"]
    if name not in known:
        raise UsageError(f"--engine must be one of {', '.join(known)}; got {name!r}")
    return import_module(f"{package}.{name}").ENGINE
