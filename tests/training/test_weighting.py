"""Weights against scikit-learn, torch and the papers; a weight in the wrong place is seen."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import asdict, fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.members import members
from hilum.domain.policy import Blank, LabelPolicy, Uncertain, settle
from hilum.domain.record import Cohort, Record
from hilum.runs.recipe import TrainingConfig, load_config
from hilum.runs.recipe_parts import LossConfig, Weighting
from hilum.training.losses import Loss, Terms, bce, loss, targets
from hilum.training.weighting import (
    EffectiveWeight,
    check_weights,
    dataset_states,
    effective,
    lines,
    state_weights,
)

WIDE = {"weights_max": 1e9}
THREE = LabelSet("three", ("Mass", "Edema", "Hernia"))
SEEDS = st.integers(0, 2**31)


def of(negatives: int, positives: int, config: LossConfig) -> list[float]:
    """The two weights of a finding with so many films."""
    y = np.concatenate([np.zeros(negatives), np.ones(positives)]).astype(np.float32)[:, None]
    return state_weights(y, np.ones_like(y), config)[0].tolist()


def drawn(seed: int, films: int = 40, findings: int = 3) -> NDArray[np.int8]:
    return np.random.default_rng(seed).choice(
        np.array([0, 1, -1, -2], np.int8), (films, findings), p=[0.6, 0.2, 0.1, 0.1]
    )


def run(loss_config: LossConfig, policy: LabelPolicy | None = None) -> TrainingConfig:
    given_policy = policy or LabelPolicy(uncertain=Uncertain.IGNORE)
    return load_config("demo").model_copy(update={"loss": loss_config, "labels": given_policy})


# the formulas


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_inverse_frequency_is_scikit_learn_s_balanced_finding_by_finding(seed: int) -> None:
    states = drawn(seed)
    config = LossConfig(weights=Weighting.INVERSE_FREQUENCY, **WIDE)
    found = state_weights(*targets(states, LabelPolicy(), 0), config)
    for column in range(states.shape[1]):
        known = states[states[:, column] >= 0, column]
        if len(np.unique(known)) == 2:
            theirs = compute_class_weight("balanced", classes=np.array([0, 1]), y=known)
            np.testing.assert_allclose(found[column], theirs, rtol=1e-6)
        else:
            assert found[column].tolist() == [1.0, 1.0]


def test_the_ratio_is_torch_s_pos_weight() -> None:
    states = drawn(3)
    y, mask = targets(states, LabelPolicy(), 0)
    weights = state_weights(y, mask, LossConfig(weights=Weighting.RATIO, **WIDE))
    known, positive = states >= 0, states == 1
    pos_weight = torch.from_numpy((known & ~positive).sum(0) / positive.sum(0))
    assert (weights[:, 0] == 1).all()
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=states.shape))
    theirs = binary_cross_entropy_with_logits(
        logits, torch.from_numpy(y).double(), pos_weight=pos_weight, reduction="none"
    )[torch.from_numpy(known)]
    parts = (torch.from_numpy(part) for part in (y, mask, weights))
    ours = loss("bce").value(logits, *parts, LossConfig())
    torch.testing.assert_close(ours.mean, theirs.mean(), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize(
    ("beta", "negatives", "positives"), [(0.9, 30, 2), (0.99, 100, 100), (0.999, 5000, 40)]
)
def test_effective_numbers_are_the_paper_s(beta: float, negatives: int, positives: int) -> None:
    # Cui et al., equation 4: E_n = 1 + b + ... + b^(n-1); weights 1/E_n, made to add up to C
    numbers = [sum(beta**k for k in range(n)) for n in (negatives, positives)]
    scale = 2 / sum(1 / n for n in numbers)
    config = LossConfig(
        weights=Weighting.EFFECTIVE_NUMBER, effective_number_beta=beta, weights_max=1e9
    )
    assert of(negatives, positives, config) == pytest.approx([scale / n for n in numbers], rel=1e-6)


def test_effective_numbers_lie_between_no_weights_and_inverse_frequency() -> None:
    def at(beta: float) -> list[float]:
        return of(
            90,
            10,
            LossConfig(
                weights=Weighting.EFFECTIVE_NUMBER, effective_number_beta=beta, weights_max=1e9
            ),
        )

    assert at(0.0) == [1.0, 1.0]
    inverse = of(90, 10, LossConfig(weights=Weighting.INVERSE_FREQUENCY, **WIDE))
    scaled = [2 * weight / sum(inverse) for weight in inverse]
    assert at(1 - 1e-9) == pytest.approx(scaled, rel=1e-5)
    ratios = [at(beta)[1] / at(beta)[0] for beta in (0.0, 0.9, 0.99, 0.999)]
    assert ratios == sorted(ratios)
    assert ratios[-1] < 9


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [("none", [1, 1]), ("ratio", [1, 3]), ("inverse_frequency", [2 / 3, 2]), ("log", [1, 2])],
)
def test_weights_of_three_negatives_and_a_positive(weighting: str, expected: list[float]) -> None:
    assert of(3, 1, LossConfig(weights=Weighting(weighting), **WIDE)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("power", "largest", "expected"),
    [
        (1.0, 20.0, [3, 1 / 3, 1, 1]),
        (0.5, 20.0, [math.sqrt(3), 1 / math.sqrt(3), 1, 1]),
        (0.0, 20.0, [1, 1, 1, 1]),
        (1.0, 2.0, [2, 0.5, 1, 1]),
    ],
)
def test_weights_are_raised_to_a_power_and_bounded_at_both_ends(
    power: float, largest: float, expected: list[float]
) -> None:
    # columns: 1 of 4 positive, 3 of 4, none, and one positive and one negative beside unknowns
    states = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 1, 0, -1], [0, 0, 0, -2]], np.int8)
    config = LossConfig(weights_max=largest, weights_power=power)
    weights = state_weights(*targets(states, LabelPolicy(), 0), config)
    np.testing.assert_allclose(weights[:, 1], expected, rtol=1e-6)
    assert (weights[:, 0] == 1).all()
    assert weights.dtype == np.float32


@pytest.mark.parametrize("weighting", Weighting)
def test_a_finding_without_either_state_gets_one_and_one(weighting: Weighting) -> None:
    states = np.array([[1, 0, -2, 0]] * 3 + [[1, 0, -2, 1]], np.int8)
    config = LossConfig(weights=weighting)
    weights = state_weights(*targets(states, LabelPolicy(), 0), config)
    assert weights[:3].tolist() == [[1.0, 1.0]] * 3


@given(st.integers(1, 500), st.integers(1, 500))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("weighting", Weighting)
def test_the_rarer_state_never_weighs_less(
    weighting: Weighting, negatives: int, positives: int
) -> None:
    of_negatives, of_positives = of(negatives, positives, LossConfig(weights=weighting))
    assert (of_positives - of_negatives) * (negatives - positives) >= -1e-4


@pytest.mark.parametrize("weighting", Weighting)
def test_findings_do_not_change_each_other_s_weights(weighting: Weighting) -> None:
    states = drawn(5, findings=4)
    config = LossConfig(weights=weighting)
    together = state_weights(*targets(states, LabelPolicy(), 0), config)
    for column in range(4):
        alone = state_weights(*targets(states[:, [column]], LabelPolicy(), 0), config)
        assert (together[column] == alone[0]).all()


def test_soft_targets_count_by_their_mass() -> None:
    y = np.array([[0.75], [0.25], [0.0], [0.0]], np.float32)
    weights = state_weights(y, np.ones_like(y), LossConfig(weights=Weighting.RATIO))
    assert weights[0].tolist() == [1.0, 3.0]


def test_no_label_at_all_is_refused() -> None:
    nothing = np.zeros((3, 2), np.float32)
    with pytest.raises(UsageError, match="every label of the train split is unknown"):
        state_weights(nothing, nothing, LossConfig())


# the proof that each weight reaches its term

WEIGHTS = np.array([[1.0, 3.25], [0.5, 2.0], [1.5, 1.0]], np.float32)


@pytest.mark.parametrize("name", members("hilum.training.losses"))
@pytest.mark.parametrize("weighting", Weighting)
def test_every_loss_weighs_each_term_with_its_own_weight(name: str, weighting: Weighting) -> None:
    check_weights(THREE, WEIGHTS, LossConfig(name=name))
    config = LossConfig(name=name, weights=weighting, weights_max=100)
    check_weights(THREE, state_weights(*targets(drawn(1), LabelPolicy(), 0), config), config)


@pytest.mark.parametrize("name", members("hilum.training.losses"))
def test_every_loss_weighs_so_at_the_ends_of_its_configuration(name: str) -> None:
    for power in (0.0, 10.0):
        config = LossConfig(
            name=name,
            focal_gamma=power,
            gamma_positive=power,
            gamma_negative=power,
            probability_margin=0.49,
            auc_margin=0.01,
        )
        extremes = np.array([[1e-3, 1e3], [1e3, 1e3], [1e-3, 1e-3]], np.float32)
        check_weights(THREE, extremes, config)


Value = Callable[[Tensor, Tensor, Tensor, Tensor, LossConfig], Terms]


def swapped(real: Value) -> Value:
    """Weighs negatives as positives are meant to be."""
    return lambda x, y, mask, weights, config: real(x, y, mask, weights.flip(1), config)


def misplaced(real: Value) -> Value:
    """Weighs each finding as its neighbor: two lists of findings in different order."""
    return lambda x, y, mask, weights, config: real(x, y, mask, weights.roll(1, 0), config)


def single_label(real: Value) -> Value:
    """Weighs by finding alone, as weights made for a softmax do."""
    return lambda x, y, mask, weights, config: real(
        x, y, mask, weights[:, 1:].expand(-1, 2), config
    )


def forgotten(real: Value) -> Value:
    """Leaves the weights out."""
    return lambda x, y, mask, weights, config: real(x, y, mask, torch.ones_like(weights), config)


def unmasked(real: Value) -> Value:
    """Takes what is unlabelled for negative."""
    return lambda x, y, mask, weights, config: real(x, y, torch.ones_like(mask), weights, config)


def upside_down(real: Value) -> Value:
    """Pushes positives down."""
    return lambda x, y, mask, weights, config: real(x, 1 - y, mask, weights, config)


def spoil(name: str, mistake: Callable[[Value], Value], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a loss with a mistake in the place of the one of that name."""
    member = loss(name)
    wrong = Loss(mistake(member.value), member.pairwise)
    monkeypatch.setattr(f"hilum.training.losses.{name}.LOSS", wrong)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (swapped, "the negative term of Mass must be weighed by 1; the loss .* by 3.25"),
        (misplaced, "the negative term of Mass must be weighed by 1; the loss .* by 1.5"),
        (single_label, "the negative term of Mass must be weighed by 1; the loss .* by 3.25"),
        (forgotten, "the positive term of Mass must be weighed by 3.25; the loss .* by 1"),
        (unmasked, "an unlabelled finding must have no gradient"),
        (upside_down, "must push negative films down"),
    ],
)
@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric"])
def test_a_weight_that_reaches_the_wrong_term_is_refused(
    name: str, mistake: Callable[[Value], Value], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(name, mistake, monkeypatch)
    with pytest.raises(BundleError, match=message) as raised:
        check_weights(THREE, WEIGHTS, LossConfig(name=name))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("mistake", [misplaced, forgotten, unmasked, upside_down])
def test_a_pair_s_weights_in_the_wrong_place_are_refused_too(
    mistake: Callable[[Value], Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil("auc_margin", mistake, monkeypatch)
    with pytest.raises(BundleError):
        check_weights(THREE, WEIGHTS, LossConfig(name="auc_margin"))


# the table

SAID = np.array([[1, 0, 0], [0, 1, 0], [0, -1, 0], [0, -1, -2], [-2, 0, -2], [-1, 0, -2]], np.int8)


def row(rows: tuple[EffectiveWeight, ...], finding: str, state: str) -> EffectiveWeight:
    (found,) = (r for r in rows if (r.finding, r.state) == (finding, state))
    return found


def cohort(states: NDArray[np.int8], labels: LabelSet = THREE) -> Cohort:
    films = (
        Record(f"{number}.png", str(number), tuple(LabelState(s) for s in of_film))
        for number, of_film in enumerate(states)
    )
    return Cohort("mine", labels, tuple(films))


def test_the_table_has_counts_targets_weights_and_shares() -> None:
    rows = effective(THREE, SAID, SAID, run(LossConfig(weights=Weighting.RATIO)))
    assert len(rows) == 12
    assert [(r.state, r.films, r.counted, r.target, r.weight) for r in rows[:4]] == [
        ("positive", 1, 1, 1.0, pytest.approx(3.0)),
        ("negative", 3, 3, 0.0, pytest.approx(1.0)),
        ("uncertain", 1, 0, None, 0.0),
        ("unlabelled", 1, 0, None, 0.0),
    ]
    # Mass 1 of weight 3 and 3 of 1, Edema 1 of weight 3 and 3 of 1, Hernia 3 of weight 1
    assert [r.share for r in rows] == pytest.approx(
        [3 / 15, 3 / 15, 0, 0, 3 / 15, 3 / 15, 0, 0, 0, 3 / 15, 0, 0]
    )
    assert row(rows, "Hernia", "positive").weight is None


@pytest.mark.parametrize(
    ("uncertain", "target", "weight"),
    [
        (Uncertain.IGNORE, None, 0.0),
        # Edema: 1 positive, 3 negative, 2 uncertain
        (Uncertain.POSITIVE, 1.0, 3 / 3),
        (Uncertain.NEGATIVE, 0.0, 1.0),
        # 1 + 2 * 0.75 positive, 3 + 2 * 0.25 negative: a ratio of 1.4
        (Uncertain.SOFT, 0.75, 0.75 * 1.4 + 0.25),
    ],
)
def test_an_uncertain_label_weighs_what_the_policy_makes_of_it(
    uncertain: Uncertain, target: float | None, weight: float
) -> None:
    policy = LabelPolicy(uncertain=uncertain, soft_range=(0.75, 0.75))
    read = cohort(SAID)
    settled = settle(read, policy)
    rows = effective(
        THREE, dataset_states(read, settled), settled.states(), run(LossConfig(), policy)
    )
    found = row(rows, "Edema", "uncertain")
    assert (found.films, found.counted) == (2, 0 if target is None else 2)
    assert (found.target, found.weight) == (target, pytest.approx(weight))
    assert row(rows, "Edema", "positive").films == 1


def test_a_blank_that_counts_as_negative_is_shown_as_that() -> None:
    policy = LabelPolicy(uncertain=Uncertain.IGNORE, blank=Blank.NEGATIVE)
    read = cohort(SAID)
    settled = settle(read, policy)
    rows = effective(
        THREE, dataset_states(read, settled), settled.states(), run(LossConfig(), policy)
    )
    found = row(rows, "Hernia", "unlabelled")
    assert (found.films, found.counted, found.target, found.weight) == (3, 3, 0.0, 1.0)
    assert found.share > 0


def test_what_was_said_is_matched_by_film_and_finding() -> None:
    read = cohort(SAID)
    settled = settle(read, LabelPolicy(uncertain=Uncertain.POSITIVE))
    some = settled.select(lambda record: record.image_id in ("4.png", "2.png"))
    assert dataset_states(read, some).tolist() == [SAID[2].tolist(), SAID[4].tolist()]
    turned = LabelSet("turned", ("Hernia", "Mass"))
    fewer = cohort(SAID[:, [2, 0]], turned)
    assert (dataset_states(read, fewer) == SAID[:, [2, 0]]).all()


@given(SEEDS)
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("name", members("hilum.training.losses"))
def test_shares_are_those_of_the_whole_split_s_gradient(name: str, seed: int) -> None:
    states = drawn(seed)
    config = run(LossConfig(name=name, weights=Weighting.INVERSE_FREQUENCY))
    rows = effective(THREE, states, states, config)
    y, mask = targets(states, config.labels, config.seed)
    weights = state_weights(y, mask, config.loss)
    logits = torch.zeros(states.shape, requires_grad=True)
    parts = (torch.from_numpy(part) for part in (y, mask, weights))
    loss(name).value(logits, *parts, config.loss).sum.backward()
    assert logits.grad is not None
    sizes = logits.grad.abs().numpy()
    for found in rows:
        column = THREE.findings.index(found.finding)
        chosen = states[:, column] == LabelState[found.state.upper()]
        expected = sizes[chosen, column].sum() / sizes.sum()
        assert found.share == pytest.approx(expected, abs=1e-5)
    assert sum(r.share for r in rows) == pytest.approx(1.0)


def test_swapped_weights_are_seen_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    config = run(LossConfig(weights=Weighting.RATIO))
    monkeypatch.setattr(bce, "LOSS", Loss(swapped(bce.value)))
    rows = effective(THREE, SAID, SAID, config)
    assert row(rows, "Mass", "positive").weight == pytest.approx(1.0)
    assert row(rows, "Mass", "negative").weight == pytest.approx(3.0)


def test_without_any_pair_no_share_is_made_up() -> None:
    films = np.array([[1, 0, 0]] * 3, np.int8)
    rows = effective(THREE, films, films, run(LossConfig(name="auc_margin")))
    assert {found.share for found in rows} == {0.0}


def test_films_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="given must have the shape of states"):
        effective(THREE, SAID[1:], SAID, run(LossConfig()))


def test_the_table_is_aligned_and_leaves_out_what_no_film_has() -> None:
    rows = effective(THREE, SAID, SAID, run(LossConfig()))
    table = lines(rows)
    assert len({len(line) for line in table}) == 1
    assert sum("Hernia" in line for line in table) == 3
    head = table[0].split()
    cells = next(line.split() for line in table if line.split()[:2] == ["Edema", "positive"])
    assert dict(zip(head, cells, strict=True)) == {
        "finding": "Edema",
        "state": "positive",
        "films": "1",
        "counted": "1",
        "target": "1",
        "weight": "3",
        "share": "20.0%",
    }


def test_rows_are_flat_enough_for_a_csv() -> None:
    rows = effective(THREE, SAID, SAID, run(LossConfig()))
    file = io.StringIO()
    writer = csv.DictWriter(file, [field.name for field in fields(EffectiveWeight)])
    writer.writerows(asdict(found) for found in rows)
    assert len(file.getvalue().splitlines()) == 12
