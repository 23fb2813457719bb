"""Options that several verbs share, so that a word means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.domain.errors import UsageError

__all__ = [
    "Data",
    "Out",
    "Prevalence",
    "Quiet",
    "Seed",
    "TrainedOn",
    "prevalences",
]

Out = Annotated[Path, typer.Option("-o", "--out", help="Where to write.")]
Data = Annotated[Path, typer.Option("--data", help="The dataset's own top folder.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Prevalence = Annotated[
    list[str] | None,
    typer.Option(help="Share of films with a finding where it is used: Effusion=0.05."),
]

TrainedOn = Annotated[
    Path | None,
    typer.Option(
        "--trained-on",
        help="What made the model, to refuse leaks: a list of films, split.csv, run or bundle.",
    ),
]


def prevalences(words: list[str] | None) -> dict[str, float]:
    """What `--prevalence FINDING=value` options say, by finding.

    Raises:
        UsageError: for a word that is not such a pair.

    >>> prevalences(["Pleural Effusion=0.05"])
    {'Effusion': 0.05}
    """
    from hilum.domain.findings import find

    found: dict[str, float] = {}
    for word in words or ():
        name, equals, value = word.rpartition("=")
        try:
            found[find(name).name] = float(value) if equals else float("nan")
        except ValueError:
            found[find(name).name] = float("nan")
    wrong = [name for name, value in found.items() if not 0.0 < value < 1.0]
    if wrong:
        raise UsageError(
            f"--prevalence must read FINDING=value with a value in (0, 1); got '{words}'"
        )
    return found
