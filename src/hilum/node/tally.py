"""What happened since the start: numbers of events, and how long each stage took."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["BOUNDS", "STAGES", "StageTimes", "Tally"]

STAGES = ("receive", "wait", "read", "score", "build", "send")
"""A film's way: to the disk, until its study is due, through the reader, through the network, into
objects, and to a destination."""
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds, in seconds, of the bins that times are counted in."""


@dataclass
class StageTimes:
    """The times of one stage.

    Attributes:
        bins: numbers of times up to each bound; the last one is of those above all.
        total_s: their sum.
    """

    bins: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total_s: float = 0.0


class Tally:
    """Counts of events by their words, and times by stage; several threads may add to it.

    Example:
        >>> tally = Tally()
        >>> tally.time("read", 0.2)
        >>> tally.count("sent", "pacs", "sent")
        >>> tally.counts()[("sent", "pacs", "sent")], tally.times()["read"].bins[:6]
        (1, [0, 0, 0, 0, 1, 0])
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._times = {stage: StageTimes() for stage in STAGES}

    def count(self, *words: str) -> None:
        """Count an event; its words are of a fixed few, and none comes from outside."""
        with self._lock:
            self._counts[words] += 1

    def time(self, stage: str, seconds: float) -> None:
        """Enter how long a stage took."""
        with self._lock:
            times = self._times[stage]
            times.bins[bisect_left(BOUNDS, seconds)] += 1
            times.total_s += seconds

    def counts(self) -> dict[tuple[str, ...], int]:
        """Return the number of each event."""
        with self._lock:
            return dict(self._counts)

    def times(self) -> dict[str, StageTimes]:
        """Return the times of each stage."""
        with self._lock:
            return {name: StageTimes([*one.bins], one.total_s) for name, one in self._times.items()}
