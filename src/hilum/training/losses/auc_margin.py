"""AUC surrogate: of a positive and a negative film, the positive should score higher."""

from __future__ import annotations

import torch
from torch import Tensor

from hilum.runs.recipe_parts import LossConfig
from hilum.training.losses import Loss, Terms, full_precision

__all__ = ["LOSS", "value"]


def value(logits: Tensor, y: Tensor, mask: Tensor, weights: Tensor, config: LossConfig) -> Terms:
    """Sum over findings and pairs of films of `w1 w0 y_i (1 - y_j) max(0, m - (x_i - x_j))^2`.

    x are logits. The squared hinge is consistent with AUROC, the plain hinge is not (Gao & Zhou).
    All pairs of a finding are summed by one sort, in B log B steps and memory for B films (Rust &
    Hocking). Findings are weighed by their pairs: with `inverse_frequency`, whose two weights
    multiply to N^2 / (4 n+ n-) where `weights_max` lets them, each finding has the same say, as in
    a macro AUROC.

    What it cannot do: it sees order only, so that a logit says nothing of a probability before
    calibration. It sees pairs inside a batch only, none of a finding with one state there: a rare
    finding wants large batches or a balanced sampler. And as processes and accumulated batches do
    not see each other's films, two processes do not give quite what one gives with the same batch.

    Args:
        logits: (B, L).
        y: (B, L) targets in [0, 1]. A film with a target between is a positive partner by that
            much and a negative one by the rest, never its own partner.
        mask: (B, L) in {0, 1}.
        weights: (L, 2), of negative and positive terms.
        config: `auc_margin` is m.

    Returns:
        The sum, and the number of pairs over all findings: of pairs made inside a process, where
        there are several.

    Source: Yan et al., Optimizing Classifier Performance via an Approximation to the
    Wilcoxon-Mann-Whitney Statistic, ICML 2003; Gao & Zhou, On the Consistency of AUC Pairwise
    Optimization, IJCAI 2015; Rust & Hocking, arXiv 2302.11062.

    Example:
        >>> films, y = torch.tensor([[0.2], [0.0]]), torch.tensor([[1.0], [0.0]])
        >>> value(films, y, torch.ones(2, 1), torch.ones(1, 2), LossConfig(auc_margin=1.0)).mean
        tensor(0.6400)
    """
    # differences of large sums of squares: float64
    scores = full_precision(logits).double()
    positive, negative = (y * mask).double(), ((1.0 - y) * mask).double()
    own = positive * negative
    squares = _over_pairs(scores, positive, negative, config.auc_margin)
    squares = squares - config.auc_margin**2 * own.sum(dim=0)
    pairs = positive.sum(dim=0) * negative.sum(dim=0) - own.sum(dim=0)
    total = (weights.prod(dim=1) * squares).sum()
    precision = full_precision(logits).dtype
    return Terms(total.to(precision), pairs.sum().to(precision))


LOSS: Loss = Loss(value, pairwise=True)


def _over_pairs(scores: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """(L,) sums over all i, j of `positive_i negative_j max(0, x_j + m - x_i)^2`.

    With all x_i and all x_j + m in one ascending row, the terms of a negative are with the
    positives before it: sums of 1, x and x^2 that run along the row give them at once.
    """
    row, order = torch.cat([scores, scores + margin]).sort(dim=0, stable=True)
    none = torch.zeros_like(positive)
    of_positives = torch.cat([positive, none]).gather(0, order)
    of_negatives = torch.cat([none, negative]).gather(0, order)
    ones = of_positives.cumsum(dim=0)
    firsts = (of_positives * row).cumsum(dim=0)
    seconds = (of_positives * row.square()).cumsum(dim=0)
    return (of_negatives * (ones * row.square() - 2.0 * row * firsts + seconds)).sum(dim=0)
