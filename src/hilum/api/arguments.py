"""Arguments that several verbs take, in the form that the rooms below want."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias, TypeVar

from hilum.domain.errors import UsageError, suggestion

__all__ = ["Advance", "member", "nothing", "path_of", "shares"]

Advance: TypeAlias = Callable[[str, int, int], None]
"""Progress callback: called with (what, done, total); films are counted."""

E = TypeVar("E", bound=StrEnum)


def path_of(place: Path | str | None) -> Path | None:
    """Return a path for text, and None for None."""
    return None if place is None else Path(place)


def nothing(_what: str, _done: int, _total: int) -> None:
    """Ignore progress that nobody watches."""


def shares(prevalence: Mapping[str, float] | None) -> dict[str, float]:
    """Return prevalences by the catalogue's names of the findings.

    >>> shares({"Pleural Effusion": 0.05})
    {'Effusion': 0.05}
    """
    from hilum.domain.findings import find

    return {find(name).name: share for name, share in (prevalence or {}).items()}


def member(kind: type[E], word: str, argument: str) -> E:
    """Return the member of an enumeration that an argument names.

    Raises:
        UsageError: when there is none.
    """
    known = [one.value for one in kind]
    if word not in known:
        raise UsageError(
            f"{argument} must be one of {', '.join(known)}; got '{word}'.{suggestion(word, known)}"
        )
    return kind(word)
