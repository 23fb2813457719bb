"""The plans of a corpus follow NIH's statistics; no film is drawn here."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from hilum.domain.errors import UsageError
from hilum.domain.findings import nih14
from hilum.phantom.corpus import FilmPlan, PhantomCorpus
from hilum.phantom.plan import AP_SHARE, PREVALENCE, odds_scaled

PATIENTS = 6_000


@pytest.fixture(scope="module")
def films() -> tuple[FilmPlan, ...]:
    planned = PhantomCorpus(PATIENTS, seed=5).films()
    assert len(planned) > 19_000
    return planned


def by_patient(films: tuple[FilmPlan, ...]) -> dict[str, list[FilmPlan]]:
    grouped: dict[str, list[FilmPlan]] = {}
    for film in films:
        grouped.setdefault(film.patient_id, []).append(film)
    return grouped


def rate_and_error(grouped: dict[str, list[FilmPlan]], has) -> tuple[float, float]:
    """A share of films, and its standard error when patients, not films, are independent."""
    hits = np.array([sum(map(has, films)) for films in grouped.values()], float)
    counts = np.array([len(films) for films in grouped.values()], float)
    rate = hits.sum() / counts.sum()
    residual = hits - rate * counts
    return rate, float(np.sqrt((residual**2).sum()) / counts.sum())


@pytest.mark.parametrize("finding", list(nih14()))
def test_prevalence_is_nih_s(films: tuple[FilmPlan, ...], finding: str) -> None:
    rate, error = rate_and_error(by_patient(films), lambda film: finding in film.findings)
    assert abs(rate - PREVALENCE[finding]) < 3.5 * max(error, 0.0005)


def test_normal_and_ap_films_are_as_frequent_as_nih_s(films: tuple[FilmPlan, ...]) -> None:
    grouped = by_patient(films)
    normal, error = rate_and_error(grouped, lambda film: not film.findings)
    assert abs(normal - 0.538) < 3.5 * error + 0.02  # pairwise correlations fix it only nearly
    bedside, error = rate_and_error(grouped, lambda film: film.view.value == "AP")
    assert abs(bedside - AP_SHARE) < 3.5 * error


def test_findings_keep_company_as_in_nih(films: tuple[FilmPlan, ...]) -> None:
    has = {name: np.array([name in film.findings for film in films]) for name in nih14()}
    bedside = np.array([film.view.value == "AP" for film in films])

    def lift(a: str, b: str) -> float:
        return float((has[a] & has[b]).mean() / (has[a].mean() * has[b].mean()))

    assert 2.0 < lift("Effusion", "Atelectasis") < 2.9  # NIH: 2.39
    assert lift("Cardiomegaly", "Effusion") > 2.2  # NIH: 3.22
    assert lift("Cardiomegaly", "Pneumothorax") < 0.9  # NIH: 0.37
    assert bedside[has["Edema"]].mean() > 0.75  # NIH: 0.88


def test_findings_persist_between_films_of_a_patient(films: tuple[FilmPlan, ...]) -> None:
    again = [
        "Effusion" in later.findings
        for earlier, later in pairwise(films)
        if earlier.patient_id == later.patient_id and "Effusion" in earlier.findings
    ]
    assert 0.38 < np.mean(again) < 0.60  # NIH: 0.49
    for earlier, later in pairwise(films):
        if earlier.patient_id == later.patient_id:
            seeds = {lesion.finding: lesion.seed for lesion in earlier.lesions}
            for lesion in later.lesions:
                assert seeds.get(lesion.finding, lesion.seed) == lesion.seed
            assert (earlier.sex, later.follow_up) == (later.sex, earlier.follow_up + 1)
            assert later.age_years >= earlier.age_years


def test_films_a_patient_have_nih_s_mean_and_tail(films: tuple[FilmPlan, ...]) -> None:
    counts = Counter(film.patient_id for film in films)
    assert 3.1 < np.mean(list(counts.values())) < 3.9  # NIH: 3.64, its tail cut here
    assert np.median(list(counts.values())) == 1
    assert max(counts.values()) >= 28


def test_image_ids_are_nih_s_and_unique(films: tuple[FilmPlan, ...]) -> None:
    assert films[0].image_id == "00000001_000.png"
    assert len({film.image_id for film in films}) == len(films)
    order = list(nih14())
    for film in films[:2000]:
        assert film.image_id == f"{int(film.patient_id):08d}_{film.follow_up:03d}.png"
        assert list(film.findings) == sorted(film.findings, key=order.index)
        assert tuple(lesion.finding for lesion in film.lesions) == film.findings
        assert all(0.0 <= lesion.severity <= 1.0 for lesion in film.lesions)


def test_enrichment_lifts_rare_findings_and_leaves_common_ones() -> None:
    assert odds_scaled(PREVALENCE["Infiltration"], 4.0) == PREVALENCE["Infiltration"]
    films = PhantomCorpus(1_500, seed=2, enrichment=3.0).films()
    hernias = np.mean(["Hernia" in film.findings for film in films])
    assert hernias > 5 * PREVALENCE["Hernia"]


def test_a_patient_does_not_depend_on_how_many_others_there_are() -> None:
    few, many = PhantomCorpus(5, seed=9).films(), PhantomCorpus(50, seed=9).films()
    assert many[: len(few)] == few


def test_test_patients_are_a_fifth_and_disjoint() -> None:
    corpus = PhantomCorpus(200, seed=3)
    tested = corpus.test_patients()
    assert len(tested) == 40
    assert tested < {film.patient_id for film in corpus.films()}
    assert tested != PhantomCorpus(200, seed=4).test_patients()


@pytest.mark.parametrize("wrong", [{"patients": 0}, {"size": 8}, {"enrichment": 0.5}, {"seed": -1}])
def test_impossible_corpora_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="a phantom corpus needs"):
        PhantomCorpus(**{"patients": 3, "seed": 1, **wrong})
