"""The losses against others' own, the papers' formulas and brute force; the unknown has no say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.members import members
from hilum.domain.policy import LabelPolicy, Uncertain, settle
from hilum.domain.record import Cohort, Record
from hilum.runs.recipe_parts import LossConfig
from hilum.training.losses import Loss, Terms, loss, targets

STATES = np.array([[1, 0, -1, -2]], np.int8)
SEEDS = st.integers(0, 2**31)
CONFIG = LossConfig(focal_gamma=1.5, gamma_positive=0.5, gamma_negative=3.0)


@pytest.fixture(params=members("hilum.training.losses"))
def member(request: pytest.FixtureRequest) -> Loss:
    return loss(request.param)


def batch(seed: int, films: int, findings: int, soft: bool = False) -> tuple[Tensor, ...]:
    """Logits, targets, mask and weights, all drawn."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (films, findings))
    y = rng.random(logits.shape) if soft else rng.integers(0, 2, logits.shape)
    mask = rng.random(logits.shape) < 0.7
    weights = rng.uniform(0.2, 9, (findings, 2))
    return tuple(torch.tensor(part, dtype=torch.float32) for part in (logits, y, mask, weights))


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def gradient(member: Loss, parts: tuple[Tensor, ...], config: LossConfig) -> Tensor:
    logits = parts[0].detach().clone().requires_grad_()
    terms = member.value(logits, *parts[1:], config)
    (slopes,) = torch.autograd.grad(terms.sum, logits)
    return slopes


def close(found: Terms, expected: Terms, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found.sum, expected.sum, rtol=tolerance, atol=1e-5)
    torch.testing.assert_close(found.count, expected.count)


# targets


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


# every loss


def test_ignored_uncertain_labels_have_no_gradient(member: Loss) -> None:
    states = np.array([[1, 0, -1, -2], [0, 1, 1, 1], [0, 1, 0, 0]], np.int8)
    y, mask = targets(states, LabelPolicy(uncertain=Uncertain.IGNORE), seed=0)
    parts = (torch.zeros(3, 4), torch.from_numpy(y), torch.from_numpy(mask), ones(4, 2))
    slopes = gradient(member, parts, CONFIG)
    assert (slopes != 0).tolist() == mask.astype(bool).tolist()


@given(SEEDS, st.integers(2, 8), st.integers(1, 5), st.booleans())
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", members("hilum.training.losses"))
def test_what_is_unknown_has_no_gradient_and_no_say_however_wild(
    name: str, seed: int, films: int, findings: int, soft: bool
) -> None:
    logits, y, mask, weights = batch(seed, films, findings, soft)
    unknown = mask == 0
    value = loss(name).value
    before = value(logits, y, mask, weights, CONFIG)
    for wild in (-1e4, 1e4):
        parts = (
            torch.where(unknown, wild, logits),
            torch.where(unknown, 1 - y, y),
            mask,
            weights,
        )
        close(value(*parts, CONFIG), before)
        assert (gradient(loss(name), parts, CONFIG)[unknown] == 0).all()
    if not mask.any():
        assert before.mean == 0.0


@given(SEEDS, st.integers(1, 8), st.integers(1, 6), st.booleans())
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", members("hilum.training.losses"))
def test_findings_may_come_in_any_order(
    name: str, seed: int, films: int, findings: int, soft: bool
) -> None:
    logits, y, mask, weights = batch(seed, films, findings, soft)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(findings))
    moved = logits[:, order], y[:, order], mask[:, order], weights[order]
    value = loss(name).value
    close(value(*moved, CONFIG), value(logits, y, mask, weights, CONFIG))
    torch.testing.assert_close(
        gradient(loss(name), moved, CONFIG),
        gradient(loss(name), (logits, y, mask, weights), CONFIG)[:, order],
    )


@given(SEEDS, st.integers(1, 8), st.integers(1, 6), st.booleans())
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", members("hilum.training.losses"))
def test_an_unlabelled_film_changes_nothing_and_films_may_come_in_any_order(
    name: str, seed: int, films: int, findings: int, soft: bool
) -> None:
    logits, y, mask, weights = batch(seed, films + 1, findings, soft)
    mask[-1] = 0
    order = torch.from_numpy(np.random.default_rng(seed).permutation(films + 1))
    value = loss(name).value
    close(
        value(logits[order], y[order], mask[order], weights, CONFIG),
        value(logits[:-1], y[:-1], mask[:-1], weights, CONFIG),
    )


