"""DeLong's formula and its clustered form: pROC's values, brute force, and the bootstrap."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hilum.metrics.delong import Aurocs, delong, difference, influence, interval
from hilum.metrics.ranking import Ranking, auroc
from hilum.metrics.resampling import patient_resamples

ASAH = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tables" / "aSAH.csv"


def brute_force(
    y: NDArray[np.bool_], scores: NDArray[np.float64], patients: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Obuchowski's covariance, from all pairs of films, as her paper writes it."""
    models, up, down = len(scores), [], []
    for row in scores:
        pairs = (row[y][:, None] > row[~y]) + 0.5 * (row[y][:, None] == row[~y])
        up.append(pairs.mean(axis=1) - pairs.mean())
        down.append(pairs.mean(axis=0) - pairs.mean())
    everyone = sorted(set(patients.tolist()))
    m, n = int(y.sum()), int((~y).sum())
    sizes = len(set(patients[y].tolist())), len(set(patients[~y].tolist())), len(everyone)
    found = np.zeros((models, models))
    for a in range(models):
        for b in range(models):
            s10 = s01 = s11 = s11_turned = 0.0
            for one in everyone:
                mine, yours = patients[y] == one, patients[~y] == one
                s10 += up[a][mine].sum() * up[b][mine].sum()
                s01 += down[a][yours].sum() * down[b][yours].sum()
                s11 += up[a][mine].sum() * down[b][yours].sum()
                s11_turned += up[b][mine].sum() * down[a][yours].sum()
            s10 *= sizes[0] / ((sizes[0] - 1) * m)
            s01 *= sizes[1] / ((sizes[1] - 1) * n)
            s11 *= sizes[2] / (sizes[2] - 1)
            s11_turned *= sizes[2] / (sizes[2] - 1)
            found[a, b] = s10 / m + s01 / n + (s11 + s11_turned) / (m * n)
    return found


def drawn(seed: int, n: int = 30) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels with two films of each class at least, and the tied scores of three models."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    y[:4] = [True, True, False, False]
    return y, (rng.normal(size=(3, n)) + y).round(1)


def names(patients: NDArray[np.intp]) -> NDArray[np.str_]:
    return np.array([f"p{patient}" for patient in patients])


@pytest.mark.skipif(not ASAH.exists(), reason="pROC's aSAH table is not beside the checkout")
def test_proc_reference_values() -> None:
    with ASAH.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    poor = np.array([row["poor"] == "1" for row in rows])
    wfns, ndka, s100b = range(3)
    scores = np.array([[float(row[name]) for row in rows] for name in ("wfns", "ndka", "s100b")])
    found = delong(poor, scores)
    exactly = {"abs": 1e-10, "rel": 0}
    assert found.values == pytest.approx([0.8236788618, 0.6119579946, 0.7313685637], **exactly)
    assert np.diag(found.covariance) == pytest.approx(
        [0.00146991470882363, 0.0031908105493913, 0.00266868245717244], **exactly
    )
    covariances = {
        (wfns, ndka): -0.000532967856762438,
        (ndka, s100b): -0.000756164938056579,
        (s100b, wfns): 0.00119615567376754,
    }
    for pair, value in covariances.items():
        assert found.covariance[pair] == pytest.approx(value, **exactly)
    band = interval(found, ndka)
    assert (band.low, band.high) == (
        pytest.approx(0.501244999271703, **exactly),
        pytest.approx(0.722670989888189, **exactly),
    )
    assert difference(found, s100b, wfns).z == pytest.approx(2.20898359144091, **exactly)
    assert difference(found, s100b, wfns).p == pytest.approx(0.0271757822291882, **exactly)
    assert difference(found, ndka, wfns).z == pytest.approx(2.79777591868904, **exactly)
    assert difference(found, s100b, ndka).z == pytest.approx(-1.39077002573558, **exactly)


def test_scores_that_are_nearly_tied_are_not_tied() -> None:
    # numbers of pROC's own test of numeric accuracy: three scores differ in the last bit only
    response = [2, 1, 1, 2, 2, 1, 2, 2, 1, 1, 1, 2, 1, 2, 2, 2, 2, 2]
    scores = [
        *(0.960602681556147, 0.0794407386056549, 0.144842404246611, 0.931816485855784),
        *(0.931816485855784, 0.97764041048215, 0.653549466997938699464, 0.796401132206396),
        *(0.427720540184519, 0.811278021288732, 0.0188323116581187, 0.653549466997938588442),
        *(0.653549466997938477419, 0.959111701445925, 0.931816485855784, 0.663663279418747),
        *(0.800100838413179, 0.780456095511079),
    ]
    y, s = np.array(response) == 2, np.array(scores)
    expected = float.fromhex("0x1.8ef606a63bd82p-1")
    assert delong(y, s[None]).values[0] == pytest.approx(expected, abs=1e-15)
    assert auroc(y, s) == pytest.approx(expected, abs=1e-15)


