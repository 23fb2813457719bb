"""The kept epoch is the first best on tune; a phase ends when it gets no better."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from hilum.domain.errors import UsageError
from hilum.runs.recipe_parts import ChoiceConfig, Criterion
from hilum.training.selection import Choice, EpochScores, Kept, measure

VALUES = st.lists(st.sampled_from([None, 0.5, 0.6, 0.7, 0.8]), max_size=15)


def choose(config: ChoiceConfig, values: list[float | None]) -> Choice:
    choice = Choice(config)
    for epoch, value in enumerate(values, start=1):
        choice.offer(epoch, value)
    return choice


@given(values=VALUES, criterion=st.sampled_from(Criterion))
@settings(max_examples=50, deadline=None)
def test_the_first_of_the_best_is_kept(values: list[float | None], criterion: Criterion) -> None:
    best = choose(ChoiceConfig(by=criterion), values).best
    known = [value for value in values if value is not None]
    if not known:
        assert best is None
    else:
        top = min(known) if criterion is Criterion.LOSS else max(known)
        assert best == Kept(1 + values.index(top), top)


def test_offer_says_whether_an_epoch_is_the_best_so_far() -> None:
    choice = Choice(ChoiceConfig())
    told = [choice.offer(*epoch) for epoch in ((1, None), (2, 0.6), (3, 0.6), (4, 0.7), (5, 0.1))]
    assert told == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("patience", "values", "exhausted"),
    [
        (0, [0.9, 0.1, 0.1, 0.1], False),
        (1, [0.9], False),
        (1, [0.9, 0.9], True),
        (2, [0.9, 0.1], False),
        (2, [0.9, 0.1, 0.2], True),
        (2, [0.9, 0.1, 0.95], False),
        (2, [0.9, None, None, None], False),
    ],
)
def test_a_phase_ends_after_its_patience(
    patience: int, values: list[float | None], exhausted: bool
) -> None:
    assert choose(ChoiceConfig(patience=patience), values).exhausted() is exhausted


def test_each_phase_has_its_own_patience_and_the_run_one_best() -> None:
    choice = choose(ChoiceConfig(patience=2), [0.9, 0.1, 0.2])
    assert choice.exhausted()
    choice.begin_phase()
    # worse than the phase before, and getting better all the time
    for epoch, value in enumerate((0.5, 0.6, 0.7), start=4):
        assert not choice.offer(epoch, value)
        assert not choice.exhausted()
    assert choice.best == Kept(1, 0.9)


@given(values=VALUES, cut=st.integers(0, 15), criterion=st.sampled_from(Criterion))
@settings(max_examples=50, deadline=None)
def test_a_resume_changes_nothing(
    values: list[float | None], cut: int, criterion: Criterion
) -> None:
    config = ChoiceConfig(by=criterion, patience=2)
    whole = choose(config, values)
    state = json.loads(json.dumps(choose(config, values[:cut]).state()))
    again = Choice.resume(config, state)
    for epoch, value in list(enumerate(values, start=1))[cut:]:
        again.offer(epoch, value)
    assert again.state() == whole.state()
    assert (again.best, again.exhausted()) == (whole.best, whole.exhausted())


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_measures_are_means_of_scikit_learn_s_over_findings_with_both_states(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states = rng.choice(np.array([0, 1, -1, -2], np.int8), (12, 5))
    states[:, 3], states[:, 4] = 0, -2
    logits = np.round(rng.normal(size=(12, 5)), 1).astype(np.float32)
    areas, precisions = [], []
    for column in range(5):
        known = states[:, column] >= 0
        y, score = states[known, column], logits[known, column]
        if len(set(y.tolist())) == 2:
            areas.append(roc_auc_score(y, score))
            precisions.append(average_precision_score(y, score))
    found = measure(states, logits, 0.4)
    assert found.findings == len(areas)
    if areas:
        assert found.auroc == pytest.approx(np.mean(areas), abs=1e-12)
        assert found.average_precision == pytest.approx(np.mean(precisions), abs=1e-12)


def test_the_criterion_picks_its_number() -> None:
    measured = EpochScores(loss=0.3, auroc=0.8, average_precision=0.4, findings=2)
    assert [measured.value(criterion) for criterion in Criterion] == [0.8, 0.4, 0.3]


def test_where_no_finding_has_both_states_only_the_loss_can_choose() -> None:
    states = np.array([[0, -2], [0, 1]], np.int8)
    measured = measure(states, np.zeros((2, 2)), 0.3)
    assert measured == EpochScores(0.3, None, None, 0)
    assert measured.value(Criterion.LOSS) == 0.3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="logits on tune must be finite"):
        measure(np.zeros((1, 2), np.int8), np.array([[0.0, bad]]), 0.3)
