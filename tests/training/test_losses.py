"""The loss against torch's own and against paper and pencil; what is unknown has no say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.policy import LabelPolicy, Uncertain, settle
from hilum.domain.record import Cohort, Record
from hilum.training.config import LossConfig
from hilum.training.losses import masked_bce, positive_weights, targets

STATES = np.array([[1, 0, -1, -2]], np.int8)


@pytest.mark.parametrize(
    ("uncertain", "y", "mask"),
    [
        ("ignore", [1, 0, 0, 0], [1, 1, 0, 0]),
        ("positive", [1, 0, 1, 0], [1, 1, 1, 0]),
        ("negative", [1, 0, 0, 0], [1, 1, 1, 0]),
    ],
)
def test_each_state_counts_as_the_policy_says(
    uncertain: str, y: list[int], mask: list[int]
) -> None:
    policy = LabelPolicy(uncertain=Uncertain(uncertain))
    film = Record("a.png", "1", tuple(LabelState(s) for s in STATES[0]))
    four = LabelSet("four", ("Mass", "Edema", "Hernia", "Nodule"))
    settled = settle(Cohort("mine", four, (film,)), policy)
    got = targets(settled.states(), policy, seed=0)
    assert [part.tolist() for part in got] == [[y], [mask]]
    assert {part.dtype for part in got} == {np.dtype(np.float32)}


def test_soft_targets_lie_in_their_range_and_are_learned_from() -> None:
    policy = LabelPolicy(uncertain=Uncertain.SOFT, soft_range=(0.6, 0.7))
    y, mask = targets(np.full((50, 2), LabelState.UNCERTAIN, np.int8), policy, seed=1)
    assert mask.all()
    assert 0.6 <= y.min() < y.max() <= 0.7
    assert (targets(np.full((50, 2), -1, np.int8), policy, seed=1)[0] == y).all()


def test_ignored_uncertain_labels_have_no_gradient() -> None:
    y, mask = targets(STATES, LabelPolicy(uncertain=Uncertain.IGNORE), seed=0)
    logits = torch.zeros(1, 4, requires_grad=True)
    masked_bce(logits, torch.from_numpy(y), torch.from_numpy(mask), torch.ones(4)).backward()
    assert logits.grad is not None
    assert (logits.grad[0] != 0).tolist() == [True, True, False, False]


def test_the_loss_of_one_film_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 50.0]])
    y, mask = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    # -2 log(1/2) for the positive of weight 2, -log(1/4) for the negative, nothing for the third
    expected = (2 * math.log(2.0) + math.log(4.0)) / 2
    weights = torch.tensor([2.0, 7.0, 7.0])
    assert masked_bce(logits, y, mask, weights).item() == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_the_loss_is_torch_s_on_what_is_known(seed: int, films: int, findings: int) -> None:
    rng = np.random.default_rng(seed)
    states = rng.integers(-2, 2, (films, findings)).astype(np.int8)
    y, mask = (torch.from_numpy(part) for part in targets(states, LabelPolicy(), 0))
    weights = torch.from_numpy(rng.uniform(0.1, 9, findings).astype(np.float32))
    logits = torch.from_numpy(rng.normal(0, 3, states.shape).astype(np.float32)).requires_grad_()
    loss = masked_bce(logits, y, mask, weights)
    loss.backward()
    known = mask.bool()
    assert (logits.grad[~known] == 0).all()
    if not known.any():
        assert loss.item() == 0.0
        return
    terms = nn.BCEWithLogitsLoss(pos_weight=weights, reduction="none")(logits.detach(), y)
    torch.testing.assert_close(loss.detach(), terms[known].mean())
    # d/dx of -(w y log s(x) + (1 - y) log(1 - s(x)))
    p = torch.sigmoid(logits.detach())
    slope = (1 - y) * p - weights * y * (1 - p)
    torch.testing.assert_close(logits.grad[known], slope[known] / known.sum())


def test_what_is_unlabelled_changes_nothing_however_wild_its_logit() -> None:
    y, mask = (torch.from_numpy(part) for part in targets(STATES, LabelPolicy(), 0))
    weights = torch.ones(4)
    losses = [
        masked_bce(torch.tensor([[1.0, 2.0, wild, wild]]), y, mask, weights).item()
        for wild in (-1e4, 0.0, 1e4)
    ]
    assert len(set(losses)) == 1


def test_a_low_precision_logit_is_scored_in_full_precision() -> None:
    logits = torch.tensor([[20.0]], dtype=torch.bfloat16)
    one = torch.ones(1, 1)
    loss = masked_bce(logits, one, one, torch.ones(1))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.exp(-20.0), rel=1e-3)


@pytest.mark.parametrize(
    ("power", "largest", "expected"),
    [
        (1.0, 20.0, [3, 1 / 3, 1, 1]),
        (0.5, 20.0, [math.sqrt(3), 1 / math.sqrt(3), 1, 1]),
        (0.0, 20.0, [1, 1, 1, 1]),
        (1.0, 2.0, [2, 0.5, 1, 1]),
    ],
)
def test_positives_weigh_their_inverse_frequency_among_the_known(
    power: float, largest: float, expected: list[float]
) -> None:
    # columns: 1 of 4 positive, 3 of 4, none, and one positive and one negative beside unknowns
    states = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 1, 0, -1], [0, 0, 0, -2]], np.int8)
    config = LossConfig(positive_weight_max=largest, positive_weight_power=power)
    weights = positive_weights(*targets(states, LabelPolicy(), 0), config)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights.dtype == np.float32


def test_logarithmic_weights_grow_slowly_and_are_one_where_kinds_are_even() -> None:
    states = np.array([[1, 1], [0, 0], [0, -1], [0, -2]], np.int8)
    config = LossConfig(positive_weight_log=True)
    weights = positive_weights(*targets(states, LabelPolicy(), 0), config)
    np.testing.assert_allclose(weights, [2.0, 1.0], rtol=1e-6)


def test_a_finding_that_is_always_positive_is_bounded_too() -> None:
    y = np.ones((3, 1), np.float32)
    assert positive_weights(y, y, LossConfig(positive_weight_max=10)).tolist() == [
        pytest.approx(0.1)
    ]


def test_no_label_at_all_is_refused() -> None:
    nothing = np.zeros((3, 2), np.float32)
    with pytest.raises(UsageError, match="every label of the train split is unknown"):
        positive_weights(nothing, nothing, LossConfig())
