"""Weights that float16 holds: `hilum.model.graph.store_half` then stores them in half the bytes."""

from __future__ import annotations

import copy

import torch

from hilum.domain.errors import BundleError
from hilum.model.classifier import Classifier

__all__ = ["rounded"]


def rounded(network: Classifier) -> Classifier:
    """A copy whose kernels and matrices hold only values that float16 has.

    They make up nearly all of a network. Biases, norms and statistics stay as they are: they are
    few, and a variance can be too small for float16.

    Raises:
        BundleError: for weights beyond 65504, float16's largest number.
    """
    copied = copy.deepcopy(network)
    for name, parameter in copied.named_parameters():
        if parameter.ndim < 2:
            continue
        weights = parameter.data
        half = weights.half()
        if not torch.isfinite(half).all():
            largest = float(weights.abs().max())
            raise BundleError(
                f"weights must be within 65504 to be stored as float16; {name} reaches {largest:g}"
            )
        parameter.data = half.to(weights.dtype)
    return copied
