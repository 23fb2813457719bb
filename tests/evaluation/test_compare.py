"""Two models on the same films: the paired difference, its p-value, and the words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from hilum.domain.documents.comparison import Comparison, PairVerdict
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.compare import ComparisonRequest, Contender, compare
from hilum.report.evaluation.table import comparison_markdown

LABELS = LabelSet("two", ("Effusion", "Mass"))
REQUEST = ComparisonRequest("tune", may_choose=True, resamples=400)
FILMS = 600


def cohort(states: NDArray[np.int8]) -> Cohort:
    records = tuple(
        Record(f"{i}.png", f"p{i // 3}", tuple(LabelState(int(s)) for s in row))
        for i, row in enumerate(states)
    )
    return Cohort("drawn", LABELS, records)


def drawn(noise: float, seed: int) -> tuple[NDArray[np.int8], list[Contender]]:
    """Labels, a model, and one that is `noise` away from it."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(FILMS, 2))
    states = (truth + rng.normal(size=truth.shape) > 0.8).astype(np.int8)
    first = 1 / (1 + np.exp(-truth))
    second = 1 / (1 + np.exp(-(truth + noise * rng.normal(size=truth.shape))))
    return states, [
        Contender("first", Probabilities(first, LABELS)),
        Contender("second", Probabilities(second, LABELS)),
    ]


def compared(noise: float, seed: int = 0) -> tuple[NDArray[np.int8], list[Contender], Comparison]:
    states, models = drawn(noise, seed)
    return states, models, compare(models, cohort(states), REQUEST)


def test_differences_are_those_of_scikit_learn() -> None:
    states, (first, second), found = compared(noise=1.0)
    (pair,) = found.pairs
    for column, name in enumerate(LABELS):
        y = states[:, column]
        areas = [roc_auc_score(y, one.scores.of(name)) for one in (first, second)]
        precision = [average_precision_score(y, one.scores.of(name)) for one in (first, second)]
        assert pair.auroc[name].difference.value == pytest.approx(areas[1] - areas[0], abs=1e-12)
        assert pair.average_precision[name].difference.value == pytest.approx(
            precision[1] - precision[0], abs=1e-12
        )
    differences = [pair.auroc[name].difference.value or 0.0 for name in LABELS]
    assert pair.macro_auroc.difference.value == pytest.approx(np.mean(differences), abs=1e-12)


def test_a_much_worse_model_is_called_worse() -> None:
    _, _, found = compared(noise=2.0)
    (pair,) = found.pairs
    assert pair.macro_auroc.verdict is PairVerdict.WORSE
    assert pair.words.startswith("second is worse than first: macro AUROC -0.")
    assert pair.words.endswith(
        "at 600 films of 200 patients; seeds were not varied: one run a side"
    )
    assert found.chosen == "first"


def test_a_model_and_nearly_itself_are_not_separable() -> None:
    _, _, found = compared(noise=0.02)
    (pair,) = found.pairs
    assert pair.macro_auroc.verdict is PairVerdict.NOT_SEPARABLE
    assert "are not separable" in pair.words


def test_a_model_against_itself_differs_by_nothing() -> None:
    states, (first, _) = drawn(0.0, 0)
    twin = Contender("twin", first.scores)
    (pair,) = compare([first, twin], cohort(states), REQUEST).pairs
    number = pair.macro_auroc.difference
    assert (number.value, number.low, number.high) == (0.0, 0.0, 0.0)
    assert pair.macro_auroc.p == 1.0


def test_the_paired_interval_is_narrower_than_that_of_either_model() -> None:
    _, _, found = compared(noise=0.2)
    number = found.pairs[0].macro_auroc.difference
    own = found.models["first"].auroc
    assert number.high is not None
    assert number.low is not None
    assert own.high is not None
    assert own.low is not None
    assert number.high - number.low < 0.5 * (own.high - own.low)


def test_no_difference_is_found_about_as_often_as_promised() -> None:
    """Models that are equally good: at most some of 20 studies may call them different."""
    wrong = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=(200, 2))
        states = (truth + rng.normal(size=truth.shape) > 0.5).astype(np.int8)
        noisy = [
            Contender(
                name, Probabilities(1 / (1 + np.exp(-truth - rng.normal(size=truth.shape))), LABELS)
            )
            for name in ("a", "b")
        ]
        request = ComparisonRequest("tune", may_choose=True, resamples=200, seed=seed)
        found = compare(noisy, cohort(states), request)
        wrong += found.pairs[0].macro_auroc.verdict is not PairVerdict.NOT_SEPARABLE
    assert wrong <= 4


def test_a_finding_of_one_class_is_unknown_and_does_not_count() -> None:
    states, models = drawn(1.0, 0)
    states[:, 1] = 0
    found = compare(models, cohort(states), REQUEST)
    (pair,) = found.pairs
    assert set(pair.auroc) == {"Effusion"}
    assert pair.macro_auroc.difference == pair.auroc["Effusion"].difference
    nothing = compare(models, cohort(np.zeros_like(states)), REQUEST)
    assert nothing.pairs[0].macro_auroc.verdict is PairVerdict.UNKNOWN
    assert "not comparable" in nothing.pairs[0].words
    assert nothing.chosen is None


