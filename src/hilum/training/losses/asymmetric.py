"""Asymmetric loss: focal with its own focus for negatives, the easiest of which count nothing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hilum.runs.recipe_parts import LossConfig
from hilum.training.losses import Loss, Terms, full_precision, weighted

__all__ = ["LOSS", "value"]

_SMALLEST = 1e-30
"""Below any probability above the margin that float32 can tell from it."""


def value(logits: Tensor, y: Tensor, mask: Tensor, weights: Tensor, config: LossConfig) -> Terms:
    """Sum over known entries of `-(w1 y (1-p)^g+ log p + w0 (1-y) q^g- log(1-q))`.

    p is sigmoid(logit), q is max(p - m, 0). For labels with many easy negatives, some of them
    wrong: the shift by m silences the easiest negatives, and softens the gradient of the hardest,
    which may be positives that nobody wrote down. Its minimum is not the true probability. A target
    between 0 and 1 mixes the two terms, and the gradient goes through the focusing too, as in the
    paper's formula.

    Args:
        logits: (B, L).
        y: (B, L) targets in [0, 1].
        mask: (B, L) in {0, 1}.
        weights: (L, 2), of negative and positive terms.
        config: `gamma_positive` is g+, `gamma_negative` g-, `probability_margin` m. With all three
            0 this is bce; with m = 0 and equal gammas, focal.

    Returns:
        The sum, and the number of known entries.

    Source: Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021.

    Example:
        >>> import torch
        >>> film = torch.tensor([[-3.0]])  # p = 0.047, below the margin
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> value(film, zero, one, torch.ones(1, 2), LossConfig(probability_margin=0.05)).mean
        tensor(0.)
    """
    logits = full_precision(logits)
    log_p, log_rest = logsigmoid(logits), logsigmoid(-logits)
    # powers as exponentials of logarithms: their gradient is finite where the base is 0
    focused_positive = (config.gamma_positive * log_rest).exp() * -log_p
    if config.probability_margin > 0.0:
        shifted = torch.clamp(log_p.exp() - config.probability_margin, min=0.0)
        log_p, log_rest = torch.clamp(shifted, min=_SMALLEST).log(), torch.log1p(-shifted)
    focused_negative = (config.gamma_negative * log_p).exp() * -log_rest
    return weighted((focused_negative, focused_positive), y, mask, weights)


LOSS: Loss = Loss(value)
