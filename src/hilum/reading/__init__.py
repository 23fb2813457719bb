"""A film read in a confined process: decoded, screened, reduced, and drawn on."""

from __future__ import annotations

import sys

from hilum.confined.child import Child

__all__ = ["COMMAND", "NOUN", "start_reader"]

COMMAND = (sys.executable, "-P", "-m", "hilum.reading.reader")
"""The child's command line. Without `-P`, Python would run a `json.py` in a folder of films."""
NOUN = "a process that reads films"


def start_reader() -> Child:
    """Start a reader ahead of its first film, while other things load.

    Raises:
        ChildProcessError: when the system gives no process.
    """
    return Child(COMMAND, NOUN)
