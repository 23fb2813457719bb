"""Loss weights of each finding's states, and the check that the loss applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.policy import relabel
from hilum.domain.record import Cohort
from hilum.runs.recipe import TrainingConfig
from hilum.runs.recipe_parts import LossConfig, Weighting
from hilum.training.data.films import targets
from hilum.training.losses import loss

__all__ = [
    "EffectiveWeight",
    "check_weights",
    "dataset_states",
    "effective",
    "lines",
    "state_weights",
]

_STATES = (
    LabelState.POSITIVE,
    LabelState.NEGATIVE,
    LabelState.UNCERTAIN,
    LabelState.UNLABELLED,
)


def state_weights(
    y: NDArray[np.float32], mask: NDArray[np.float32], config: LossConfig
) -> NDArray[np.float32]:
    """Return the weights of negative and positive terms of each finding, from their counts.

    Each finding is a question of two answers, n- and n+ of its N labeled films: its weights do
    not depend on the other findings, and what is unlabelled counts for neither. A target between
    0 and 1 counts as that much of a positive film. The formulas stand at `Weighting`;
    `effective_number` is scaled as its paper does, to add up to the number of classes. Weights are
    then raised to `weights_power`, and held within [1 / weights_max, weights_max].

    Args:
        y: (N, L) targets in [0, 1].
        mask: (N, L), 1 where the label is known.
        config: which weighting, and its bounds.

    Returns:
        (L, 2): column 0 weighs negative terms, column 1 positive ones. A finding without positives
        or without negatives gets 1 and 1: there is nothing to balance.

    Raises:
        UsageError: when nothing at all is labeled.

    Example:
        >>> y = np.array([[1], [0], [0], [0]], np.float32)
        >>> state_weights(y, np.ones_like(y), LossConfig(weights=Weighting.RATIO)).tolist()
        [[1.0, 3.0]]
    """
    if not mask.any():
        raise UsageError("training needs labeled films; every label of the train split is unknown")
    counts = _counts(y, mask)
    balanced = (counts > 0).all(axis=1)
    weights = np.ones_like(counts)
    weights[balanced] = _WEIGHTINGS[config.weights](counts[balanced], config)
    largest = config.weights_max
    return np.clip(weights**config.weights_power, 1 / largest, largest).astype(np.float32)


def _counts(y: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (L, 2) negative and positive films among the known."""
    negatives = ((1.0 - y) * mask).sum(axis=0, dtype=np.float64)
    return np.stack([negatives, (y * mask).sum(axis=0, dtype=np.float64)], axis=1)


def _none(counts: NDArray[np.float64], config: LossConfig) -> NDArray[np.float64]:
    del config
    return np.ones_like(counts)


def _ratio(counts: NDArray[np.float64], config: LossConfig) -> NDArray[np.float64]:
    del config
    return np.stack([np.ones(len(counts)), counts[:, 0] / counts[:, 1]], axis=1)


def _inverse_frequency(counts: NDArray[np.float64], config: LossConfig) -> NDArray[np.float64]:
    del config
    return counts.sum(axis=1, keepdims=True) / (2.0 * counts)


def _effective_number(counts: NDArray[np.float64], config: LossConfig) -> NDArray[np.float64]:
    beta = config.effective_number_beta
    inverse = (1.0 - beta) / (1.0 - beta**counts)
    return 2.0 * inverse / inverse.sum(axis=1, keepdims=True)


def _log(counts: NDArray[np.float64], config: LossConfig) -> NDArray[np.float64]:
    return np.log2(1.0 + _ratio(counts, config))  # the negatives' 1 stays 1


_WEIGHTINGS: dict[Weighting, Callable[[NDArray[np.float64], LossConfig], NDArray[np.float64]]] = {
    Weighting.NONE: _none,
    Weighting.RATIO: _ratio,
    Weighting.INVERSE_FREQUENCY: _inverse_frequency,
    Weighting.EFFECTIVE_NUMBER: _effective_number,
    Weighting.LOG: _log,
}
"""Weighting functions: (K, 2) counts above 0 to (K, 2) weights."""