@given(SEEDS, st.sampled_from([1.0, 30.0, 100.0, 1000.0]))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", members("hilum.training.losses"))
@pytest.mark.parametrize("power", [0.0, 0.3, 1.0, 4.0])
def test_loss_and_gradient_are_finite_for_any_logit(
    name: str, power: float, seed: int, scale: float
) -> None:
    logits, y, mask, weights = batch(seed, 6, 4, soft=bool(seed % 2))
    signs = torch.sign(logits)
    margin = 0.05 * (seed % 3)
    config = LossConfig(
        focal_gamma=power, gamma_positive=power, gamma_negative=power, probability_margin=margin
    )
    parts = (signs * scale, y, mask, weights)
    terms = loss(name).value(*parts, config)
    assert torch.isfinite(terms.sum)
    assert terms.sum >= -1e-6
    assert torch.isfinite(gradient(loss(name), parts, config)).all()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_low_precision_logits_are_scored_in_full_precision(member: Loss, kind: torch.dtype) -> None:
    logits, y, mask, weights = batch(4, 16, 5)
    low = logits.to(kind)
    terms = member.value(low, y, mask, weights, CONFIG)
    assert terms.sum.dtype == torch.float32
    expected = member.value(low.float(), y, mask, weights, CONFIG)
    assert terms.sum == expected.sum
    with torch.autocast("cpu", torch.bfloat16):
        assert member.value(low, y, mask, weights, CONFIG).sum == expected.sum
    assert torch.isfinite(gradient(member, (low, y, mask, weights), CONFIG)).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_the_value(member: Loss, seed: int) -> None:
    logits, y, mask, weights = (part.double() for part in batch(seed, 5, 3, soft=seed > 1))

    def total(logits: Tensor) -> Tensor:
        return member.value(logits, y, mask, weights, CONFIG).sum

    assert torch.autograd.gradcheck(total, logits.requires_grad_())


@given(SEEDS, st.floats(0, 1))
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", members("hilum.training.losses"))
def test_the_loss_is_linear_in_each_target(name: str, seed: int, target: float) -> None:
    logits, y, _, weights = batch(seed, 5, 2, soft=True)
    known = ones(5, 2)

    def at(value: float) -> Tensor:
        changed = y.clone()
        changed[2, 1] = value
        return loss(name).value(logits, changed, known, weights, CONFIG).sum

    torch.testing.assert_close(
        at(target), target * at(1.0) + (1 - target) * at(0.0), rtol=1e-4, atol=1e-4
    )


def test_shares_of_a_batch_add_up(member: Loss) -> None:
    logits, y, mask, weights = batch(9, 12, 4)
    whole = member.value(logits, y, mask, weights, CONFIG)
    shares = [
        member.value(logits[part], y[part], mask[part], weights, CONFIG)
        for part in (slice(0, 5), slice(5, 12))
    ]
    total = Terms(
        sum((s.sum for s in shares), torch.tensor(0.0)), shares[0].count + shares[1].count
    )
    if member.pairwise:  # pairs across the shares are not seen
        assert total.count < whole.count
    else:
        close(total, whole)


# bce


def bce(logits: Tensor, y: Tensor, mask: Tensor, weights: Tensor) -> Terms:
    return loss("bce").value(logits, y, mask, weights, CONFIG)


def test_the_loss_of_one_film_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 50.0]])
    y, mask = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    # -2 log(1/2) for the positive of weight 2, -5 log(1/4) for the negative of 5, no third
    expected = (2 * math.log(2.0) + 5 * math.log(4.0)) / 2
    weights = torch.tensor([[9.0, 2.0], [5.0, 9.0], [9.0, 9.0]])
    assert bce(logits, y, mask, weights).mean.item() == pytest.approx(expected, rel=1e-6)


