"""Progress on stderr: n/total, films/s, time left and memory; nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Step", "progress", "say"]

Step = Callable[[str, int, int], None]
"""Called with (what, done, total); what is counted are films."""

STATM = Path("/proc/self/statm")
"""Where Linux tells the memory of a process; elsewhere the bar goes without."""


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
        TextColumn("{task.fields[rate]}", justify="right"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[memory]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, object] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for earlier in list(bar.task_ids):
                    bar.remove_task(earlier)
                tasks[what] = bar.add_task(what, total=total, rate="", memory="")
            speed = bar.tasks[-1].speed
            rate = "" if speed is None else f"{speed:,.1f} films/s"
            bar.update(bar.task_ids[-1], completed=done, total=total, rate=rate, memory=_memory())

        yield step


def say(message: str, quiet: bool = False) -> None:
    """A line of progress for people, on stderr."""
    if not quiet:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()


def _memory() -> str:
    """What the process holds of the machine's memory now."""
    if not STATM.exists():
        return ""
    import resource

    pages = int(STATM.read_text("ascii").split()[1])
    return f"{pages * resource.getpagesize() / 1e9:.1f} GB"
