"""Engines that process the films of a batch; the contract is here, each other file is one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from hilum.batch.resume import Done, Scoring
from hilum.batch.score import Input

__all__ = ["BatchEngine"]


class BatchEngine(Protocol):
    """The place where the films of a batch are read, scored and drawn on.

    An engine says where the work runs and how much of it at a time, and nothing else: what is
    written to the journal and to the reports is the same for all, byte for byte. It has no state
    that a kill could lose, since the journal is written by the caller.
    """

    def entries(self, inputs: Sequence[Input], scoring: Scoring) -> Generator[Done]:
        """Bring each input to its end by `scoring.entry`, and yield what came of it.

        Every input is yielded exactly once, as soon as it is finished, in any order. Pictures of an
        input are in place before it is yielded. An exception of `scoring.entry` is raised here, and
        nothing more is started. When the generator is closed no more work goes on anywhere.

        Args:
            inputs: each with the names of its pictures.
            scoring: bundle, request, output folder, and what an earlier run finished.
        """
        ...
