"""Options that several verbs share, so that a word means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.domain.errors import UsageError, choice

if TYPE_CHECKING:
    from hilum.domain.policy import LabelPolicy

__all__ = [
    "Blank",
    "Data",
    "LabelSet",
    "NoFinding",
    "Out",
    "Prevalence",
    "Quiet",
    "Seed",
    "TrainedOn",
    "Uncertain",
    "Views",
    "Votes",
    "label_policy",
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


Uncertain = Annotated[
    str | None, typer.Option(help="Uncertain counts as: ignore, positive, negative or soft.")
]
Blank = Annotated[str | None, typer.Option(help="Not mentioned counts as: unlabelled or negative.")]
NoFinding = Annotated[
    str | None, typer.Option(help="No Finding beside a finding: drop, trust_findings or keep.")
]
Views = Annotated[str | None, typer.Option(help="Films used: frontal or all.")]
Votes = Annotated[str | None, typer.Option(help="Several readers: majority, any or unanimous.")]
LabelSet = Annotated[str | None, typer.Option(help="Bring the findings to this label set.")]


def label_policy(**words: str | None) -> LabelPolicy:
    """The policy that the options ask for, by the policy's own field names; None for its default.

    Raises:
        UsageError: for a word that an option does not know.

    >>> label_policy(uncertain="ignore", views=None).uncertain
    <Uncertain.IGNORE: 'ignore'>
    """
    from hilum.domain import policy

    kinds = {
        "uncertain": policy.Uncertain,
        "blank": policy.Blank,
        "no_finding": policy.Conflict,
        "views": policy.Views,
        "votes": policy.Votes,
    }
    choices = {
        name: choice(kinds[name], word, f"--{name.replace('_', '-')}") if name in kinds else word
        for name, word in words.items()
        if word is not None
    }
    return policy.LabelPolicy.model_validate(choices)
