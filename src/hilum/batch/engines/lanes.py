"""The engine of one machine: lanes, so that one film is read while another is scored."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from hilum.batch.archive.order import Order
from hilum.batch.archive.worker import ChunkWorker
from hilum.batch.engines.base import CHUNKS_AHEAD, ClusterWords, FinishedChunk
from hilum.batch.lanes import MORE_LANES, in_lanes
from hilum.batch.resume import Done, Scoring
from hilum.batch.score import Input
from hilum.domain.errors import UsageError
from hilum.reading.process import ReaderProcess

__all__ = ["ENGINE", "Lanes"]

_FILMS_A_LANE = 8
"""Films that take as long to read as a reader takes to start."""


class Lanes:
    """Films in lanes: a thread of this process scores what a confined process of its own reads."""

    def entries(self, inputs: Sequence[Input], scoring: Scoring) -> Generator[Done]:
        """Yield each input as it is finished; a film that takes long holds up only its own lane."""
        manifest, request = scoring.bundle.manifest, scoring.request
        lanes = request.lanes or min(
            scoring.bundle.engine.threads + MORE_LANES, 1 + len(inputs) // _FILMS_A_LANE
        )
        readers = [
            ReaderProcess(manifest.preprocessing, manifest.gate, request.limits, first)
            for first in (request.early, *(None for _ in range(lanes - 1)))
        ]
        yield from in_lanes(inputs, scoring.entry, readers)

    def finish(
        self, order: Order, chunks: Iterable[int], cluster: ClusterWords | None = None
    ) -> Generator[FinishedChunk]:
        """Yield each chunk when its part is there; the next is begun before one is finished."""
        if cluster is not None and cluster.any:
            raise UsageError("--address and --workers are options of --engine ray")
        waiting: deque[tuple[int, Future[object]]] = deque()
        worker = ChunkWorker(order)
        threads = ThreadPoolExecutor(CHUNKS_AHEAD)
        try:
            for chunk in chunks:
                waiting.append((chunk, threads.submit(worker.score_chunk, chunk)))
                if len(waiting) == CHUNKS_AHEAD:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            worker.close()
            threads.shutdown(wait=True)


def _result(chunk: int, future: Future[object]) -> FinishedChunk:
    future.result()
    return FinishedChunk(chunk)


ENGINE = Lanes()
