"""A model beside readers of the same cases: paired, with intervals by patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.readers import (
    FindingReaders,
    Kappa,
    MajorityWithout,
    Place,
    ReaderNumbers,
    ReaderStudy,
)
from hilum.domain.errors import DatasetError
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.evaluation.agreement import MODEL
from hilum.evaluation.aided import aided_tests
from hilum.evaluation.panel import are_ratings, auroc_test, sensitivity_test
from hilum.evaluation.read_cases import ABSENT, ReadCases, gaps, rate
from hilum.metrics.delong import delong
from hilum.metrics.delong import interval as delong_interval
from hilum.metrics.kappa import cohen_kappa
from hilum.metrics.resampling import interval, patient_resamples
from hilum.predictions.readers import Readings

__all__ = ["MARGIN", "StudyRequest", "study_readers"]

MARGIN = 0.05
"""How much worse than the mean reader counts as no worse, unless another margin is stated."""


@dataclass(frozen=True)
class StudyRequest:
    """Names and choices of a reader study.

    Attributes:
        model: name of the predictions.
        split: name of the films.
        called_at: rating from which on a reader calls a finding positive.
        margin: how much worse than the mean reader still counts as no worse.
        resamples, seed: of the intervals.
        provenance: hashes.
        notes: what the user should know, a line each.
    """

    model: str
    split: str
    called_at: float = 0.5
    margin: float = MARGIN
    resamples: int = 1000
    seed: int = 0
    provenance: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def study_readers(
    probabilities: Probabilities,
    cohort: Cohort,
    readers: Sequence[Readings],
    request: StudyRequest,
    aided: Sequence[Readings] = (),
) -> ReaderStudy:
    """Measure every reader and the model on the same cases, finding by finding.

    Args:
        probabilities: (N, L) of the model.
        cohort: the N films with their truth; its labels are those of the readings.
        readers: ratings of each reader.
        request: names and choices.
        aided: ratings of the same readers with the model's help; none where there are none.

    Raises:
        DatasetError: when no finding has a reader and both classes of truth.
    """
    rng = np.random.default_rng(request.seed)
    patients = cohort.patients()
    weights = np.concatenate(list(patient_resamples(patients, request.resamples, rng)))
    states = cohort.states()
    found: dict[str, FindingReaders] = {}
    skipped: list[str] = []
    for finding in probabilities.labels:
        rows, truth = labeled(states[:, cohort.labels.index(finding)])
        labeled_cases = ReadCases(
            truth,
            probabilities.of(finding)[rows],
            _ratings(readers, finding, rows),
            patients[rows],
            weights[:, rows],
            request.called_at,
        )
        cases = labeled_cases.where(labeled_cases.read)
        if not cases.ratings or not cases.both_classes:
            skipped.append(finding)
            continue
        found[finding] = _finding(cases, request.margin)
        if again := _ratings(aided, finding, rows):
            second = replace(labeled_cases, ratings=again)
            tests = aided_tests(labeled_cases, second, request.margin)
            found[finding] = found[finding].model_copy(update={"aided": tests})
    if not found:
        raise DatasetError(
            "a reader study needs a finding with readings and with positive and negative truth; "
            f"none of {', '.join(probabilities.labels)} has all three"
        )
    left = (f"without readings, or without both classes: {', '.join(skipped)}",) if skipped else ()
    return ReaderStudy(
        model=request.model,
        split=SplitFacts.of(request.split, cohort),
        readers=tuple(one.reader for one in readers),
        aided=tuple(one.reader for one in aided),
        called_at=request.called_at,
        findings=found,
        interval="95 % percentile intervals, patients resampled, paired by case; AUROC by DeLong",
        resamples=request.resamples,
        seed=request.seed,
        provenance=dict(request.provenance),
        notes=(*request.notes, *left),
    )


def _ratings(
    readers: Sequence[Readings], finding: str, rows: NDArray[np.intp]
) -> dict[str, NDArray[np.float64]]:
    """Return the ratings of some films by each reader who read any."""
    own = {one.reader: one.of(finding)[rows] for one in readers}
    return {name: ratings for name, ratings in own.items() if not np.isnan(ratings).all()}


def _finding(cases: ReadCases, margin: float) -> FindingReaders:
    numbers = {name: _reader(cases, name) for name in cases.ratings}
    places = [one.place for one in numbers.values()]
    return FindingReaders(
        n=len(cases.truth),
        positives=int(cases.truth.sum()),
        readers=numbers,
        above=places.count(Place.ABOVE),
        on=places.count(Place.ON),
        below=places.count(Place.BELOW),
        kappas=tuple(_kappas(cases)),
        majority=tuple(_majorities(cases)),
        sensitivity_test=sensitivity_test(cases, margin),
        auroc_test=auroc_test(cases, margin),
    )


def _reader(every: ReadCases, name: str) -> ReaderNumbers:
    read = ~np.isnan(every.ratings[name])
    cases = every.where(read)
    calls = cases.calls(name)
    model, difference = _paired(cases, name)
    ratings = cases.ratings[name]
    aurocs = delong(cases.truth, np.stack((ratings, cases.scores)), cases.patients)
    auroc = Interval(value=None, reason="decisions, not ratings")
    if are_ratings(ratings):
        auroc = delong_interval(aurocs, 0)
    return ReaderNumbers(
        n=len(calls),
        positives=int(cases.truth.sum()),
        patients=len(np.unique(cases.patients)),
        skipped=int((~read).sum()),
        sensitivity=rate(cases, calls, cases.truth),
        specificity=rate(cases, ~calls, ~cases.truth),
        model_sensitivity=model,
        difference=difference,
        place=_place(difference),
        auroc=auroc,
        model_auroc=delong_interval(aurocs, 1),
    )


def _paired(cases: ReadCases, name: str) -> tuple[Interval, Interval]:
    """Return the model's sensitivity at a reader's specificity, and reader less model."""
    if not cases.both_classes:
        none = Interval(value=None, reason=ABSENT)
        return none, none
    own = gaps(cases, name, np.ones((1, len(cases.truth)), np.int32))
    drawn = gaps(cases, name, cases.weights)
    model = interval(float(own[0][0]), drawn[0], ABSENT)
    return model, interval(float(own[1][0]), drawn[1], ABSENT, bounded=False)


def _place(difference: Interval) -> Place:
    if difference.low is None or difference.high is None:
        return Place.UNKNOWN
    if difference.low > 0.0:
        return Place.ABOVE
    return Place.BELOW if difference.high < 0.0 else Place.ON


def _kappas(cases: ReadCases) -> list[Kappa]:
    """Return the agreement of each two readers, and of each reader with the model."""
    found: list[Kappa] = []
    for first, second in combinations(cases.ratings, 2):
        both = cases.where(~np.isnan(cases.ratings[first]) & ~np.isnan(cases.ratings[second]))
        kappa = _kappa(both.calls(first), both.calls(second))
        found.append(Kappa(first=first, second=second, kappa=kappa, n=len(both.truth)))
    for name in cases.ratings:
        own = cases.where(~np.isnan(cases.ratings[name]))
        kappa = _kappa(own.calls(name), _model_calls(own, name))
        found.append(Kappa(first=name, second=MODEL, kappa=kappa, n=len(own.truth)))
    return found


def _kappa(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float | None:
    kappa = float(cohen_kappa(one, other)[0])
    return None if math.isnan(kappa) else kappa


def _model_calls(cases: ReadCases, name: str) -> NDArray[np.bool_]:
    """Return the model's calls at the lowest threshold that spares as many as the reader does."""
    if cases.truth.all():
        return np.ones(len(cases.truth), np.bool_)
    negatives = np.sort(cases.scores[~cases.truth])
    spared = int((~cases.calls(name) & ~cases.truth).sum())
    if spared == 0:
        return np.ones(len(cases.truth), np.bool_)
    return cases.scores > negatives[spared - 1]


def _majorities(cases: ReadCases) -> list[MajorityWithout]:
    """Return the majority of all readers, and without each; a tie is no majority."""
    names = list(cases.ratings)
    leave = ["", *(names if len(names) > 2 else ())]
    found: list[MajorityWithout] = []
    for without in leave:
        own = [name for name in names if name != without]
        ratings = np.stack([cases.ratings[name] for name in own])
        read = (~np.isnan(ratings)).sum(axis=0)
        calls = (ratings >= cases.called_at).sum(axis=0) * 2 > read
        kept = cases.where(read > 0)
        majority = calls[read > 0]
        found.append(
            MajorityWithout(
                without=without,
                n=len(majority),
                sensitivity=rate(kept, majority, kept.truth),
                specificity=rate(kept, ~majority, ~kept.truth),
            )
        )
    return found
