"""The engine of a cluster: Ray places workers on its nodes, and each is given chunk after chunk.

Actors alone are used, and no Ray Data: a part is put by the worker that scored it, so there is no
stage before or after the workers that could wait for their processors. Ray says where workers run
and whether they live; which chunks are left is read from the parts.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from hilum.batch.archive.order import Order
from hilum.batch.archive.worker import ChunkWorker
from hilum.batch.engines.base import CHUNKS_AHEAD, ClusterWords, FinishedChunk
from hilum.batch.engines.parts.cluster import connected
from hilum.batch.journal import Entry
from hilum.domain.errors import HilumError

__all__ = ["ENGINE", "RayActors", "RayWorker"]

_LOG = logging.getLogger(__package__)
_CPUS_A_THREAD = 0.5
"""Share of a processor that a worker asks for, a thread: below 1, so that there is always room."""
_DEATHS_A_CHUNK = 2
"""Workers that a chunk may take with it before its films are scored one by one."""
_DEATHS_A_FILM = 2
"""Workers that a film may take with it, alone, before it gets a row that says so."""
_DEATHS_IN_A_ROW = 10
"""Workers that may end without a finished chunk between them."""
_LOOK_S = 1.0
_LEAVE_S = 10.0
_COUNT_S = 5.0
"""Seconds after which the processors of the cluster are counted again: nodes come and go."""


class RayWorker:
    """A chunk worker as an actor; what goes between nodes is text and numbers.

    Args:
        order: an `Order` as JSON.
    """

    make: Callable[[Order], ChunkWorker] = ChunkWorker

    def __init__(self, order: str) -> None:
        self._order = Order.model_validate_json(order)
        self._worker: ChunkWorker | None = None

    def start(self) -> None:
        """Load the bundle, and refuse to work where this node is not as the order expects."""
        self._worker = type(self).make(self._order)

    @property
    def _ready(self) -> ChunkWorker:
        if self._worker is None:
            raise RuntimeError("a worker must be started first")
        return self._worker

    def score_chunk(self, chunk: int) -> int:
        """Score a chunk and put its part."""
        self._ready.score_chunk(chunk)
        return chunk

    def score_film(self, chunk: int, at: int) -> str:
        """Score one film; return its entry as JSON."""
        return json.dumps(self._ready.score_film(chunk, at).model_dump())

    def killed(self, chunk: int, at: int) -> str:
        """Return the entry of a film that ends its workers, as JSON."""
        return json.dumps(self._ready.killed(chunk, at).model_dump())

    def put(self, chunk: int, lines: list[str]) -> int:
        """Put the part of a chunk from its entries."""
        entries = [Entry.model_validate(json.loads(line)) for line in lines]
        self._ready.put(chunk, entries)
        return chunk


@dataclass(eq=False)
class _Hand:
    """A worker on the cluster, as the driver sees it."""

    actor: Any
    starting: Any
    """What is done when the worker has loaded its bundle; None then."""
    tasks: dict[Any, int] = field(default_factory=dict[Any, int])
    """Tasks under way, and their chunks."""


class RayActors:
    """Chunks on the workers of a Ray cluster, of one on this machine where no address is given.

    Args:
        worker: class of the actors.
    """

    def __init__(self, worker: type[RayWorker] = RayWorker) -> None:
        self._worker = worker

    def finish(
        self, order: Order, chunks: Iterable[int], cluster: ClusterWords | None = None
    ) -> Generator[FinishedChunk]:
        """Yield each chunk when its part is there."""
        cluster = cluster or ClusterWords()
        with connected(cluster.address) as ray:
            crew = _Crew(ray, self._worker, order, cluster)
            try:
                yield from _Run(ray, crew, chunks).finished()
            finally:
                crew.dismiss()


ENGINE = RayActors()


class _Crew:
    """The workers, as many as were wanted; one that ends is replaced."""

    def __init__(
        self, ray: Any, worker: type[RayWorker], order: Order, cluster: ClusterWords
    ) -> None:
        self._ray = ray
        self.order = order.model_dump_json()
        self._threads = order.threads
        self._cluster = cluster
        self._counted, self._room = float("-inf"), 1
        self.patience_s = cluster.patience_s
        self._kind = ray.remote(
            num_cpus=_CPUS_A_THREAD * order.threads,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=CHUNKS_AHEAD,
            scheduling_strategy="SPREAD",
        )(worker)
        self.hands: list[_Hand] = []

    @property
    def wanted(self) -> int:
        """Workers that the cluster has room for, as it is now, between the least and the most."""
        if time.monotonic() - self._counted > _COUNT_S:
            processors = self._ray.cluster_resources().get("CPU", 1.0)
            self._room = max(1, int(processors // self._threads))
            self._counted = time.monotonic()
        room = min(self._room, self._cluster.most) if self._cluster.most else self._room
        return max(room, self._cluster.least)

    def fill(self, needed: int) -> None:
        """Have as many workers as are wanted, and no more than have something to do."""
        while len(self.hands) < min(needed, self.wanted):
            self.hire()

    def hire(self) -> _Hand:
        """Begin a worker."""
        actor = self._kind.remote(self.order)
        hand = _Hand(actor, actor.start.remote())
        self.hands.append(hand)
        return hand

    def let_go(self, hand: _Hand) -> None:
        """End a worker, if it did not end by itself."""
        if hand in self.hands:
            self.hands.remove(hand)
        with suppress(Exception):  # the cluster may be gone with it
            self._ray.kill(hand.actor)

    def dismiss(self) -> None:
        """End all workers, and wait until they have ended: no part comes after this."""
        hands = list(self.hands)
        for hand in hands:
            self.let_go(hand)
        left = [ref for hand in hands for ref in hand.tasks]
        if left:
            with suppress(Exception):
                self._ray.wait(left, num_returns=len(left), timeout=_LEAVE_S)


class _Run:
    """One run over some chunks."""

    def __init__(self, ray: Any, crew: _Crew, chunks: Iterable[int]) -> None:
        self._ray = ray
        self._crew = crew
        self._left = deque(chunks)
        self._one_by_one: deque[int] = deque()
        self._deaths: Counter[int] = Counter()
        self._in_a_row = 0

    def finished(self) -> Generator[FinishedChunk]:
        """Yield each chunk when its part is there."""
        since = time.monotonic()
        while self._work():
            done = [one for ref in self._look() if (one := self._settle(ref)) is not None]
            if done:
                since, self._in_a_row = time.monotonic(), 0
            yield from map(FinishedChunk, done)
            self._check_patience(since)
        for chunk in self._one_by_one:
            yield self._alone(chunk)

    def _work(self) -> bool:
        """Give every free worker something to do; return whether there is anything under way."""
        busy = sum(bool(hand.tasks) for hand in self._crew.hands)
        self._crew.fill(busy + len(self._left))
        for _ in range(CHUNKS_AHEAD):  # one each, before any has two
            for hand in self._crew.hands:
                self._give(hand)
        return any(hand.tasks or hand.starting is not None for hand in self._crew.hands)

    def _give(self, hand: _Hand) -> None:
        if hand.starting is not None or len(hand.tasks) >= CHUNKS_AHEAD:
            return
        if self._left:
            chunk = self._left.popleft()
            hand.tasks[hand.actor.score_chunk.remote(chunk)] = chunk

    def _look(self) -> list[Any]:
        """Return what is done, within a second."""
        hands = self._crew.hands
        starting = [hand.starting for hand in hands if hand.starting is not None]
        refs = [*starting, *chain.from_iterable(hand.tasks for hand in hands)]
        done, _ = self._ray.wait(refs, num_returns=1, timeout=_LOOK_S)
        return done

    def _settle(self, ref: Any) -> int | None:
        """Take note of what is done; return a chunk that is finished."""
        hand = next((h for h in self._crew.hands if ref is h.starting or ref in h.tasks), None)
        if hand is None:  # its worker ended with another of its tasks
            return None
        try:
            with _in_our_words(self._ray):
                self._ray.get(ref)
        except self._ray.exceptions.RayActorError:
            self._ended(hand)
            return None
        if ref is hand.starting:
            hand.starting = None
            return None
        return hand.tasks.pop(ref)

    def _ended(self, hand: _Hand) -> None:
        """Give the chunks of a worker that ended to others."""
        self._crew.let_go(hand)
        self._in_a_row += 1
        if self._in_a_row > _DEATHS_IN_A_ROW:
            raise ChildProcessError(
                f"{self._in_a_row} workers ended one after the other without a finished chunk; "
                "what was finished is kept. See the memory and the logs of the nodes, then run "
                "the same command again"
            )
        for chunk in hand.tasks.values():
            self._deaths[chunk] += 1
            lone = self._deaths[chunk] >= _DEATHS_A_CHUNK
            (self._one_by_one if lone else self._left).append(chunk)

    def _check_patience(self, since: float) -> None:
        waited = time.monotonic() - since
        if waited > self._crew.patience_s:
            starting = sum(hand.starting is not None for hand in self._crew.hands)
            raise ChildProcessError(
                f"a chunk must be finished every {self._crew.patience_s / 60:g} minutes; none was, "
                f"and {starting} of {len(self._crew.hands)} workers have not begun. See whether "
                "the cluster has free processors, then run the same command again"
            )

    def _alone(self, chunk: int) -> FinishedChunk:
        """Score the films of a chunk one by one, and give one that ends workers a row."""
        lines: list[str] = []
        killers = deaths = 0
        hand = self._started()
        films = Order.model_validate_json(self._crew.order).films.ordinals(chunk)
        while len(lines) < len(films):
            at = len(lines)
            task = "killed" if deaths >= _DEATHS_A_FILM else "score_film"
            try:
                with _in_our_words(self._ray):
                    lines.append(self._ray.get(getattr(hand.actor, task).remote(chunk, at)))
                killers += task == "killed"
                deaths = 0
            except self._ray.exceptions.RayActorError:
                deaths += 1
                self._crew.let_go(hand)
                hand = self._started()
        with _in_our_words(self._ray):
            self._ray.get(hand.actor.put.remote(chunk, lines))
        return FinishedChunk(chunk, killers)

    def _started(self) -> _Hand:
        hand = next((one for one in self._crew.hands if one.starting is None), None)
        if hand is None:
            hand = self._crew.hire()
            with _in_our_words(self._ray):
                self._ray.get(hand.starting, timeout=self._crew.patience_s)
            hand.starting = None
        return hand


@contextmanager
def _in_our_words(ray: Any) -> Generator[None]:
    """Raise a worker's error as it was there: a user's mistake, or a disk that is full."""
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, (HilumError, OSError, MemoryError)):
            raise cause from None
        raise RuntimeError(f"a worker failed: {type(cause).__name__}") from error
