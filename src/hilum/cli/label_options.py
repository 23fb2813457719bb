"""Options that say what counts as what among labels: the same words for every verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hilum.domain.errors import choice

if TYPE_CHECKING:
    from hilum.domain.policy import LabelPolicy

__all__ = ["Blank", "LabelSet", "NoFinding", "Uncertain", "Views", "Votes", "label_policy"]

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
