"""Agreement of readers: pairs and means beside a recount, intervals over patients."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hilum.evaluation.agreement import MODEL, agreement_on

sklearn = pytest.importorskip("sklearn.metrics")
FILMS = 120


def calls(seed: int, noise: float, missing: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).random(FILMS) < 0.3
    said = np.where(rng.random(FILMS) < noise, ~truth, truth).astype(np.int8)
    return np.where(rng.random(FILMS) < missing, -1, said).astype(np.int8)


def patients(films_each: int) -> np.ndarray:
    return (np.arange(FILMS) // films_each).astype(np.str_)


SAID = {"R1": calls(1, 0.1), "R2": calls(2, 0.15), "R10": calls(3, 0.2), MODEL: calls(4, 0.5, 0.0)}


def kappa(one: np.ndarray, other: np.ndarray) -> float:
    both = (one >= 0) & (other >= 0)
    return sklearn.cohen_kappa_score(one[both], other[both])


def test_pairs_and_means_are_those_of_a_recount() -> None:
    (found,) = agreement_on({"Mass": SAID}, patients(1), np.random.default_rng(0), 200)
    expected = {
        (one, other): kappa(SAID[one], SAID[other])
        for one, other in combinations(("R1", "R2", "R10", MODEL), 2)
    }
    assert [(one.one, one.other) for one in found.pairs] == list(expected)
    assert [one.kappa.value for one in found.pairs] == pytest.approx(list(expected.values()))
    for pair in found.pairs:
        both = (SAID[pair.one] >= 0) & (SAID[pair.other] >= 0)
        assert pair.films == pair.patients == both.sum()
        assert pair.both + pair.only_one + pair.only_other + pair.neither == pair.films
        assert pair.only_one == ((SAID[pair.one] == 1) & (SAID[pair.other] == 0)).sum()
        assert pair.kappa.low < pair.kappa.value < pair.kappa.high
    among = [value for names, value in expected.items() if MODEL not in names]
    beside = [value for names, value in expected.items() if MODEL in names]
    assert found.readers.value == pytest.approx(np.mean(among))
    assert found.model.value == pytest.approx(np.mean(beside))
    assert found.difference.value == pytest.approx(np.mean(beside) - np.mean(among))
    assert found.difference.high < 0, "a model that knows nothing agrees less"


def test_intervals_are_over_patients_and_not_over_films() -> None:
    """Ten copies of each film add no evidence."""
    few = {name: said[:12] for name, said in SAID.items()}
    copied = {name: np.repeat(said, 10) for name, said in few.items()}
    each = np.repeat(np.arange(12), 10).astype(np.str_)
    (plain,) = agreement_on({"Mass": few}, each[::10], np.random.default_rng(0), 400)
    (tens,) = agreement_on({"Mass": copied}, each, np.random.default_rng(0), 400)
    assert tens.readers == plain.readers
    assert [one.films for one in tens.pairs] == [10 * one.films for one in plain.pairs]


def test_what_cannot_be_compared_says_why() -> None:
    never = np.full(FILMS, -1, np.int8)
    rare = np.zeros(FILMS, np.int8)
    (alone, same) = agreement_on(
        {"Mass": {"R1": SAID["R1"], MODEL: never}, "Hernia": {"R1": rare, "R2": rare}},
        patients(2),
        np.random.default_rng(0),
        50,
    )
    assert (alone.films, alone.pairs) == (0, ())
    assert alone.model.value is None
    assert "no reader" in alone.model.reason
    assert same.pairs[0].neither == FILMS
    assert same.readers.value is None
    assert "alike" in same.readers.reason
    assert agreement_on({"Mass": {MODEL: rare}}, patients(1), np.random.default_rng(0)) == ()
