"""Losses over known labels: one file a loss, named as its file.

The contract is here, with the sum that all losses of single entries share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hilum.domain.members import member
from hilum.runs.recipe_parts import LossConfig
from hilum.training.data.films import targets

__all__ = ["Loss", "Terms", "full_precision", "loss", "targets", "weighted"]


@dataclass(frozen=True)
class Terms:
    """A loss as a sum and the number of its terms, so that shares of a batch can be added up.

    Processes and accumulated batches that divide by their own count would give a film among few
    known labels more say than one among many. They divide by the count of all of them instead.

    Attributes:
        sum: scalar, with its gradient.
        count: scalar, without gradient. Weights do not change it.
    """

    sum: Tensor
    count: Tensor

    @property
    def mean(self) -> Tensor:
        """The loss: sum / count; 0 where nothing is known.

        >>> Terms(torch.tensor(3.0), torch.tensor(2.0)).mean
        tensor(1.5000)
        >>> Terms(torch.tensor(0.0), torch.tensor(0.0)).mean
        tensor(0.)
        """
        return self.sum / torch.where(self.count > 0, self.count, 1.0)


@dataclass(frozen=True)
class Loss:
    """The contract of a loss; each file of this folder defines `LOSS: Loss`.

    Attributes:
        value: the loss of a batch, called as `value(logits, y, mask, weights, config)`:

            - logits: (B, L), of any float type; computed in float32 or, given float64, in that.
            - y: (B, L) targets in [0, 1]. A target between counts as that much of a positive film
              and the rest of a negative one: the loss is linear in each target.
            - mask: (B, L), 1 where the label is known, else 0: no say and exactly no gradient.
            - weights: (L, 2): column 0 weighs negative terms, column 1 positive ones.
            - config: settings of all losses; each reads its own.
        pairwise: False where each known entry is a term, weighed by its own state's weight; True
            where each pair of a positive and a negative film is one, weighed by both.
    """

    value: Callable[[Tensor, Tensor, Tensor, Tensor, LossConfig], Terms]
    pairwise: bool = False


def full_precision(logits: Tensor) -> Tensor:
    """The logits in float32 at least: a bfloat16 near 20 has steps of 1/8.

    >>> full_precision(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def weighted(losses: tuple[Tensor, Tensor], y: Tensor, mask: Tensor, weights: Tensor) -> Terms:
    """Sum over known entries of `w1 y L+ + w0 (1 - y) L-`, and their number.

    Args:
        losses: (B, L) each: L- of every entry, were it negative, and L+, were it positive; in the
            order of the columns of `weights`. Finite.
        y: (B, L) targets in [0, 1].
        mask: (B, L) in {0, 1}.
        weights: (L, 2).

    Example:
        >>> one = torch.ones(1, 1)
        >>> weighted((5 * one, 7 * one), one, one, torch.tensor([[2.0, 3.0]])).sum
        tensor(21.)
    """
    if_negative, if_positive = losses
    terms = weights[:, 1] * y * if_positive + weights[:, 0] * (1.0 - y) * if_negative
    return Terms((terms * mask).sum(), mask.sum())


def loss(name: str) -> Loss:
    """Return the loss of that name.

    Raises:
        UsageError: when there is none.

    >>> loss("fokal")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no loss 'fokal'; there are: ... Did you mean 'focal'?
    """
    return member(__name__, name, Loss, "loss")
