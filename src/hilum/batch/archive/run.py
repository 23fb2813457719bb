"""An archive through a bundle: each chunk of its plan becomes a part, wherever that is scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hilum.batch.archive.order import Identity, Order
from hilum.batch.archive.part import finished_chunks
from hilum.batch.engines.base import ArchiveEngine, ClusterWords
from hilum.batch.inputs import Shard
from hilum.domain.errors import UsageError
from hilum.files.lock import locked
from hilum.files.parquet import PARTS
from hilum.files.places import put_once

__all__ = ["ARCHIVE", "ArchiveRun", "read_identity", "refuse_journal", "run_archive"]

ARCHIVE = "archive.json"
"""What all parts in the folder depend on."""


@dataclass(frozen=True)
class ArchiveRun:
    """A run that is done with its chunks.

    Attributes:
        chunks: of the plan.
        scored: chunks that this run scored.
        films: films of these.
        missing: chunks that have no part: those of other machines, perhaps.
        killers: films that took their workers with them.
    """

    chunks: int
    scored: int
    films: int
    missing: int
    killers: int


def run_archive(
    order: Order,
    engine: ArchiveEngine,
    shard: Shard | None = None,
    cluster: ClusterWords | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> ArchiveRun:
    """Score the chunks of a plan that have no part yet.

    Args:
        order: with the identity that is expected of each worker.
        engine: where.
        shard: every n-th chunk alone, for as many machines with one folder; None for all.
        cluster: for engines that have a choice.
        advance: called with (films done, films of this run's share).

    Raises:
        UsageError: when the folder holds parts of another plan, bundle, code or options, or
            another run works on the same share.
    """
    place, plan = order.place, order.films
    if order.expected is None:
        raise UsageError("an order must have the identity that is expected of its workers")
    mine = range(plan.facts.chunks)
    if shard is not None:
        mine = mine[shard.index - 1 :: shard.count]
    with _held(place, shard):
        _begin(place, order.expected)
        there = finished_chunks(place)
        chunks = [chunk for chunk in mine if chunk not in there]
        films = killers = 0
        total = sum(len(plan.ordinals(chunk)) for chunk in mine)
        before = total - sum(len(plan.ordinals(chunk)) for chunk in chunks)
        with closing(engine.finish(order, chunks, cluster)) as finished:
            for done in finished if chunks else ():
                films += len(plan.ordinals(done.chunk))
                killers += done.killers
                if advance is not None:
                    advance(before + films, total)
        missing = plan.facts.chunks - len(finished_chunks(place) & set(range(plan.facts.chunks)))
    return ArchiveRun(plan.facts.chunks, len(chunks), films, missing, killers)


@contextmanager
def _held(place: Path, shard: Shard | None) -> Generator[None]:
    """Hold the folder, or one machine's share of it.

    The shares of a plan may be scored at once, and whoever scores all holds the folder alone.
    """
    with ExitStack() as stack:
        if shard is None:
            stack.enter_context(locked(place))
        else:
            stack.enter_context(locked(place / f".share-{shard.index}-of-{shard.count}"))
        yield


def refuse_journal(place: Path) -> None:
    """Refuse a folder of results that are kept in a journal.

    Raises:
        UsageError: when it is one.
    """
    if (place / "journal.jsonl").exists():
        raise UsageError(
            f"parts need a folder of their own; {place} holds a batch with a journal. Name "
            "another folder with -o"
        )


def _begin(place: Path, identity: Identity) -> None:
    """Note what all parts of a folder depend on, or compare it with what is noted.

    Raises:
        UsageError: when the folder holds results of anything else.
    """
    refuse_journal(place)
    (place / PARTS).mkdir(parents=True, exist_ok=True)
    text = json.dumps(identity.model_dump(), indent=1, sort_keys=True) + "\n"
    if put_once(place / ARCHIVE, text.encode()):
        return
    if differ := identity.differing(read_identity(place)):
        raise UsageError(
            f"an archive is continued as it was begun; {place} was scored with another "
            f"{', '.join(differ)}. Name another folder with -o"
        )


def read_identity(place: Path) -> Identity:
    """Return what all parts of a folder depend on.

    Raises:
        UsageError: when the folder has no archive of parts.
    """
    try:
        return Identity.model_validate_json((place / ARCHIVE).read_bytes())
    except (OSError, ValueError):
        raise UsageError(
            f"an archive must have its {ARCHIVE}; {place} has none, or it is damaged. Run the "
            "same `hilum predict` again"
        ) from None
