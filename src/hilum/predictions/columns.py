"""Which finding a column of somebody's table is named after, and how plainly."""

from __future__ import annotations

from collections.abc import Sequence

from hilum.domain.errors import UsageError
from hilum.domain.findings import find

__all__ = ["LOGIT", "PROBABILITY", "finding_of"]

PROBABILITY = ("prob", "probability", "proba", "p", "score")
"""Words before or after a finding that say that the column is a score."""
LOGIT = ("logit", "logits")
"""Words that say that it is one, and no probability."""
_DECISION = ("pred", "prediction", "predicted")


def finding_of(column: str, score: Sequence[str] = PROBABILITY) -> tuple[int, str | None]:
    """How plainly a column says that it is a score, 0 best, and the finding it names, or None.

    `prob_Mass` says it most plainly, then `Mass` alone, then `Mass_pred`, which may be a decision.

    Args:
        column: its name; case, blanks and underscores do not matter.
        score: the words that say so.

    >>> finding_of("prob_Pleural Effusion"), finding_of("Mass"), finding_of("Mass_pred")
    ((0, 'Effusion'), (1, 'Mass'), (2, 'Mass'))
    >>> finding_of("Age")
    (1, None)
    """
    words = column.replace("_", " ").split()
    for rank, said in ((0, score), (2, _DECISION)):
        if len(words) > 1 and words[0].casefold() in said:
            return rank, _known(words[1:])
        if len(words) > 1 and words[-1].casefold() in said:
            return rank, _known(words[:-1])
    return 1, _known(words)


def _known(words: Sequence[str]) -> str | None:
    try:
        return find(" ".join(words)).name
    except UsageError:
        return None
