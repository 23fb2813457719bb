"""Where a run stands, as JSON: with the tensors of its state, all that going on takes."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hilum.runs.facts import PhaseRecord

__all__ = ["EpochTally", "Progress"]


class EpochTally(BaseModel):
    """What the steps of an epoch add up to; it begins anew with each epoch.

    >>> tally = EpochTally()
    >>> tally.add(6.0, 12.0, norm=2.0)
    >>> tally.add(2.0, 4.0, norm=math.inf)
    >>> tally.loss, tally.gradient_norm, tally.skipped
    (0.5, 2.0, 1)
    """

    model_config = ConfigDict(extra="forbid")

    terms: float = 0.0
    """Sum of the loss's terms over all ranks."""
    count: float = 0.0
    """What the sum is divided by."""
    norms: float = 0.0
    taken: int = 0
    skipped: int = 0
    """Steps that were not taken, since float16 overflowed."""
    seconds: float = 0.0
    rates: dict[str, float] = {}
    """Part to its rate in the last step."""

    def add(self, terms: float, count: float, norm: float) -> None:
        """One step more; it was not taken if its gradient's norm is not finite."""
        self.terms += terms
        self.count += count
        if math.isfinite(norm):
            self.norms += norm
            self.taken += 1
        else:
            self.skipped += 1

    @property
    def loss(self) -> float:
        """The mean over the epoch's terms."""
        return self.terms / self.count if self.count else 0.0

    @property
    def gradient_norm(self) -> float | None:
        """The mean over the steps taken, before clipping."""
        return self.norms / self.taken if self.taken else None


class Progress(BaseModel):
    """Where a run stands."""

    model_config = ConfigDict(extra="forbid")

    phase: int = 0
    """Number of the running phase, from 0."""
    phase_epoch: int = 0
    """Its finished epochs."""
    epoch: int = 0
    """Finished epochs of the run."""
    batch: int = 0
    """Finished batches of the running epoch."""
    step: int = 0
    """Its finished steps, of one or more batches each."""
    tally: EpochTally = Field(default_factory=EpochTally)
    overflows: int = 0
    """Steps skipped one after the other, up to now."""
    log_bytes: int = 0
    """Length of the log: what follows was written by a run that was killed."""
    records: tuple[PhaseRecord, ...] = ()
    """Of the finished phases."""
    proof: dict[str, str] = {}
    """Hashes at the running phase's start."""
    plateau: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    scaler: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    """Where the run went on under other circumstances than it began."""

    def end_epoch(self) -> None:
        """One more epoch is finished."""
        self.epoch += 1
        self.phase_epoch += 1
        self.batch = self.step = 0
        self.tally = EpochTally()

    def end_phase(self, record: PhaseRecord) -> None:
        """One more phase is finished, and proved."""
        self.records = (*self.records, record)
        self.phase += 1
        self.phase_epoch = 0
