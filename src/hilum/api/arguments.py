"""Arguments that several verbs take, in the form that the rooms below want."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

__all__ = ["Advance", "nothing", "path_of", "shares"]

Advance: TypeAlias = Callable[[str, int, int], None]
"""Progress callback: called with (what, done, total); films are counted."""


def path_of(place: Path | str | None) -> Path | None:
    """Return a path for text, and None for None."""
    return None if place is None else Path(place)


def nothing(_what: str, _done: int, _total: int) -> None:
    """Ignore progress that nobody watches."""


def shares(prevalence: Mapping[str, float] | None) -> dict[str, float]:
    """Return prevalences by the catalog's names of the findings.

    >>> shares({"Pleural Effusion": 0.05})
    {'Effusion': 0.05}
    """
    from hilum.domain.findings import find

    return {find(name).name: share for name, share in (prevalence or {}).items()}
