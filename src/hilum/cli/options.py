"""Options that several verbs share, so that a word means the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from hilum.domain.errors import UsageError, suggestion

__all__ = ["Data", "Out", "Quiet", "Seed", "choice"]

Out = Annotated[Path, typer.Option("-o", "--out", help="Where to write.")]
Data = Annotated[Path, typer.Option("--data", help="The dataset's own top folder.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

E = TypeVar("E", bound=StrEnum)


def choice(kind: type[E], word: str, option: str) -> E:
    """The member of an enumeration that an option names.

    Raises:
        UsageError: when there is none.
    """
    try:
        return kind(word)
    except ValueError:
        known = [member.value for member in kind]
        raise UsageError(
            f"{option} must be one of {', '.join(known)}; got '{word}'.{suggestion(word, known)}"
        ) from None
