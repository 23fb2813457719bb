"""Who looks on while a run trains: a progress bar, other places for its log."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["SILENT", "Silent", "Watch"]


class Watch(Protocol):
    """Told how far a run is."""

    def advance(self, what: str, done: int, total: int) -> None:
        """So many films of `what` are done."""
        ...

    def log(self, line: dict[str, Any]) -> None:
        """An epoch is finished and kept; `line` is its line of log.jsonl."""
        ...


class Silent:
    """Nobody looks on."""

    def advance(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def log(self, line: dict[str, Any]) -> None:
        """Nothing."""


SILENT = Silent()
