"""Progress on stderr: a bar with n/total, rate and time left; nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["Step", "progress", "say"]

Step = Callable[[str, int, int], None]
"""Called with (what, done, total)."""


@contextmanager
def progress(quiet: bool) -> Generator[Step]:
    """A bar for each `what`, in turn; silent when `quiet` or when stderr is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.speed:.1f}/s", justify="right"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, object] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for earlier in list(bar.task_ids):
                    bar.remove_task(earlier)
                tasks[what] = bar.add_task(what, total=total)
            bar.update(bar.task_ids[-1], completed=done, total=total)

        yield step


def say(message: str, quiet: bool = False) -> None:
    """A line of progress for people, on stderr."""
    if not quiet:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
