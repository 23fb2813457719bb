"""From label states to what a loss learns from: a target and a mask for each film and finding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelState
from hilum.domain.policy import LabelPolicy, Uncertain

__all__ = ["targets"]


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
