"""A model beside readers of the same cases: paired, with intervals by patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.readers import (
    FindingReaders,
    Kappa,
    MajorityWithout,
    PanelTest,
    Place,
    ReaderNumbers,
    ReaderStudy,
)
from hilum.domain.errors import DatasetError
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.evaluation.agreement import MODEL
from hilum.metrics.delong import delong
from hilum.metrics.delong import interval as delong_interval
from hilum.metrics.kappa import cohen_kappa
from hilum.metrics.mrmc import against_one, panel_size
from hilum.metrics.ranking import Ranking
from hilum.metrics.resampling import interval, patient_resamples, share
from hilum.predictions.readers import Readings

__all__ = ["MARGIN", "StudyRequest", "study_readers"]

_SLACK = 1e-12
_ABSENT = "a class is absent among these cases"
_SENSITIVITY = "sensitivity at each reader's own specificity, reader less model"
_AUROC = "AUROC of ratings, reader less model"
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


@dataclass(frozen=True, eq=False)
class _Cases:
    """Labeled films of one finding, with what the model and the readers say of them.

    Attributes:
        truth: (n,) whether positive.
        scores: (n,) of the model.
        ratings: reader to (n,) ratings, NaN where skipped.
        patients: (n,).
        weights: (R, n) of the resamples.
        called_at: rating from which on it is a call.
    """

    truth: NDArray[np.bool_]
    scores: NDArray[np.float64]
    ratings: dict[str, NDArray[np.float64]]
    patients: NDArray[np.str_]
    weights: NDArray[np.int32]
    called_at: float

    def where(self, kept: NDArray[np.bool_]) -> _Cases:
        return _Cases(
            self.truth[kept],
            self.scores[kept],
            {name: own[kept] for name, own in self.ratings.items()},
            self.patients[kept],
            self.weights[:, kept],
            self.called_at,
        )

    def calls(self, reader: str) -> NDArray[np.bool_]:
        return self.ratings[reader] >= self.called_at

    @property
    def complete(self) -> _Cases:
        """The cases that all readers read."""
        read = [~np.isnan(own) for own in self.ratings.values()]
        return self.where(np.logical_and.reduce(read))

    @property
    def both_classes(self) -> bool:
        return bool(self.truth.any() and not self.truth.all())


def study_readers(
    probabilities: Probabilities,
    cohort: Cohort,
    readers: Sequence[Readings],
    request: StudyRequest,
) -> ReaderStudy:
    """Measure every reader and the model on the same cases, finding by finding.

    Args:
        probabilities: (N, L) of the model.
        cohort: the N films with their truth; its labels are those of the readings.
        readers: ratings of each reader.
        request: names and choices.

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
        ratings = {one.reader: one.of(finding)[rows] for one in readers}
        ratings = {name: own for name, own in ratings.items() if not np.isnan(own).all()}
        cases = _Cases(
            truth,
            probabilities.of(finding)[rows],
            ratings,
            patients[rows],
            weights[:, rows],
            request.called_at,
        )
        if ratings:
            cases = cases.where(~np.logical_and.reduce([np.isnan(r) for r in ratings.values()]))
        if not ratings or not cases.both_classes:
            skipped.append(finding)
            continue
        found[finding] = _finding(cases, request.margin)
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
        called_at=request.called_at,
        findings=found,
        interval="95 % percentile intervals, patients resampled, paired by case; AUROC by DeLong",
        resamples=request.resamples,
        seed=request.seed,
        provenance=dict(request.provenance),
        notes=(*request.notes, *left),
    )


def _finding(cases: _Cases, margin: float) -> FindingReaders:
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
        sensitivity_test=_sensitivity_test(cases, margin),
        auroc_test=_auroc_test(cases, margin),
    )


def _reader(every: _Cases, name: str) -> ReaderNumbers:
    read = ~np.isnan(every.ratings[name])
    cases = every.where(read)
    calls = cases.calls(name)
    model, difference = _paired(cases, name)
    ratings = cases.ratings[name]
    aurocs = delong(cases.truth, np.stack((ratings, cases.scores)), cases.patients)
    auroc = Interval(value=None, reason="decisions, not ratings")
    if _are_ratings(ratings):
        auroc = delong_interval(aurocs, 0)
    return ReaderNumbers(
        n=len(calls),
        positives=int(cases.truth.sum()),
        patients=len(np.unique(cases.patients)),
        skipped=int((~read).sum()),
        sensitivity=_rate(cases, calls, cases.truth),
        specificity=_rate(cases, ~calls, ~cases.truth),
        model_sensitivity=model,
        difference=difference,
        place=_place(difference),
        auroc=auroc,
        model_auroc=delong_interval(aurocs, 1),
    )


