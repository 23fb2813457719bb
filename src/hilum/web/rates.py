"""Token buckets: so many requests of one kind from one sender in a minute."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["RateLimit"]

_SENDERS = 10_000
"""Senders that are remembered; of more, the one that was seen longest ago begins anew."""


@dataclass
class _Bucket:
    level: float
    at: float


class RateLimit:
    """A bucket for each sender, which fills evenly and holds a minute's worth.

    Args:
        per_minute: requests that each sender has in a minute.
        clock: seconds, that only go forward.

    >>> limit = RateLimit(1, clock=lambda: 0.0)
    >>> limit.wait_s("a"), limit.wait_s("a"), limit.wait_s("b")
    (0, 60, 0)
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, sender: str, cost: float = 1.0) -> int:
        """Take from a sender's bucket; return 0, or the whole seconds until it holds enough.

        Args:
            sender: token or address.
            cost: of the request; 0 only looks.
        """
        with self._lock:
            now = self._clock()
            bucket = self._buckets.pop(sender, None) or _Bucket(self._most, now)
            self._buckets[sender] = bucket
            if len(self._buckets) > _SENDERS:
                self._buckets.popitem(last=False)
            rate = self._most / 60.0
            bucket.level = min(self._most, bucket.level + (now - bucket.at) * rate)
            bucket.at = now
            need = max(cost, 1.0)
            if bucket.level < need:
                return max(1, math.ceil((need - bucket.level) / rate))
            bucket.level -= cost
            return 0