@given(SEEDS, st.integers(1, 6), st.integers(1, 5), st.booleans())
@settings(max_examples=25, deadline=None)
def test_bce_is_torch_s_on_what_is_known(seed: int, films: int, findings: int, soft: bool) -> None:
    logits, y, mask, weights = batch(seed, films, findings, soft)
    weights[:, 0] = 1.0  # torch knows a weight of positives only
    terms = bce(logits, y, mask, weights)
    known = mask.bool()
    assert terms.count == known.sum()
    theirs = nn.BCEWithLogitsLoss(pos_weight=weights[:, 1], reduction="none")(logits, y)
    torch.testing.assert_close(terms.sum, theirs[known].sum())
    # d/dx of -(w y log s(x) + (1 - y) log(1 - s(x)))
    p = torch.sigmoid(logits)
    slope = (1 - y) * p - weights[:, 1] * y * (1 - p)
    found = gradient(loss("bce"), (logits, y, mask, weights), CONFIG)
    torch.testing.assert_close(found[known], slope[known], rtol=1e-5, atol=1e-6)


def test_a_tiny_loss_is_not_lost() -> None:
    terms = bce(torch.tensor([[20.0]], dtype=torch.bfloat16), ones(1, 1), ones(1, 1), ones(1, 2))
    assert terms.sum.item() == pytest.approx(math.exp(-20.0), rel=1e-3)


# focal


@given(SEEDS, st.floats(0.0, 5.0))
@settings(max_examples=25, deadline=None)
def test_focal_is_torchvision_s(seed: int, gamma: float) -> None:
    logits, y, mask, _ = batch(seed, 6, 4)
    config = LossConfig(focal_gamma=gamma)
    found = loss("focal").value(logits, y, mask, ones(4, 2), config)
    theirs = sigmoid_focal_loss(logits, y, alpha=-1, gamma=gamma)
    torch.testing.assert_close(found.sum, (theirs * mask).sum(), rtol=1e-5, atol=1e-6)
    # alpha of positives and 1 - alpha of negatives is a pair of weights
    alpha = torch.tensor([[0.75, 0.25]]).repeat(4, 1)
    weighed = loss("focal").value(logits, y, mask, alpha, config)
    theirs = sigmoid_focal_loss(logits, y, alpha=0.25, gamma=gamma)
    torch.testing.assert_close(weighed.sum, (theirs * mask).sum(), rtol=1e-5, atol=1e-6)


def test_focal_by_hand() -> None:
    # p = 3/4: of a positive (1/4)^2 log(4/3), of a negative (3/4)^2 log 4
    logits, y = torch.full((2, 1), math.log(3.0)), torch.tensor([[1.0], [0.0]])
    weights = torch.tensor([[2.0, 5.0]])
    terms = loss("focal").value(logits, y, ones(2, 1), weights, LossConfig(focal_gamma=2.0))
    expected = 5 * math.log(4 / 3) / 16 + 2 * 9 / 16 * math.log(4.0)
    assert terms.sum.item() == pytest.approx(expected, rel=1e-6)


def test_focal_s_minimum_is_nearer_to_a_half_than_the_truth() -> None:
    logits = torch.linspace(-4, 4, 801).reshape(-1, 1)
    y, known = torch.full_like(logits, 0.1), torch.ones_like(logits)
    slopes = gradient(loss("focal"), (logits, y, known, ones(1, 2)), LossConfig(focal_gamma=2.0))
    lowest = logits[slopes.abs().argmin()]
    assert torch.sigmoid(lowest).item() == pytest.approx(0.31, abs=0.005)


@given(SEEDS, st.booleans())
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", ["focal", "asymmetric"])
def test_without_focus_and_margin_it_is_bce_to_the_bit(name: str, seed: int, soft: bool) -> None:
    parts = batch(seed, 6, 4, soft)
    plain = LossConfig(focal_gamma=0.0, gamma_negative=0.0, probability_margin=0.0)
    assert loss(name).value(*parts, plain).sum == bce(*parts).sum
    assert torch.equal(gradient(loss(name), parts, plain), gradient(loss("bce"), parts, plain))


# asymmetric


def asymmetric_by_the_paper(
    parts: tuple[Tensor, ...], gammas: tuple[float, float], margin: float
) -> float:
    """Equations 1 to 3 of Ridnik et al. in float64, a target between as a mix of the two."""
    x, y, mask, weights = (part.double().numpy() for part in parts)
    p = 1 / (1 + np.exp(-x))
    shifted = np.maximum(p - margin, 0)
    positive = -((1 - p) ** gammas[0]) * np.log(p)
    negative = -(shifted ** gammas[1]) * np.log(1 - shifted)
    terms = weights[:, 1] * y * positive + weights[:, 0] * (1 - y) * negative
    return float((terms * mask).sum())


