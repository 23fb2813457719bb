"""The state that a stopped run goes on from, and its weights.

``state.safetensors`` has every tensor that training changes (the network, the average of its
weights, the optimiser's moments) and, in its header, as JSON, everything else: where the run
stands, its sums, what was chosen. Random numbers are not in it: order, augmentation and drop-out
are functions of seed, epoch, step and rank. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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

__all__ = ["State", "read_state", "save_weights", "write_state"]

_HEADER = "hilum"


@dataclass(frozen=True, eq=False)
class State:
    """All that it takes to go on.

    Attributes:
        tensors: by name.
        facts: what JSON can hold.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors below a name, by what follows it.

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
    """Write a state in the place of the one before, at once."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in state.tensors.items()}
    with atomic_file(path) as unfinished:
        save_file(tensors, unfinished, metadata={_HEADER: json.dumps(state.facts, sort_keys=True)})


def read_state(path: Path) -> State | None:
    """Read what `write_state` wrote; None where there is nothing.

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
    """Write weights in the place of those before, at once, and only if they can be read back.

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
