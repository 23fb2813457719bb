"""Decoders' warnings, kept off the screen of whoever reads a film."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

__all__ = ["quiet"]

_LOG = logging.getLogger("hilum.imaging")


class _ReadingNow(threading.local):
    """A warning filter's message pattern that matches only in threads that read a film.

    Filters belong to the whole process, so switching them on and off around a read is wrong with
    threads: two `warnings.catch_warnings()` that overlap leave the filters of one of them for good.
    This pattern is entered once and decides by thread.
    """

    depth = 0

    def match(self, _text: str) -> bool:
        """Whether this thread is reading; the text, which may quote a header, goes nowhere."""
        if self.depth:
            _LOG.debug("a decoder warned; its words may quote the header and are left out")
        return self.depth > 0


_READING = _ReadingNow()
_FILTER = ("ignore", _READING, Warning, None, 0)
_ORDER = threading.Lock()


@contextmanager
def quiet() -> Generator[None]:
    """Read without decoders' warnings, in this thread only.

    What matters of a warning is a reason code on the film. Other threads' warnings, and every
    filter that a caller sets, stay as they are. That a decoder warned is logged by
    `hilum.imaging` at level DEBUG, without its words.

    >>> with quiet():
    ...     warnings.warn("a value is too long", stacklevel=1)
    """
    _put_first()
    _READING.depth += 1
    try:
        yield
    finally:
        _READING.depth -= 1


def _put_first() -> None:
    """Have the filter before all others: the first that matches decides."""
    filters = cast(list[object], warnings.filters)
    if filters and filters[0] is _FILTER:
        return
    with _ORDER:
        if _FILTER in filters:
            filters.remove(_FILTER)
        filters.insert(0, _FILTER)