def test_unlabelled_films_do_not_count() -> None:
    states, models = drawn(1.0, 0)
    half = states.copy()
    half[: FILMS // 2] = LabelState.UNLABELLED
    scores = [
        Contender(one.name, Probabilities(one.scores.values[FILMS // 2 :], LABELS))
        for one in models
    ]
    records = cohort(states).records[FILMS // 2 :]
    alone = compare(scores, Cohort("drawn", LABELS, records), REQUEST)
    found = compare(models, cohort(half), REQUEST)
    assert (
        found.pairs[0].macro_auroc.difference.value == alone.pairs[0].macro_auroc.difference.value
    )


def test_a_margin_is_said_in_words() -> None:
    states, models = drawn(0.02, 0)
    request = ComparisonRequest("tune", may_choose=True, margin=0.05, resamples=200)
    (pair,) = compare(models, cohort(states), request).pairs
    assert "; no worse by more than the margin 0.05; seeds were not varied" in pair.words


def test_films_of_the_test_split_choose_nothing() -> None:
    states, models = drawn(1.0, 0)
    found = compare(models, cohort(states), ComparisonRequest("test", False, resamples=100))
    assert (found.chosen, found.chosen_on) == (None, "")


def test_what_does_not_belong_together_is_refused() -> None:
    states, (first, second) = drawn(1.0, 0)
    with pytest.raises(UsageError, match="two models or more, of different names; got first"):
        compare([first], cohort(states), REQUEST)
    swapped = LabelSet("swapped", ("Mass", "Effusion"))
    other = Contender("second", Probabilities(second.scores.values, swapped))
    with pytest.raises(DatasetError, match="the same findings in one order"):
        compare([first, other], cohort(states), REQUEST)
    with pytest.raises(DatasetError, match="first must have a row for each of the 599 films"):
        compare([first, second], cohort(states[1:]), REQUEST)


def test_the_table_shows_models_pairs_and_the_choice() -> None:
    _, _, found = compared(noise=2.0)
    text = comparison_markdown(found)
    assert "| Model | AUROC, tune | AP, tune |" in text
    assert "| **first** |" in text
    assert "Chosen on tune: first." in text
    assert "second is worse than first" in text
    assert found.notice in text
    assert Comparison.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("first_knows", [True, False])
def test_a_model_that_has_seen_the_films_is_not_called_better(first_knows: bool) -> None:
    states, contenders, fair = compared(2.0)
    better, worse = contenders
    verdict = fair.pairs[0].macro_auroc.verdict
    assert verdict is PairVerdict.WORSE
    knowing = replace(better, contamination="CONTAMINATED: trained on nih")
    order = [knowing, worse] if first_knows else [worse, knowing]
    found = compare(order, cohort(states), REQUEST)
    (pair,) = found.pairs
    assert pair.macro_auroc.verdict is PairVerdict.UNKNOWN
    assert "better" not in pair.words
    assert "worse" not in pair.words
    assert f"{knowing.name} was trained on films of this dataset" in pair.words
    assert found.chosen == worse.name
    assert f"{knowing.name}: CONTAMINATED: trained on nih" in comparison_markdown(found)
    both = [replace(one, contamination="CONTAMINATED: both") for one in contenders]
    alike = compare(both, cohort(states), REQUEST)
    assert alike.pairs[0].macro_auroc.verdict is PairVerdict.WORSE
    assert alike.chosen == better.name


# models of several runs


def of_runs(seed: int, runs: int, spread: float) -> tuple[NDArray[np.int8], list[Contender]]:
    """Two models that are equal in truth; each run is a draw of how well it reads the films."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(FILMS, 2))
    states = (truth + rng.normal(size=truth.shape) > 0.8).astype(np.int8)

    def run() -> Probabilities:
        noise = 1.0 + spread * rng.uniform(-1.0, 1.0)
        scores = truth + noise * rng.normal(size=truth.shape)
        return Probabilities(1 / (1 + np.exp(-scores)), LABELS)

    def model(name: str) -> Contender:
        own = [run() for _ in range(runs)]
        others = {f"{name}-{number}": one for number, one in enumerate(own[1:], 1)}
        return Contender(name, own[0], others=others, run=f"{name}-0")

    return states, [model("first"), model("second")]


def test_the_difference_of_models_is_that_of_the_means_of_their_runs() -> None:
    states, models = of_runs(0, runs=3, spread=0.5)
    found = compare(models, cohort(states), REQUEST)
    (pair,) = found.pairs
    for column, name in enumerate(LABELS):
        first, second = (
            np.mean([roc_auc_score(states[:, column], run.of(name)) for run in one.runs])
            for one in models
        )
        assert pair.auroc[name].difference.value == pytest.approx(second - first, abs=1e-12)
    assert list(found.models["first"].runs) == ["first-0", "first-1", "first-2"]
    assert found.seeds == "runs of each model, by seed: first: 3, second: 3"
    assert "crossed with resamples of the runs" in found.interval


def test_seeds_that_move_the_number_widen_the_interval() -> None:
    states, models = of_runs(0, runs=4, spread=0.9)
    (pair,) = compare(models, cohort(states), REQUEST).pairs
    spread, number = pair.macro_auroc.spread, pair.macro_auroc.difference
    assert spread is not None
    assert number.high is not None
    assert number.low is not None
    assert spread.seeds > spread.patients
    assert number.high - number.low > 2 * 1.96 * np.hypot(spread.seeds, spread.patients) * 0.95


def test_one_run_too_many_times_is_refused() -> None:
    states, (first, second) = of_runs(0, runs=2, spread=0.5)
    twice = replace(first, others={"again": first.scores})
    with pytest.raises(UsageError, match="two of first give the same scores"):
        compare([twice, second], cohort(states), REQUEST)
