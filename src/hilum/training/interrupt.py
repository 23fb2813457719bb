"""A polite stop: Ctrl-C or SIGTERM ends a run at its next step, with its state on disk."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["StopSignal", "stoppable"]

_POLITE = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopSignal:
    """Whether somebody asked for the run to stop."""

    asked: bool = False


@contextmanager
def stoppable() -> Generator[StopSignal]:
    """Take the first Ctrl-C or SIGTERM as a wish, and the second as an order.

    Python gives signals to the main thread only; in another one nothing is taken, and what the
    program does with signals stays as it was.

    >>> with stoppable() as stop:
    ...     stop.asked
    False
    """
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            signal.default_int_handler(number, frame)
        stop.asked = True

    before = {number: signal.signal(number, ask) for number in _POLITE}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
