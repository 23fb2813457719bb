"""The patient bootstrap."""

from __future__ import annotations

import numpy as np

from hilum.metrics.ranking import Ranking
from hilum.metrics.resampling import interval, patient_resamples


def test_one_film_a_patient_is_the_bootstrap_over_films() -> None:
    patients = np.array(["z", "b", "x", "a"])
    (weights,) = patient_resamples(patients, 50, np.random.default_rng(1))
    drawn = np.random.default_rng(1).integers(4, size=(50, 4))
    expected = np.stack([np.bincount(row, minlength=4) for row in drawn])
    assert (weights == expected).all()


def test_films_of_a_patient_come_together_and_patients_keep_their_number() -> None:
    patients = np.array(["a", "b", "a", "c", "b", "a"])
    (weights,) = patient_resamples(patients, 100, np.random.default_rng(0))
    assert weights.shape == (100, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_draws_do_not_depend_on_how_many_are_held_at_once() -> None:
    patients = np.array([f"p{i // 2}" for i in range(31)])
    whole = list(patient_resamples(patients, 20, np.random.default_rng(4)))
    parts = list(patient_resamples(patients, 20, np.random.default_rng(4), cells=31 * 3))
    assert len(whole) == 1
    assert len(parts) == 7
    assert (np.concatenate(parts) == whole[0]).all()


def test_duplicated_films_widen_only_the_image_bootstraps_confidence() -> None:
    rng = np.random.default_rng(7)
    y, s = rng.random(60) < 0.4, rng.normal(size=60)
    patients = np.array([f"p{i}" for i in range(60)])
    thrice = np.repeat(np.arange(60), 3)

    def width(films: np.ndarray, names: np.ndarray) -> float:
        ranking = Ranking.of(y[films], s[films])
        draws = patient_resamples(names, 400, np.random.default_rng(0))
        values = np.concatenate([ranking.counts(weights).auroc() for weights in draws])
        found = interval(0.5, values, "")
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    once = width(np.arange(60), patients)
    by_patient = width(thrice, patients[thrice])
    by_image = width(thrice, np.array([f"f{i}" for i in range(180)]))
    assert by_patient == once
    assert 0.45 < by_image / once < 0.72


def test_an_interval_needs_nearly_all_resamples() -> None:
    values = np.linspace(0, 1, 100)
    values[:5] = np.nan
    found = interval(0.5, values, "")
    assert found.low is not None
    assert found.reason == "5 of 100 resamples have no value"
    values[:6] = np.nan
    found = interval(0.5, values, "")
    assert found.value == 0.5
    assert found.low is None
    assert found.high is None
    assert "94 of 100" in found.reason


def test_a_number_that_does_not_exist_has_a_reason() -> None:
    found = interval(float("nan"), np.array([0.1, 0.2]), "no film is positive")
    assert (found.value, found.low, found.reason) == (None, None, "no film is positive")
