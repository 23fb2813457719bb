"""Masked binary cross-entropy, and the weights of its positive terms."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelState
from hilum.domain.policy import LabelPolicy, Uncertain
from hilum.training.config import LossConfig

__all__ = ["masked_bce", "positive_weights", "targets"]


def targets(
    states: NDArray[np.int8], policy: LabelPolicy, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Settled label states as loss targets and mask.

    Args:
        states: (N, L) LabelState values, as `settle` leaves them: what is still uncertain is left
            out, or gets a target drawn once from the policy's range (U-policies with label
            smoothing, Pham et al. 2021). UNLABELLED is always left out.
        policy: of the labels.
        seed: of the drawn targets.

    Returns:
        (N, L) targets in [0, 1] and (N, L) mask in {0, 1}; masked-out entries give no gradient.

    Example:
        >>> y, mask = targets(np.array([[1, 0, -1, -2]], np.int8), LabelPolicy(), 0)
        >>> y.tolist(), mask.tolist()
        ([[1.0, 0.0, 0.0, 0.0]], [[1.0, 1.0, 0.0, 0.0]])
    """
    y = (states == LabelState.POSITIVE).astype(np.float32)
    known = (states == LabelState.POSITIVE) | (states == LabelState.NEGATIVE)
    if policy.uncertain is Uncertain.SOFT:
        soft = states == LabelState.UNCERTAIN
        drawn = np.random.default_rng(seed).uniform(*policy.soft_range, states.shape)
        y = np.where(soft, drawn, y).astype(np.float32)
        known = known | soft
    return y, known.astype(np.float32)


def positive_weights(
    y: NDArray[np.float32], mask: NDArray[np.float32], config: LossConfig
) -> NDArray[np.float32]:
    """`(negatives / positives) ** power` of each finding, or `log2(1 + negatives / positives)`.

    Counted on labelled entries only. Both give 1 to a finding with as many of either kind.

    Args:
        y: (N, L) targets in {0, 1}.
        mask: (N, L), 1 where the label is known.
        config: power or logarithm, and `positive_weight_max` that bounds both ends.

    Returns:
        (L,) weights of the positive terms. A finding without positives gets 1: there is no
        positive term to weigh.

    Example:
        >>> y = np.array([[1], [0], [0], [0]], np.float32)
        >>> positive_weights(y, np.ones_like(y), LossConfig()).tolist()
        [3.0]
    """
    positives = (y * mask).sum(axis=0)
    negatives = ((1.0 - y) * mask).sum(axis=0)
    if not mask.any():
        raise UsageError("training needs labelled films; every label of the train split is unknown")
    ratio = np.where(positives > 0, negatives / np.maximum(positives, 1.0), 1.0)
    largest = config.positive_weight_max
    weights = ratio**config.positive_weight_power
    if config.positive_weight_log:
        weights = np.log2(1.0 + ratio)
    return np.clip(weights, 1.0 / largest, largest).astype(np.float32)


def masked_bce(logits: Tensor, y: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """Mean over known entries of `-(w y log p + (1 - y) log(1 - p))`, p = sigmoid(logit).

    Args:
        logits: (B, L).
        y: (B, L) targets in [0, 1].
        mask: (B, L), 1 where the label is known.
        weights: (L,) of the positive terms.

    Returns:
        A scalar; 0 where nothing in the batch is labelled.
    """
    terms = functional.binary_cross_entropy_with_logits(
        logits.float(), y, pos_weight=weights, reduction="none"
    )
    return (terms * mask).sum() / torch.clamp(mask.sum(), min=1.0)
