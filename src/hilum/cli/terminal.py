"""The terminal of a verb: progress and remarks on stderr, results on stdout, and the exit code."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from hilum.report.parts.results import BatchResults
    from hilum.report.printed import Printed

__all__ = [
    "AGAIN",
    "REFUSED",
    "STRICT",
    "USAGE",
    "Step",
    "columns",
    "form_of",
    "kept",
    "print_batch",
    "print_json",
    "progress",
    "say",
    "stoppable",
    "telling",
]

STRICT = 1
"""Done to the end, and something in the input was refused where that was to count as failure."""
USAGE = 2
"""Wrong use or configuration: nothing was done."""
REFUSED = 3
"""Done to the end, and something in the input was refused or would go wrong."""
AGAIN = 75
"""Stopped by the machine or the user; the same command may be given again."""

_LATER = hasattr(signal, "setitimer")
"""Whether this system has a timer that interrupts."""
_POLITE = (signal.SIGINT, signal.SIGTERM, *((signal.SIGALRM,) if _LATER else ()))
_SOON_S = 0.02
"""Seconds until a signal that came within an import counts."""
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
    before = {number: signal.signal(number, _interrupt) for number in _POLITE}
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"hilum: stopped; {how} goes on where it stopped\n")
        raise typer.Exit(AGAIN) from None
    finally:
        if _LATER:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`; where the main thread is importing, a moment later.

    Within an import Python can lose the exception, and keep the lock of all imports with it: the
    command then neither stops nor goes on.
    """
    while frame is not None:
        if _LATER and frame.f_code.co_filename.startswith("<frozen importlib"):
            signal.setitimer(signal.ITIMER_REAL, _SOON_S)
            return
        frame = frame.f_back
    raise KeyboardInterrupt


class _Lines(logging.Handler):
    """Writes each record as one line on stderr, wherever that is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        say(record.getMessage())


@contextmanager
def telling(verbose: bool) -> Generator[None]:
    """Tell each warning of a decoder as a line on stderr, if `verbose`: film, module and class.

    Never its words, which may quote a header and so name a patient.
    """
    log, lines = logging.getLogger("hilum.reading"), _Lines(logging.INFO)
    level, onward = log.level, log.propagate
    if not verbose:
        yield
        return
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(lines)
        log.setLevel(level)
        log.propagate = onward


def columns() -> int:
    """Return the width that text is fitted to: the terminal's, at most 80; 80 without one."""
    return min(80, shutil.get_terminal_size((80, 24)).columns)


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
    """A line of progress for people, on stderr; a terminal's is broken between words."""
    if not quiet:
        lines = message.splitlines() or [""]
        if sys.stderr.isatty():
            width = shutil.get_terminal_size((80, 24)).columns
            lines = [part for line in lines for part in textwrap.wrap(line, width) or [""]]
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def print_json(document: Mapping[str, object]) -> None:
    """Print one document for a program on stdout."""
    typer.echo(json.dumps(document, indent=2))


def _memory() -> str:
    """What the process holds of the machine's memory now."""
    if not STATM.exists():
        return ""
    import resource

    pages = int(STATM.read_text("ascii").split()[1])
    return f"{pages * resource.getpagesize() / 1e9:.1f} GB"


def form_of(word: str | None) -> Printed | None:
    """The form that `--format` names, before anything is scored; None where it was not given.

    Raises:
        UsageError: when there is no such form.
    """
    if word is None:
        return None
    from hilum.report.printed import printed

    return printed(word)


def print_batch(batch: BatchResults, form: Printed | None, page: Path, quiet: bool) -> None:
    """Print the films in their form, and nothing else on stdout; without one, the path of the page.

    Args:
        batch: what was found.
        form: how, or None.
        page: the report, which is named on stderr where the films are printed.
        quiet: whether it is not.
    """
    if form is None:
        typer.echo(page)
        return
    # a terminal that has not all characters shows a question mark, and the films go on
    encoding = sys.stdout.encoding or "utf-8"
    typer.echo(form.render(batch).encode(encoding, "replace").decode(encoding), nl=False)
    say(str(page), quiet)
