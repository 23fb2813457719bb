"""How fast, and at which hours, an archive may be burdened."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import datetime

from hilum.domain.errors import UsageError

__all__ = ["Hours", "Pace", "rate_of"]

_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|min)")
_HOURS = re.compile(r"(\d{1,2})-(\d{1,2})")
_SLOWEST = 0.1
"""Films a second: an archive waits for each answer, some 30 s at most."""
_LOOK_S = 30.0


def rate_of(text: str) -> float:
    """Return films a second.

    Raises:
        UsageError: for a different text, or less than one film in ten seconds.

    >>> rate_of("2/s"), rate_of("30/min")
    (2.0, 0.5)
    """
    found = _RATE.fullmatch(text.strip())
    rate = 0.0 if found is None else float(found[1]) / (1.0 if found[2] == "s" else 60.0)
    if rate < _SLOWEST:
        raise UsageError(
            f"--rate must be films by time, 6/min or more; got {text!r}. Use a rate such as 2/s"
        )
    return rate


class Pace:
    """Lets films pass one after the other.

    Args:
        rate: films a second; None for no limit.
        clock: seconds that only go forward.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._step = 0.0 if rate is None else 1.0 / rate
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def film(self) -> None:
        """Wait until the next film may pass."""
        if not self._step:
            return
        with self._lock:
            now = self._clock()
            due = max(now, self._next)
            self._next = due + self._step
        if due > now:
            self._sleep(due - now)


class Hours:
    """Hours of the day, local time, in which to work.

    Args:
        text: such as 20-06; None for all day.

    Raises:
        UsageError: for a different text.

    >>> night = Hours("20-06")
    >>> [night.holds(hour) for hour in (19, 20, 23, 0, 5, 6)]
    [False, True, True, True, True, False]
    """

    def __init__(self, text: str | None) -> None:
        self._range: tuple[int, int] | None = None
        if text is None:
            return
        found = _HOURS.fullmatch(text.strip())
        first, last = (int(found[1]), int(found[2])) if found else (24, 24)
        if first > 23 or last > 24 or first == last % 24:
            raise UsageError(
                f"--hours must be two different hours, 0 to 23; got {text!r}. Use hours such as "
                "20-06"
            )
        self._range = (first, last % 24)

    def holds(self, hour: int) -> bool:
        """Return whether an hour (0 to 23) is one of them."""
        if self._range is None:
            return True
        first, last = self._range
        return first <= hour < last if first < last else hour >= first or hour < last

    def wait(self, say: Callable[[str], None]) -> None:
        """Wait until it is one of these hours.

        Args:
            say: called once with a line where there is something to wait for.
        """
        shown = False
        while not self.holds(datetime.now().astimezone().hour):
            if not shown:
                say("waiting for the hours of --hours")
                shown = True
            time.sleep(_LOOK_S)
