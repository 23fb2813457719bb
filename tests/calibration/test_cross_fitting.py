"""Cross-fitting: nobody's probability from a curve that saw the patient, and no fold in silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hilum.calibration import curve_type, fit
from hilum.calibration.cross_fitting import cross_fit
from hilum.calibration.curves import sigmoid_of
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.members import members
from hilum.domain.scores import Logits

LABELS = LabelSet("two", ("Mass", "Hernia"))

Films = tuple[Logits, NDArray[np.int8], list[str]]


def films(seed: int, n: int = 300, patients: int = 80) -> Films:
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1.0, 1.5, (n, 2))
    states = (rng.random((n, 2)) < sigmoid_of(truth)).astype(np.int8)
    return Logits(2 * truth + 1, LABELS), states, [f"p{k}" for k in rng.integers(0, patients, n)]


@pytest.mark.parametrize("method", members("hilum.calibration.curves"))
def test_each_film_is_mapped_by_a_curve_of_the_other_folds(method: str) -> None:
    logits, states, patients = films(0)
    crossed = cross_fit(method, logits, states, patients, folds=3)
    for number in range(3):
        inside = crossed.fold == number
        others = fit(method, Logits(logits.values[~inside], LABELS), states[~inside])
        expected = others.apply(Logits(logits.values[inside], LABELS)).values
        assert (crossed.probabilities.values[inside] == expected).all()
    assert crossed.probabilities.labels == LABELS


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(6, 40))
def test_a_patient_is_in_one_fold_and_no_fold_is_empty(seed: int, folds: int, count: int) -> None:
    logits, states, patients = films(seed, 100, count)
    fold = cross_fit("sigmoid", logits, states, patients, folds, seed).fold
    assert set(fold.tolist()) == set(range(folds))
    assert len(set(zip(patients, fold.tolist(), strict=True))) == len(set(patients))
    sizes = [len({p for p, f in zip(patients, fold, strict=True) if f == k}) for k in range(folds)]
    assert max(sizes) - min(sizes) <= 1


def test_the_order_of_films_does_not_matter_and_the_seed_does() -> None:
    logits, states, patients = films(1)
    plain = cross_fit("intercept", logits, states, patients)
    turned = cross_fit(
        "intercept", Logits(logits.values[::-1], LABELS), states[::-1], patients[::-1]
    )
    assert (turned.fold[::-1] == plain.fold).all()
    assert turned.probabilities.values[::-1] == pytest.approx(plain.probabilities.values)
    assert (cross_fit("intercept", logits, states, patients, seed=1).fold != plain.fold).any()


@pytest.mark.parametrize(
    "method", [method for method in members("hilum.calibration.curves") if method != "sigmoid"]
)
def test_a_films_own_label_does_not_reach_its_probability(method: str) -> None:
    logits, states, patients = films(2)
    crossed = cross_fit(method, logits, states, patients)
    inside = crossed.fold == 0
    changed = states.copy()
    changed[inside] = 1 - changed[inside]
    again = cross_fit(method, logits, changed, patients)
    assert (again.probabilities.values[inside] == crossed.probabilities.values[inside]).all()
    assert (again.probabilities.values[~inside] != crossed.probabilities.values[~inside]).any()


def test_a_finding_without_positives_in_some_folds_stays_the_sigmoid_there_and_is_noted() -> None:
    logits, states, patients = films(3)
    fold = cross_fit("platt", logits, states, patients).fold
    states[:, 1] = 0
    # all positives of Hernia in one fold: its films are mapped by curves that saw none
    states[np.flatnonzero(fold == 2)[:30], 1] = 1
    crossed = cross_fit("platt", logits, states, patients)
    inside = fold == 2
    own, plain = crossed.probabilities.of("Hernia"), sigmoid_of(logits.of("Hernia"))
    assert (own[inside] == plain[inside]).all()
    assert (own[~inside] != plain[~inside]).all()
    assert crossed.notes == ("Hernia: platt refused in 1 of 5 folds; plain sigmoid there",)


def test_fallbacks_few_films_and_ties_are_noted() -> None:
    logits, states, patients = films(4)
    states[:, 1] = 0
    states[np.argsort(-logits.of("Hernia"))[:40:2], 1] = 1
    crossed = cross_fit("isotonic", logits, states, patients)
    mass, *hernia = crossed.notes
    levels = len(np.unique(crossed.probabilities.of("Mass")))
    assert mass == f"Mass: {levels} distinct values on 300 films"
    assert hernia[0] == "Hernia: isotonic refused in 5 of 5 folds; platt there"
    assert hernia[1].startswith("Hernia: fitted on only 1")
    assert not curve_type("isotonic").strict


def test_too_few_patients_or_folds_are_refused() -> None:
    logits, states, _ = films(5)
    with pytest.raises(UsageError, match="got 5 folds and 4 patients"):
        cross_fit("platt", logits, states, [str(k % 4) for k in range(300)])
    with pytest.raises(UsageError, match="got 1 folds"):
        cross_fit("platt", logits, states, ["a", "b"] * 150, folds=1)
    with pytest.raises(UsageError, match="Did you mean 'platt'"):
        cross_fit("plat", logits, states, ["a", "b", "c", "d", "e"] * 60)
    with pytest.raises(ValueError, match="got 2 patients for 300 films"):
        cross_fit("platt", logits, states, ["a", "b"])
