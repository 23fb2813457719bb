"""Where a run's numbers go beside its own log: one file a sink, named as its file.

The contract of a sink is here, and the sinks of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from hilum.domain.errors import UsageError
from hilum.domain.members import member
from hilum.runs.recipe import TrainingConfig

__all__ = ["OpenSink", "Sink", "Sinks", "check", "numbers", "opened", "sink"]


class OpenSink(Protocol):
    """A sink that a run writes to."""

    def line(self, line: Mapping[str, Any]) -> None:
        """Take one line of the log; its `epoch` is the step."""
        ...

    def close(self, finished: bool) -> None:
        """Write what is left; `finished` is false where training was stopped."""
        ...


@dataclass(frozen=True)
class Sink:
    """The contract of a sink; each file of this folder defines `SINK: Sink`.

    Attributes:
        package: the package that must be importable.
        start: opens the sink, called as `start(run, config, place, done)`; raises UsageError for a
            place that cannot be used.

            - run: the run folder.
            - config: of the run.
            - place: what stands behind `=`; empty for the default, which is inside the run
              folder. Nothing goes over a network unless a place says so.
            - done: epochs that were logged before, where the run is resumed.
    """

    package: str
    start: Callable[[Path, TrainingConfig, str, int], OpenSink]


def numbers(line: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a log line with their names; those of an inner mapping behind a slash.

    What is null or a word is left out: 0 would say that it was computed.

    >>> dict(numbers({"epoch": 2, "phase": "all", "tune_auroc": None, "rates": {"head": 0.1}}))
    {'epoch': 2.0, 'rates/head': 0.1}
    """
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{above}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{above}{name}", float(value)


def sink(name: str) -> Sink:
    """Return the sink of that name.

    Raises:
        UsageError: when there is none, or its package is not installed.
    """
    found = member(__name__, name, Sink, "sink")
    if find_spec(found.package) is None:
        raise UsageError(
            f"the sink {name} needs {found.package}, which is not installed; install hilum[{name}]"
        )
    return found


def check(words: Sequence[str]) -> None:
    """Refuse what `opened` would refuse, before hours have gone by.

    Raises:
        UsageError: for an unknown sink, one whose package is missing, or one named twice.
    """
    names = [word.partition("=")[0] for word in words]
    for name in names:
        sink(name)
        if names.count(name) > 1:
            raise UsageError(f"a sink is named once; {name} stands {names.count(name)} times")


class Sinks:
    """The sinks of a run; opened by its first line, so that a run that is refused leaves nothing.

    Args:
        words: `tensorboard`, `mlflow` or `mlflow=URI`; none for no sink at all.
        run: the run folder.
        config: of the run.
    """

    def __init__(self, words: Sequence[str], run: Path, config: TrainingConfig) -> None:
        self._waiting = [word.partition("=") for word in words]
        self._run, self._config = run, config
        self._open: list[OpenSink] = []

    def line(self, line: Mapping[str, Any]) -> None:
        """Hand one line of the log to each. Of a resumed run, epochs before the first line stay.

        Raises:
            UsageError: for a place that a sink cannot use.
        """
        while self._waiting:
            name, _, place = self._waiting.pop(0)
            done = int(line["epoch"]) - 1
            self._open.append(sink(name).start(self._run, self._config, place, done))
        for one in self._open:
            one.line(line)

    def close(self, finished: bool) -> None:
        """Close those that are open; `finished` is false where training was stopped."""
        for one in self._open:
            one.close(finished)


@contextmanager
def opened(words: Sequence[str], run: Path, config: TrainingConfig) -> Generator[Sinks]:
    """The sinks of a run, closed at the end, whichever end it is.

    Raises:
        UsageError: as `check`.
    """
    check(words)
    sinks, finished = Sinks(words, run, config), False
    try:
        yield sinks
        finished = True
    finally:
        sinks.close(finished)
