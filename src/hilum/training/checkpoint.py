"""Checkpoints of a run: the state from which a stopped run resumes, its log and its weights.

``state.safetensors`` has every tensor that training changes (the network, the average of its
weights, the optimizer's moments) and, in its header, as JSON, everything else: where the run
stands, its sums, what was chosen. Random numbers are not in it: order, augmentation and drop-out
are functions of seed, epoch, step and rank. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from hilum.domain.errors import BundleError
from hilum.files.atomic import atomic_file
from hilum.model import weights
from hilum.model.classifier import Classifier
from hilum.runs.folder import RunFolder
from hilum.training.ranks import Ranks
from hilum.training.resume import Progress, ResumeKey
from hilum.training.tables import RateTable

__all__ = ["CheckpointWriter", "State", "read_state", "read_stopped", "save_weights", "write_state"]

_HEADER = "hilum"


@dataclass(frozen=True, eq=False)
class State:
    """Everything needed to resume a run.

    Attributes:
        tensors: by name.
        facts: what JSON can hold.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors below a name, keyed by the rest of their names.

        >>> import torch
        >>> list(State({"network.head.bias": torch.zeros(1)}, {}).part("network"))
        ['head.bias']
        """
        start = f"{name}."
        return {
            key.removeprefix(start): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(start)
        }


def write_state(path: Path, state: State) -> None:
    """Write a state atomically in place of the previous one."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in state.tensors.items()}
    with atomic_file(path) as unfinished:
        save_file(tensors, unfinished, metadata={_HEADER: json.dumps(state.facts, sort_keys=True)})


def read_state(path: Path) -> State | None:
    """Read what `write_state` wrote; return None where there is no file.

    Raises:
        BundleError: for a file that is damaged or of another make.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[_HEADER])
            return State({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"a run's state must be as hilum wrote it; {path} cannot be read ({error}). Train in "
            "a new folder"
        ) from None


def save_weights(network: Classifier, path: Path, facts: dict[str, str]) -> None:
    """Write weights atomically, and only if they can be read back.

    Raises:
        BundleError: when weights are not finite, or would not be read as they are.
    """
    with atomic_file(path) as unfinished:
        weights.save(network, unfinished, facts)
        back = load_file(unfinished)
        for name, tensor in network.state_dict().items():
            if not torch.equal(back[name], tensor.detach().cpu()):
                raise BundleError(
                    f"weights must be numbers, and read back as they were written; {name} in "
                    f"{path} does not. Lower the phase's rate; if it is finite, check the disk"
                )


def read_stopped(run: RunFolder) -> tuple[State, ResumeKey] | None:
    """Return the state of a stopped run and its resume key; None where there is none.

    Raises:
        BundleError: for a damaged state.
    """
    state = read_state(run.state)
    return None if state is None else (state, ResumeKey.model_validate(state.facts["making"]))


class CheckpointWriter:
    """Writer of the log, the learning rates, the state and the weights, on rank 0 only.

    Args:
        run: the run folder.
        resume_key: what must be equal for the run to resume.
        ranks: who trains.
    """

    def __init__(self, run: RunFolder, resume_key: ResumeKey, ranks: Ranks) -> None:
        self.run = run
        self.resume_key = resume_key
        self.main = ranks.main
        self.rates = RateTable(run.rates)
        self._written = time.monotonic()

    def restore(self) -> tuple[Progress, State | None]:
        """Return the run's progress and its saved state, or a fresh start and None.

        Raises:
            UsageError: when the state is of a run of another resume_key.
        """
        begun = read_stopped(self.run)
        if begun is None:
            progress, state = Progress(), None
        else:
            state, resume_key = begun
            self.resume_key.refuse_difference(resume_key, self.run.root)
            progress = Progress.model_validate(state.facts["progress"])
            notes = self.resume_key.notes(resume_key, progress.epoch + 1)
            progress.notes = tuple(dict.fromkeys((*progress.notes, *notes)))
        if self.main:
            self.run.log.parent.mkdir(parents=True, exist_ok=True)
            self.run.log.touch()
            os.truncate(self.run.log, progress.log_bytes)
            self.rates.forget_after(progress.epoch + 1, progress.step)
        return progress, state

    def older_than(self, minutes: float) -> bool:
        """Return whether the state on disk is older than so many minutes."""
        return time.monotonic() - self._written > 60.0 * minutes

    def keep(self, tensors: Callable[[], dict[str, Tensor]], progress: Progress) -> None:
        """Write the state.

        Args:
            tensors: called on rank 0 for the tensors of network, average and optimizer.
            progress: where the run stands.
        """
        if not self.main:
            return
        self.rates.flush()
        facts = {
            "making": self.resume_key.model_dump(mode="json"),
            "progress": progress.model_dump(),
        }
        write_state(self.run.state, State(tensors(), facts))
        self._written = time.monotonic()

    def log(self, line: Mapping[str, Any]) -> int:
        """Append a line to the log; return the log's length in bytes."""
        if not self.main:
            return 0
        with self.run.log.open("ab") as file:
            file.write(f"{json.dumps(line)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def save(self, network: Classifier, name: str, epoch: int) -> None:
        """Write the selected weights as `best` or `last`."""
        if self.main:
            save_weights(network, self.run.checkpoint(name), {"epoch": str(epoch)})
