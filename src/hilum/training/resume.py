"""The resume key of a run (what must be equal to resume it), and its progress."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hilum.domain.errors import UsageError
from hilum.runs.facts import PhaseRecord

__all__ = ["EpochTally", "Progress", "ResumeKey"]


class ResumeKey(BaseModel):
    """Inputs that determine the weights of a run, and those that may change their last bits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any]
    """The resolved configuration, as JSON has it."""
    labels: tuple[str, ...]
    records: str
    """Hash of films, patients and label states."""
    split: str
    """Hash of the split of every film."""
    films: str = ""
    """Hash of the names of the train and tune films that could be read; empty before they are."""
    code: str
    """Hash of hilum's source."""
    processes: int

    def refuse_difference(self, begun: ResumeKey, run: Path) -> None:
        """Refuse to resume a run that was started from different inputs.

        Args:
            begun: the key it was started with.
            run: its folder.

        Raises:
            UsageError: naming what differs: fields of the configuration, records, split, labels
                or films.
        """
        mine, theirs = dict(_flat(self)), dict(_flat(begun))
        if not self.films:
            theirs["films"] = ""
        differ = [key for key in {**theirs, **mine} if mine.get(key) != theirs.get(key)]
        if differ:
            raise UsageError(
                f"a run goes on as it was begun; {run} was begun with another {', '.join(differ)}. "
                "Give what it was begun with, or name another folder with -o"
            )

    def notes(self, begun: ResumeKey, epoch: int) -> tuple[str, ...]:
        """Return what differs from the run's start and may show in the last bits of its weights.

        Args:
            begun: the key it was started with.
            epoch: in which it resumes.
        """
        found: list[str] = []
        if self.processes != begun.processes:
            found.append(
                f"from epoch {epoch} on trained by {self.processes} processes, before that by "
                f"{begun.processes}"
            )
        if self.code != begun.code:
            found.append(f"from epoch {epoch} on trained by another version of hilum's code")
        return tuple(found)


def _flat(resume_key: ResumeKey) -> Iterator[tuple[str, object]]:
    tree = resume_key.model_dump(mode="json", exclude={"code", "processes", "config"})
    yield from _leaves(resume_key.config, "")
    yield from tree.items()


def _leaves(tree: object, above: str) -> Iterator[tuple[str, object]]:
    """Yield the values of a nested document with their dotted names."""
    if isinstance(tree, dict):
        below = tree.items()
    elif isinstance(tree, list):
        below = enumerate(tree)
    else:
        yield above, tree
        return
    for key, value in below:
        yield from _leaves(value, f"{above}.{key}" if above else str(key))


class EpochTally(BaseModel):
    """Sums over the steps of one epoch.

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
    """Divisor of the sum of terms."""
    norms: float = 0.0
    finite: int = 0
    skipped: int = 0
    """Steps skipped because float16 overflowed."""
    seconds: float = 0.0
    rates: dict[str, float] = {}
    """Learning rate of each part in the last step."""

    def add(self, terms: float, count: float, norm: float) -> None:
        """Add one step; it counts as skipped if its gradient's norm is not finite."""
        self.terms += terms
        self.count += count
        if math.isfinite(norm):
            self.norms += norm
            self.finite += 1
        else:
            self.skipped += 1

    @property
    def loss(self) -> float:
        """The mean over the epoch's terms."""
        return self.terms / self.count if self.count else 0.0

    @property
    def gradient_norm(self) -> float | None:
        """Mean norm over the steps that were not skipped, before clipping."""
        return self.norms / self.finite if self.finite else None


class Progress(BaseModel):
    """How far a run has come, as JSON: with the tensors of its state, all that resuming needs."""

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
    """Steps skipped in a row, up to now."""
    log_bytes: int = 0
    """Length of the log in bytes; anything after it was written by a run that was killed."""
    records: tuple[PhaseRecord, ...] = ()
    """Records of the finished phases."""
    proof: dict[str, str] = {}
    """Hashes at the running phase's start."""
    plateau: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    scaler: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    """Notes on resuming under different conditions."""

    def end_epoch(self) -> None:
        """Count one finished epoch."""
        self.epoch += 1
        self.phase_epoch += 1
        self.batch = self.step = 0
        self.tally = EpochTally()

    def end_phase(self, record: PhaseRecord) -> None:
        """Add the record of a finished and proved phase."""
        self.records = (*self.records, record)
        self.phase += 1
        self.phase_epoch = 0
