"""What a run leaves on disk while it trains, in an order that a kill cannot spoil.

After an epoch the line of the log comes first, then the state, then the weights. A state knows how
long the log was and what was chosen, so that what a kill left before it is cut off, and what a
kill left out after it is written again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from hilum.runs.folder import RunFolder
from hilum.training.artefacts.tables import RateTable
from hilum.training.ranks import Ranks
from hilum.training.state.checkpoint import State, read_state, save_weights, write_state
from hilum.training.state.making import Making
from hilum.training.state.progress import Progress
from hilum.training.step import Learner

__all__ = ["Keeper", "read_begun"]


def read_begun(run: RunFolder) -> tuple[State, Making] | None:
    """The state that a stopped run has left, and what it was made from; None where there is none.

    Raises:
        BundleError: for a damaged state.
    """
    state = read_state(run.state)
    return None if state is None else (state, Making.model_validate(state.facts["making"]))


class Keeper:
    """Writes log, rates, state and weights; on rank 0 only.

    Args:
        run: the run folder.
        making: of the run.
        ranks: who trains.
    """

    def __init__(self, run: RunFolder, making: Making, ranks: Ranks) -> None:
        self.run = run
        self.making = making
        self.main = ranks.main
        self.rates = RateTable(run.rates)
        self._written = time.monotonic()

    def restore(self) -> tuple[Progress, State | None]:
        """Where the run stands: at its beginning, or where its state says.

        Raises:
            UsageError: when the state is of a run of another making.
        """
        begun = read_begun(self.run)
        if begun is None:
            progress, state = Progress(), None
        else:
            state, making = begun
            self.making.refuse_other(making, self.run.root)
            progress = Progress.model_validate(state.facts["progress"])
            notes = self.making.notes(making, progress.epoch + 1)
            progress.notes = tuple(dict.fromkeys((*progress.notes, *notes)))
        if self.main:
            self.run.log.parent.mkdir(parents=True, exist_ok=True)
            self.run.log.touch()
            os.truncate(self.run.log, progress.log_bytes)
            self.rates.forget_after(progress.epoch + 1, progress.step)
        return progress, state

    def older_than(self, minutes: float) -> bool:
        """Whether the state on disk is."""
        return time.monotonic() - self._written > 60.0 * minutes

    def keep(self, learner: Learner, progress: Progress) -> None:
        """Write the state."""
        if not self.main:
            return
        self.rates.flush()
        facts = {"making": self.making.model_dump(mode="json"), "progress": progress.model_dump()}
        write_state(self.run.state, State(learner.tensors(), facts))
        self._written = time.monotonic()

    def log(self, line: Mapping[str, Any]) -> int:
        """Add a line to the log; how long the log is now, in bytes."""
        if not self.main:
            return 0
        with self.run.log.open("ab") as file:
            file.write(f"{json.dumps(line)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def save(self, learner: Learner, name: str, epoch: int) -> None:
        """Write the kept weights as `best` or `last`."""
        if self.main:
            save_weights(learner.kept, self.run.checkpoint(name), {"epoch": str(epoch)})