def check_weights(labels: LabelSet, weights: NDArray[np.float32], config: LossConfig) -> None:
    """Refuse to train with a loss that applies a weight to the wrong term.

    Each finding's weights must multiply the gradient of its negative and of its positive film as
    they stand, or by their product in a loss of pairs, and films where the finding is unlabelled
    must have none. Seen in the gradients of the loss itself, on films of one label each.

    Args:
        labels: the findings, in the order of the rows.
        weights: (L, 2), of negative and positive terms.
        config: names the loss.

    Raises:
        BundleError: naming the finding and the term.

    Example:
        >>> from hilum.domain.findings import nih14
        >>> check_weights(nih14(), np.ones((14, 2), np.float32), LossConfig(name="focal"))
    """
    expected = weights.astype(np.float64)
    if loss(config.name).pairwise:
        expected = np.repeat(expected.prod(axis=1, keepdims=True), 2, axis=1)
    plain = _gradients(np.ones_like(weights), config)
    if not ((plain[:, 0] > 0).all() and (plain[:, 1] < 0).all()):
        raise BundleError(
            f"the loss {config.name} must push negative films down and positive ones up; at a "
            "logit of 0 it does not. Set another loss.name, and report this"
        )
    found = _gradients(weights, config) / plain
    for row, column in np.argwhere(~np.isclose(found, expected, rtol=1e-4, atol=0.0)):
        state = LabelState(int(column)).name.lower()
        raise BundleError(
            f"the {state} term of {labels.findings[row]} must be weighed by "
            f"{expected[row, column]:.4g}; the loss {config.name} weighs it by "
            f"{found[row, column]:.4g}. Set another loss.name, and report this"
        )


def _gradients(weights: NDArray[np.float32], config: LossConfig) -> NDArray[np.float64]:
    """Return (L, 2) slopes of the loss at logit 0, of one negative and one positive film a finding.

    Raises:
        BundleError: when a label that is not there has a slope.
    """
    findings = len(weights)
    known = np.repeat(np.eye(findings, dtype=np.float32), 2, axis=0)
    y = known * np.tile(np.array([[0], [1]], np.float32), (findings, 1))
    with torch.enable_grad():
        logits = torch.zeros(known.shape, requires_grad=True)
        given = torch.tensor(y), torch.tensor(known), torch.tensor(weights)
        terms = loss(config.name).value(logits, *given, config)
        (slopes,) = torch.autograd.grad(terms.sum, logits)
    found = slopes.double().numpy()
    if found[known == 0].any():
        raise BundleError(
            f"an unlabelled finding must have no gradient; in the loss {config.name} it has. "
            "Set another loss.name, and report this"
        )
    return found[known == 1].reshape(findings, 2)


@dataclass(frozen=True)
class EffectiveWeight:
    """The weight of one state of one finding in the loss, as measured on it.

    Attributes:
        finding: its name.
        state: what the dataset says: positive, negative, uncertain or unlabelled.
        films: of that state.
        counted: those of them that the loss learns from.
        target: mean of what it learns them to be; None where it learns from none.
        weight: mean of what multiplies the gradient of those; 0 where none is counted, None where
            no film has the state.
        share: of the gradient of all films and findings, sizes added up, by a network that is
            undecided of everything, in [0, 1]. Focusing is in it, and all pairs of films are where
            the loss is of pairs. It moves as the network learns: what is right pulls less.
    """

    finding: str
    state: str
    films: int
    counted: int
    target: float | None
    weight: float | None
    share: float


