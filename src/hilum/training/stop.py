"""Reasons to stop a run early: a signal, a loss that is not finite, repeated overflow."""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.files.atomic import atomic_file
from hilum.training.data.batches import Batch
from hilum.training.data.films import Films

__all__ = [
    "OVERFLOWS",
    "StopSignal",
    "refuse_overflows",
    "stoppable",
    "stopped_error",
    "write_stopped_batch",
]

_POLITE = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopSignal:
    """Whether a signal requested the run to stop."""

    requested: bool = False


@contextmanager
def stoppable() -> Generator[StopSignal]:
    """Turn the first Ctrl-C or SIGTERM into a request, and let the second interrupt at once.

    Python delivers signals to the main thread only; in any other nothing is caught, and what the
    program does with signals stays as it was.

    >>> with stoppable() as stop:
    ...     stop.requested
    False
    """
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            signal.default_int_handler(number, frame)
        stop.requested = True

    before = {number: signal.signal(number, ask) for number in _POLITE}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


OVERFLOWS = 25
"""Largest number of consecutive float16 overflows: a fresh scale halves a dozen times."""


def write_stopped_batch(
    path: Path,
    labels: LabelSet,
    films: Films,
    batches: Sequence[Batch],
    facts: Mapping[str, Any],
) -> None:
    """Write the films of a step and their changes, for inspection.

    Args:
        path: stopped_batch.json.
        labels: of the films' states.
        films: of the train split.
        batches: of the step, over all ranks.
        facts: loss, gradient norm, rates and place of the step.
    """
    shown: list[dict[str, Any]] = []
    for batch in batches:
        for row, change in zip(batch.rows.tolist(), batch.changes, strict=True):
            states = zip(labels, films.states[row].tolist(), strict=True)
            shown.append(
                {
                    "film": films.names[row],
                    "states": {name: LabelState(state).name.lower() for name, state in states},
                    "change": asdict(change),
                }
            )
    # JSON has no word for what is not finite
    values = {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in facts.items()
    }
    text = json.dumps({**values, "films": shown}, indent=2, ensure_ascii=False)
    with atomic_file(path) as unfinished:
        unfinished.write_text(f"{text}\n", "utf-8")


def stopped_error(facts: Mapping[str, Any], path: Path) -> UsageError:
    """Return the error with which the run ends."""
    what = "loss" if not math.isfinite(facts["loss"]) else "gradient_norm"
    return UsageError(
        f"loss and gradient must stay finite; in epoch {facts['epoch']}, step {facts['step']} the "
        f"{what.replace('_', ' ')} became {facts[what]}. Its films are in {path}, the weights from "
        "before it in checkpoints/last.safetensors. Lower the phase's rate, or train with "
        "compute.precision=float32"
    )


def refuse_overflows(overflows: int) -> None:
    """Refuse to continue after too many skipped steps in a row.

    Raises:
        UsageError: when float16 overflowed more than `OVERFLOWS` times in a row.
    """
    if overflows > OVERFLOWS:
        raise UsageError(
            f"float16 must be wide enough for the gradient; {overflows} steps in a row overflowed. "
            "Train with compute.precision=bfloat16 or float32"
        )