@given(
    SEEDS, st.booleans(), st.floats(0, 4), st.floats(0, 6), st.sampled_from([0.0, 0.05, 0.2, 0.4])
)
@settings(max_examples=40, deadline=None)
def test_asymmetric_is_the_paper_s(
    seed: int, soft: bool, positive: float, negative: float, margin: float
) -> None:
    parts = batch(seed, 6, 4, soft)
    config = LossConfig(gamma_positive=positive, gamma_negative=negative, probability_margin=margin)
    found = loss("asymmetric").value(*parts, config)
    expected = asymmetric_by_the_paper(parts, (positive, negative), margin)
    assert found.sum.item() == pytest.approx(expected, rel=2e-5, abs=1e-5)
    assert found.count == parts[2].sum()


def test_negatives_below_the_margin_teach_nothing_and_hopeless_ones_little() -> None:
    logits = torch.tensor([[-3.0], [0.0], [12.0]])
    config = LossConfig(gamma_negative=0.0, probability_margin=0.05)
    parts = (logits, torch.zeros(3, 1), ones(3, 1), ones(1, 2))
    low, middle, high = gradient(loss("asymmetric"), parts, config).flatten().tolist()
    assert low == 0.0
    assert 0 < high < 1e-3 < middle


# auc_margin


def pairs_by_force(parts: tuple[Tensor, ...], margin: float) -> tuple[NDArray[np.float64], float]:
    """(L,) sums over pairs, and the number of pairs, one by one."""
    x, y, mask, weights = (part.double().numpy() for part in parts)
    films, findings = x.shape
    sums, count = np.zeros(findings), 0.0
    for c in range(findings):
        for i in range(films):
            for j in range(films):
                share = y[i, c] * (1 - y[j, c]) * mask[i, c] * mask[j, c] * (i != j)
                cost = max(0.0, margin - (x[i, c] - x[j, c])) ** 2
                sums[c] += weights[c, 0] * weights[c, 1] * share * cost
                count += share
    return sums, count


@given(SEEDS, st.integers(1, 9), st.integers(1, 3), st.booleans(), st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=25, deadline=None)
def test_auc_margin_is_the_sum_over_all_pairs(
    seed: int, films: int, findings: int, soft: bool, margin: float
) -> None:
    parts = batch(seed, films, findings, soft)
    parts[0][:] = parts[0].round()  # ties
    sums, count = pairs_by_force(parts, margin)
    found = loss("auc_margin").value(*parts, LossConfig(auc_margin=margin))
    assert found.sum.item() == pytest.approx(sums.sum(), rel=1e-5, abs=1e-5)
    assert found.count.item() == pytest.approx(count, rel=1e-5, abs=1e-6)


def test_a_finding_of_one_state_makes_no_pairs() -> None:
    logits, y = torch.zeros(3, 2), torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    parts = (logits, y, ones(3, 2), ones(2, 2))
    assert loss("auc_margin").value(*parts, CONFIG).count == 2
    slopes = gradient(loss("auc_margin"), parts, CONFIG)
    assert (slopes[:, 0] == 0).all()
    assert (slopes[:, 1] != 0).all()
    alone = loss("auc_margin").value(logits[:, :1], y[:, :1], ones(3, 1), ones(1, 2), CONFIG)
    assert alone.mean == alone.count == 0.0


def test_auc_margin_cares_for_order_only() -> None:
    parts = batch(2, 10, 3)
    here = loss("auc_margin").value(*parts, CONFIG).sum
    moved = loss("auc_margin").value(parts[0] + 7.0, *parts[1:], CONFIG).sum
    torch.testing.assert_close(moved, here)
    apart = torch.where(parts[1] > 0, 1.0, -1.0)  # every positive is a margin of 2 above
    assert loss("auc_margin").value(apart, *parts[1:], LossConfig(auc_margin=2.0)).sum == 0.0


def test_auc_margin_scores_a_whole_split_without_listing_its_pairs() -> None:
    logits, y, mask, weights = batch(0, 20_000, 2)
    terms = loss("auc_margin").value(logits, y, mask, weights, CONFIG)
    few = torch.randperm(20_000, generator=torch.Generator().manual_seed(0))[:800]
    sample = loss("auc_margin").value(logits[few], y[few], mask[few], weights, CONFIG)
    assert terms.count > 9e7
    assert terms.mean.item() == pytest.approx(sample.mean.item(), rel=0.1)