def dataset_states(read: Cohort, settled: Cohort) -> NDArray[np.int8]:
    """Return the dataset's own label states for the films and findings of a settled cohort.

    Args:
        read: as the reader gives it, with all films of `settled`.
        settled: by a policy, or a split of that.

    Returns:
        (N, L) LabelState values, rows and columns as in `settled`.
    """
    same = read if read.labels == settled.labels else relabel(read, settled.labels)
    states = {record.image_id: record.states for record in same.records}
    rows = [states[name] for name in settled.image_ids()]
    return np.array(rows, np.int8).reshape(len(settled), len(settled.labels))


def effective(
    labels: LabelSet,
    given: NDArray[np.int8],
    states: NDArray[np.int8],
    config: TrainingConfig,
) -> tuple[EffectiveWeight, ...]:
    """Return the weight of every state of every finding, read from the gradients of the loss.

    Args:
        labels: the findings.
        given: (N, L) LabelState values of the train split, as the dataset has them.
        states: (N, L) the same films and findings, as the policy settled them.
        config: policy, seed and loss are used.

    Returns:
        Four rows a finding, in the order of the labels.

    Raises:
        UsageError: when nothing is labeled.
        BundleError: when the loss has a gradient where nothing is labeled.
        ValueError: for arrays of different shapes.

    Example:
        >>> from hilum.runs.recipe import load_config
        >>> films = np.array([[1], [0], [0], [-2]], np.int8)
        >>> config = load_config("demo", ("loss.weights_power=1",))
        >>> rows = effective(LabelSet("one", ("Mass",)), films, films, config)
        >>> [(row.state, row.films, row.target, row.weight) for row in rows]
        [('positive', 1, 1.0, 2.0), ('negative', 2, 0.0, 1.0), ('uncertain', 0, None, None),
         ('unlabelled', 1, None, 0.0)]
    """
    if given.shape != states.shape:
        raise ValueError(f"given must have the shape of states, {states.shape}; got {given.shape}")
    y, mask = targets(states, config.labels, config.seed)
    weights = state_weights(y, mask, config.loss)
    slopes = np.abs(_gradients(weights, config.loss))
    factors = slopes / np.abs(_gradients(np.ones_like(weights), config.loss))
    if loss(config.loss.name).pairwise:
        slopes = slopes * _counts(y, mask)[:, ::-1]  # a film is in as many pairs as it has partners
    weight, pull = (mask * (y * of[:, 1] + (1.0 - y) * of[:, 0]) for of in (factors, slopes))
    total = float(pull.sum()) or 1.0  # a loss of pairs may have none
    rows: list[EffectiveWeight] = []
    for column, finding in enumerate(labels):
        for state in _STATES:
            of_state = given[:, column] == state
            counted = of_state & (mask[:, column] > 0)
            films, known = int(of_state.sum()), int(counted.sum())
            zero = 0.0 if films else None
            rows.append(
                EffectiveWeight(
                    finding=finding,
                    state=state.name.lower(),
                    films=films,
                    counted=known,
                    target=float(y[counted, column].mean()) if known else None,
                    weight=float(weight[counted, column].mean()) if known else zero,
                    share=float(pull[counted, column].sum()) / total,
                )
            )
    return tuple(rows)


def lines(rows: Sequence[EffectiveWeight]) -> list[str]:
    """Return the rows as aligned columns; without uncertain or unlabelled where there is none.

    >>> for line in lines([EffectiveWeight("Mass", "positive", 1200, 1200, 1.0, 3.25, 0.5)]):
    ...     print(line)
    finding  state     films  counted  target  weight  share
    Mass     positive  1,200    1,200       1    3.25  50.0%
    """
    head = ("finding", "state", "films", "counted", "target", "weight", "share")
    cells = [
        (
            row.finding,
            row.state,
            f"{row.films:,}",
            f"{row.counted:,}",
            "-" if row.target is None else f"{row.target:.3g}",
            "-" if row.weight is None else f"{row.weight:.4g}",
            f"{row.share:.1%}",
        )
        for row in rows
        if row.films or row.state in ("positive", "negative")
    ]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *cells)
    ]
