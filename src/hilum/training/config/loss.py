"""What the loss is, and how it weighs what is rare."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["LossConfig", "Weighting"]


class Weighting(StrEnum):
    """How much a positive and a negative film of a finding count, from their numbers n+ and n-."""

    NONE = "none"
    """1 and 1."""
    RATIO = "ratio"
    """n-/n+ and 1: the `pos_weight` of torch."""
    INVERSE_FREQUENCY = "inverse_frequency"
    """N/(2 n+) and N/(2 n-): each state of a finding has the same say."""
    EFFECTIVE_NUMBER = "effective_number"
    """(1 - b)/(1 - b^n) of either state, scaled to add up to 2 (Cui et al. 2019)."""
    LOG = "log"
    """log2(1 + n-/n+) and 1: rare findings count more, but not by much."""


class LossConfig(Part):
    """A loss over the known labels, each finding's states weighed by how rare they are."""

    name: str = "bce"
    """A member of the losses: bce, focal, asymmetric or auc_margin."""
    weights: Weighting = Weighting.RATIO
    """How rare states are weighed, counted on the labelled films of the train split."""
    weights_max: float = Field(default=20.0, ge=1.0)
    """Upper bound of a weight, and its inverse the lower, so that a handful of films cannot rule
    the gradient."""
    weights_power: float = Field(default=1.0, ge=0.0, le=1.0)
    """Exponent of the weights before they are bounded: 0.5 takes their square root."""
    effective_number_beta: float = Field(default=0.999, ge=0.0, lt=1.0)
    """b of `effective_number`."""
    focal_gamma: float = Field(default=2.0, ge=0.0, le=10.0)
    """Of focal: 0 is bce."""
    gamma_positive: float = Field(default=0.0, ge=0.0, le=10.0)
    """Of asymmetric: focusing of the positives."""
    gamma_negative: float = Field(default=4.0, ge=0.0, le=10.0)
    """Of asymmetric: focusing of the negatives."""
    probability_margin: float = Field(default=0.05, ge=0.0, lt=0.5)
    """Of asymmetric: negatives below this probability count nothing. From 0.5 on, a network that
    is undecided would learn nothing of them."""
    auc_margin: float = Field(default=1.0, gt=0.0)
    """Of auc_margin: by how much a positive's logit should exceed a negative's."""