def _rate(cases: _Cases, part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Interval:
    if not whole.any():
        return Interval(value=None, reason=_ABSENT)
    resampled = _resampled(cases.weights, part & whole, whole)
    return interval(float((part & whole).sum() / whole.sum()), resampled, _ABSENT)


def _resampled(
    weights: NDArray[np.int32], part: NDArray[np.bool_], whole: NDArray[np.bool_]
) -> NDArray[np.float64]:
    sums = weights.astype(np.float64) @ np.column_stack((part, whole)).astype(np.float64)
    return share(sums[:, 0], sums[:, 1])


def _paired(cases: _Cases, name: str) -> tuple[Interval, Interval]:
    """Return the model's sensitivity at a reader's specificity, and reader less model."""
    if not cases.both_classes:
        none = Interval(value=None, reason=_ABSENT)
        return none, none
    own = _gaps(cases, name, np.ones((1, len(cases.truth)), np.int32))
    drawn = _gaps(cases, name, cases.weights)
    model = interval(float(own[0][0]), drawn[0], _ABSENT)
    return model, interval(float(own[1][0]), drawn[1], _ABSENT, bounded=False)


def _gaps(
    cases: _Cases, name: str, weights: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (R,) sensitivities of the model at the reader's specificity, and reader less model."""
    calls = cases.calls(name)
    sensitivity = _resampled(weights, calls & cases.truth, cases.truth)
    specificity = _resampled(weights, ~calls & ~cases.truth, ~cases.truth)
    counts = Ranking.of(cases.truth, cases.scores).counts(weights)
    model = counts.sensitivity_at(specificity[:, None] - _SLACK)
    return model, sensitivity - model


def _place(difference: Interval) -> Place:
    if difference.low is None or difference.high is None:
        return Place.UNKNOWN
    if difference.low > 0.0:
        return Place.ABOVE
    return Place.BELOW if difference.high < 0.0 else Place.ON


def _kappas(cases: _Cases) -> list[Kappa]:
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


def _model_calls(cases: _Cases, name: str) -> NDArray[np.bool_]:
    """Return the model's calls at the lowest threshold that spares as many as the reader does."""
    if cases.truth.all():
        return np.ones(len(cases.truth), np.bool_)
    negatives = np.sort(cases.scores[~cases.truth])
    spared = int((~cases.calls(name) & ~cases.truth).sum())
    if spared == 0:
        return np.ones(len(cases.truth), np.bool_)
    return cases.scores > negatives[spared - 1]


def _majorities(cases: _Cases) -> list[MajorityWithout]:
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
                sensitivity=_rate(kept, majority, kept.truth),
                specificity=_rate(kept, ~majority, ~kept.truth),
            )
        )
    return found


def _sensitivity_test(every: _Cases, margin: float) -> PanelTest:
    cases = every.complete
    if why := _untestable(cases):
        return _untested(_SENSITIVITY, cases, why)
    one = np.ones((1, len(cases.truth)), np.int32)
    own = np.array([_gaps(cases, name, one)[1][0] for name in cases.ratings])
    drawn = np.stack([_gaps(cases, name, cases.weights)[1] for name in cases.ratings])
    valid = ~np.isnan(drawn).any(axis=0)
    return _tested(_SENSITIVITY, cases, (own, np.cov(drawn[:, valid])), margin)


def _auroc_test(every: _Cases, margin: float) -> PanelTest:
    if not all(map(_are_ratings, every.ratings.values())):
        return _untested(_AUROC, every, "readers gave decisions, not ratings")
    cases = every.complete
    if why := _untestable(cases):
        return _untested(_AUROC, cases, why)
    scores = np.stack([*cases.ratings.values(), cases.scores])
    found = delong(cases.truth, scores, cases.patients)
    if np.isnan(found.covariance).any():
        return _untested(_AUROC, cases, found.reason)
    c = found.covariance
    gaps = c[:-1, :-1] - c[:-1, -1:] - c[-1:, :-1] + c[-1, -1]
    return _tested(_AUROC, cases, (found.values[:-1] - found.values[-1], gaps), margin)


def _are_ratings(values: NDArray[np.float64]) -> bool:
    """Return whether a reader gave more than decisions of 0 and 1."""
    return not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all()


def _untestable(cases: _Cases) -> str:
    if len(cases.ratings) < 2:
        return "two readers or more are needed to speak of readers at large"
    return "" if cases.both_classes else "the cases that all readers read lack a class"


def _untested(what: str, cases: _Cases, reason: str) -> PanelTest:
    count = len(cases.ratings)
    return PanelTest(what=what, readers=count, n=len(cases.truth), difference=None, reason=reason)


def _tested(
    what: str,
    cases: _Cases,
    measured: tuple[NDArray[np.float64], NDArray[np.float64]],
    margin: float,
) -> PanelTest:
    """Test the mean reader less the model.

    Args:
        what: the number, in words.
        cases: that all readers read.
        measured: (R,) differences and (R, R) their covariance over cases.
        margin: how much worse counts as no worse.
    """
    found, n = against_one(*measured), len(cases.truth)
    no_worse = None if found.high is None else found.high < margin
    size = None if no_worse else panel_size(*measured, n, margin)
    return PanelTest(
        what=what,
        readers=len(cases.ratings),
        n=n,
        difference=found.difference,
        low=found.low,
        high=found.high,
        df=None if math.isinf(found.df) else found.df,
        p=found.p,
        margin=margin,
        no_worse=no_worse,
        better=None if found.high is None else found.high < 0.0,
        readers_needed=None if size is None else size.readers,
        cases_needed=None if size is None else size.cases,
    )
