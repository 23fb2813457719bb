"""A loss that is no number any more: the run stops, and says with which films it happened."""

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
    """Whether somebody asked for the run to stop."""

    requested: bool = False


@contextmanager
def stoppable() -> Generator[StopSignal]:
    """Take the first Ctrl-C or SIGTERM as a wish, and the second as an order.

    Python gives signals to the main thread only; in another one nothing is taken, and what the
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
"""Steps that float16 may overflow in one after the other: a fresh scale halves a dozen times."""


def write_stopped_batch(
    path: Path,
    labels: LabelSet,
    films: Films,
    batches: Sequence[Batch],
    told: Mapping[str, Any],
) -> None:
    """Write what a step consisted of, so that it can be looked at.

    Args:
        path: stopped_batch.json.
        labels: of the films' states.
        films: of the train split.
        batches: of the step, over all ranks.
        told: loss, gradient norm, rates and place of the step.
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
    facts = {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in told.items()
    }
    text = json.dumps({**facts, "films": shown}, indent=2, ensure_ascii=False)
    with atomic_file(path) as unfinished:
        unfinished.write_text(f"{text}\n", "utf-8")


def stopped_error(told: Mapping[str, Any], path: Path) -> UsageError:
    """The line that the run ends with."""
    what = "loss" if not math.isfinite(told["loss"]) else "gradient_norm"
    return UsageError(
        f"loss and gradient must stay finite; in epoch {told['epoch']}, step {told['step']} the "
        f"{what.replace('_', ' ')} became {told[what]}. Its films are in {path}, the weights from "
        "before it in checkpoints/last.safetensors. Lower the phase's rate, or train with "
        "compute.precision=float32"
    )


def refuse_overflows(overflows: int) -> None:
    """Refuse to go on skipping steps for ever.

    Raises:
        UsageError: when float16 overflowed more than `OVERFLOWS` times in a row.
    """
    if overflows > OVERFLOWS:
        raise UsageError(
            f"float16 must be wide enough for the gradient; {overflows} steps in a row overflowed. "
            "Train with compute.precision=bfloat16 or float32"
        )
