"""Focal loss: cross-entropy that cares less for what is already right."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from hilum.runs.recipe_parts import LossConfig
from hilum.training.losses import Loss, Terms, full_precision, weighted

__all__ = ["LOSS", "value"]


def value(logits: Tensor, y: Tensor, mask: Tensor, weights: Tensor, config: LossConfig) -> Terms:
    """Sum over known entries of `-(w1 y (1-p)^g log p + w0 (1-y) p^g log(1-p))`.

    p is sigmoid(logit). The weights stand where the paper has its alpha. Its minimum lies between
    the true probability and 0.5 (of 0.10 it makes 0.31 at g = 2), so that calibration is needed
    even with weights of 1. A target between 0 and 1 mixes the two terms, and the gradient goes
    through the focusing too, as in the paper.

    Args:
        logits: (B, L).
        y: (B, L) targets in [0, 1].
        mask: (B, L) in {0, 1}.
        weights: (L, 2), of negative and positive terms.
        config: `focal_gamma` is g; at 0 this is bce.

    Returns:
        The sum, and the number of known entries.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1)
        >>> config = LossConfig(focal_gamma=2.0)
        >>> value(torch.zeros(1, 1), one, one, torch.ones(1, 2), config).mean  # log 2 / 4
        tensor(0.1733)
    """
    logits = full_precision(logits)
    log_p, log_q = logsigmoid(logits), logsigmoid(-logits)
    # powers as exponentials of logarithms: their gradient is finite where p or 1 - p is 0
    focused_negative = (config.focal_gamma * log_p).exp() * -log_q
    focused_positive = (config.focal_gamma * log_q).exp() * -log_p
    return weighted((focused_negative, focused_positive), y, mask, weights)


LOSS: Loss = Loss(value)
