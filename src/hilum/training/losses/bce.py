"""Binary cross-entropy: every known label counts, the more the surer the network is against it."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from hilum.runs.recipe_parts import LossConfig
from hilum.training.losses import Loss, Terms, full_precision, weighted

__all__ = ["LOSS", "value"]


def value(logits: Tensor, y: Tensor, mask: Tensor, weights: Tensor, config: LossConfig) -> Terms:
    """Sum over known entries of `-(w1 y log p + w0 (1 - y) log(1 - p))`, p = sigmoid(logit).

    The one loss here whose minimum, with weights of 1, is the true probability. With weights it is
    a probability at another prevalence, and wants calibration all the more.

    Args:
        logits: (B, L).
        y: (B, L) targets in [0, 1].
        mask: (B, L) in {0, 1}.
        weights: (L, 2), of negative and positive terms.
        config: not used.

    Returns:
        The sum, and the number of known entries.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1)
        >>> terms = value(torch.zeros(1, 1), one, one, torch.tensor([[1.0, 2.0]]), LossConfig())
        >>> terms.mean  # 2 log 2
        tensor(1.3863)
    """
    del config
    logits = full_precision(logits)
    return weighted((-logsigmoid(-logits), -logsigmoid(logits)), y, mask, weights)


LOSS: Loss = Loss(value)
