"""The contract of a sink: a place beside the run's own log where its numbers go too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hilum.runs.recipe import TrainingConfig

__all__ = ["OpenSink", "Sink", "numbers"]


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