def test_a_case_by_hand() -> None:
    # the positive films beat 2/2, 1/2 and 0/2 of the negatives; the negatives lose to 2/3 and 1/3
    y = np.array([True, True, True, False, False])
    found = delong(y, np.array([[0.9, 0.5, 0.1, 0.3, 0.7]]))
    assert found.values[0] == 0.5
    assert found.covariance[0, 0] == pytest.approx(0.25 / 3 + (1 / 18) / 2, abs=1e-15)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_equals_brute_force_over_all_pairs(seed: int, films_each: int) -> None:
    y, scores = drawn(seed)
    patients = np.random.default_rng(seed).permutation(np.arange(len(y)) // films_each)
    found = delong(y, scores, names(patients))
    assert found.covariance == pytest.approx(brute_force(y, scores, patients), abs=1e-14)
    assert found.values == pytest.approx([auroc(y, row) for row in scores], abs=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_laws(seed: int) -> None:
    y, scores = drawn(seed)
    plain = delong(y, scores)
    alone = delong(y, scores, names(np.arange(len(y))))
    assert alone.covariance == pytest.approx(plain.covariance, abs=1e-15)
    turned = delong(~y, -scores)
    assert turned.values == pytest.approx(plain.values, abs=1e-14)
    assert turned.covariance == pytest.approx(plain.covariance, abs=1e-14)
    mapped = delong(y, np.exp(scores))
    assert mapped.covariance == pytest.approx(plain.covariance, abs=1e-15)
    there, back = difference(plain, 0, 1), difference(plain, 1, 0)
    assert there.difference == pytest.approx(-(back.difference or 0.0), abs=1e-15)
    assert there.p == back.p


def test_copies_of_every_film_change_nothing_when_the_patients_are_named() -> None:
    y, scores = drawn(7, 60)
    patients = np.arange(60) // 2
    once = delong(y, scores, names(patients))
    again = np.tile(np.arange(60), 3)
    thrice = delong(y[again], scores[:, again], names(patients[again]))
    assert thrice.covariance == pytest.approx(once.covariance, abs=1e-15)
    unnamed, alone = delong(y[again], scores[:, again]), delong(y, scores)
    assert np.diag(unnamed.covariance) == pytest.approx(np.diag(alone.covariance) / 3, rel=0.05)


def test_squared_influences_of_patients_sum_to_the_variance() -> None:
    y, scores = drawn(3, 400)
    patients = np.arange(400) // 2
    value, films = influence(y, scores[0])
    assert value == auroc(y, scores[0])
    assert films.sum() == pytest.approx(0.0, abs=1e-14)
    squares = float((np.bincount(patients, films) ** 2).sum())
    variance = delong(y, scores[:1], names(patients)).covariance[0, 0]
    assert squares == pytest.approx(variance, rel=0.01)


def clustered(seed: int) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.str_]]:
    """Films of 500 patients, some of many; both label and score depend on the patient."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(500), 1 + rng.poisson(3, 500))
    ill, look = rng.normal(size=500)[patients], rng.normal(size=(2, 500))[:, patients]
    y = rng.random(len(patients)) < 1 / (1 + np.exp(2 - 1.5 * ill))
    scores = 0.8 * y + look + 0.6 * rng.normal(size=(2, len(y))) + 0.4 * rng.normal(size=len(y))
    return y, scores, names(patients)


@pytest.mark.parametrize("seed", range(2))
def test_the_standard_error_is_that_of_the_patient_bootstrap(seed: int) -> None:
    y, scores, patients = clustered(seed)
    rankings = [Ranking.of(y, row) for row in scores]
    draws = patient_resamples(patients, 2000, np.random.default_rng(0))
    parts = [[ranking.counts(weights).auroc() for ranking in rankings] for weights in draws]
    resampled = np.concatenate(parts, axis=1)
    found = delong(y, scores, patients)
    ratio = np.sqrt(np.diag(found.covariance)) / resampled.std(axis=1, ddof=1)
    assert ((ratio > 0.95) & (ratio < 1.05)).all()
    gap = difference(found, 0, 1)
    assert gap.high is not None
    assert gap.low is not None
    error = (gap.high - gap.low) / (2 * 1.96)
    assert 0.95 < error / (resampled[1] - resampled[0]).std(ddof=1) < 1.05
    naive = np.sqrt(np.diag(delong(y, scores).covariance))
    assert (naive < 0.9 * np.sqrt(np.diag(found.covariance))).all()


@pytest.mark.parametrize(
    ("y", "reason"),
    [([], "no film is positive"), ([0, 0], "no film is positive"), ([1, 1], "no film is negative")],
)
def test_one_class_has_no_number(y: list[int], reason: str) -> None:
    found = delong(np.array(y, bool), np.zeros((2, len(y))))
    assert interval(found, 0).value is None
    assert interval(found, 0).reason == reason
    gap = difference(found, 0, 1)
    assert (gap.difference, gap.p, gap.reason) == (None, None, reason)


def test_one_positive_patient_has_a_value_but_no_interval() -> None:
    y = np.array([True, True, False, False])
    found = delong(y, np.array([[0.9, 0.8, 0.7, 0.85]]), np.array(["a", "a", "b", "c"]))
    band = interval(found, 0)
    assert (band.value, band.low, band.high) == (0.75, None, None)
    assert "only one patient has positive films" in band.reason
    gap = difference(found, 0, 0)
    assert (gap.difference, gap.low, gap.z) == (0.0, None, None)


def test_models_that_order_films_alike_have_no_p_value() -> None:
    y, scores = drawn(0)
    gap = difference(delong(y, np.stack([scores[0], np.exp(scores[0])])), 0, 1)
    assert (gap.difference, gap.low, gap.high) == (0.0, 0.0, 0.0)
    assert (gap.z, gap.p) == (None, None)
    assert "no spread" in gap.reason


def test_the_interval_stays_in_the_unit_interval() -> None:
    band = interval(Aurocs(np.array([0.99]), np.array([[0.01]])), 0)
    assert band.high == 1.0
    assert band.low == pytest.approx(0.99 - 0.196, abs=1e-4)


def test_nan_scores_and_other_shapes_are_refused() -> None:
    y = np.array([True, False])
    with pytest.raises(ValueError, match="finite"):
        delong(y, np.array([[0.1, np.nan]]))
    with pytest.raises(ValueError, match="scores \\(M, n\\)"):
        delong(y, np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="patients"):
        delong(y, np.array([[0.1, 0.2]]), np.array(["a"]))
