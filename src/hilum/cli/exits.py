"""Exit codes: 0 is done, 1 is our bug."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

import typer

__all__ = ["AGAIN", "REFUSED", "STRICT", "USAGE", "kept", "stoppable"]

STRICT = 1
"""Done to the end, and something in the input was refused where that was to count as failure."""
USAGE = 2
"""Wrong use or configuration: nothing was done."""
REFUSED = 3
"""Done to the end, and something in the input was refused or would go wrong."""
AGAIN = 75
"""Stopped by the machine or the user; the same command may be given again."""

T = TypeVar("T")
_kept: list[object] = []


def kept(thing: T) -> T:
    """The same, not freed before the process ends, which then need not wait for that.

    Only the last: who calls verbs from Python does not gather what each had loaded.
    """
    _kept[:] = [thing]
    return thing


@contextmanager
def stoppable(how: str) -> Generator[None]:
    """End with exit code 75 and a word on how to go on, for Ctrl-C and for a polite kill alike.

    Args:
        how: what goes on where this stopped, such as "the same command".
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"hilum: stopped; {how} goes on where it stopped\n")
        raise typer.Exit(AGAIN) from None
    finally:
        signal.signal(signal.SIGTERM, before)
