"""Tests of a panel: the mean reader less the model, readers and cases random."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.readers import PanelTest, UStatistics
from hilum.evaluation.read_cases import ReadCases, gaps
from hilum.metrics.delong import delong
from hilum.metrics.mrmc import against_one, panel_size
from hilum.metrics.ustatistics import auroc_kernel, u_test

__all__ = [
    "TOO_MANY",
    "are_ratings",
    "auroc_test",
    "sensitivity_test",
    "too_many",
    "u_statistics",
]

_SENSITIVITY = "sensitivity at each reader's own specificity, reader less model"
_AUROC = "AUROC of ratings, reader less model"


def sensitivity_test(every: ReadCases, margin: float) -> PanelTest:
    """Test the mean of readers' sensitivities less the model's at their own specificities.

    The covariance over cases is that of resamples by patient.
    """
    cases = every.complete
    if why := _untestable(cases):
        return _untested(_SENSITIVITY, cases, why)
    one = np.ones((1, len(cases.truth)), np.int32)
    own = np.array([gaps(cases, name, one)[1][0] for name in cases.ratings])
    drawn = np.stack([gaps(cases, name, cases.weights)[1] for name in cases.ratings])
    valid = ~np.isnan(drawn).any(axis=0)
    return _tested(_SENSITIVITY, cases, (own, np.cov(drawn[:, valid])), margin)


def auroc_test(every: ReadCases, margin: float) -> PanelTest:
    """Test the mean of readers' AUROCs less the model's, by DeLong's covariance by patient.

    U-statistics stand beside it, over every case that any reader read.
    """
    if not all(map(are_ratings, every.ratings.values())):
        return _untested(_AUROC, every, "readers gave decisions, not ratings")
    cases = every.complete
    if why := _untestable(cases):
        return _untested(_AUROC, cases, why)
    scores = np.stack([*cases.ratings.values(), cases.scores])
    found = delong(cases.truth, scores, cases.patients)
    if np.isnan(found.covariance).any():
        return _untested(_AUROC, cases, found.reason)
    c = found.covariance
    apart = c[:-1, :-1] - c[:-1, -1:] - c[-1:, :-1] + c[-1, -1]
    return _tested(_AUROC, cases, (found.values[:-1] - found.values[-1], apart), margin).model_copy(
        update={"u_statistics": _against_model(every)}
    )


def _against_model(cases: ReadCases) -> UStatistics:
    ratings = np.stack(list(cases.ratings.values()))
    if too_many(cases.truth, len(ratings)):
        return UStatistics(reason=TOO_MANY)
    terms = auroc_kernel(cases.truth, ratings) - auroc_kernel(cases.truth, cases.scores[None])
    return u_statistics(terms, cases.patients)


TOO_MANY = "too many pairs of cases for U-statistics"
_MOST_TERMS = 20_000_000


def too_many(truth: NDArray[np.bool_], readers: int) -> bool:
    """Return whether the pairs of cases of all readers would not fit into memory at ease."""
    return readers * int(truth.sum()) * int((~truth).sum()) > _MOST_TERMS


def u_statistics(terms: NDArray[np.float64], patients: NDArray[np.str_]) -> UStatistics:
    """Test a mean difference by U-statistics.

    Args:
        terms: differences, readers first, as for `u_test`; NaN where a reader did not read.
        patients: (n,) of all cases.
    """
    if len(np.unique(patients)) < len(patients):
        return UStatistics(
            reason="some patients have several cases; U-statistics take cases as independent"
        )
    present = ~np.isnan(terms)
    try:
        found = u_test(np.where(present, terms, 0.0), present)
    except ValueError:
        return UStatistics(reason="two readers and two cases of each class are needed")
    return UStatistics(
        difference=found.mean,
        standard_error=found.standard_error,
        low=found.low,
        high=found.high,
        df=None if math.isinf(found.df) else found.df,
        p=found.p,
        moments=found.moments.moments,
        reason="" if found.p is not None else "the estimated variance is not above 0",
    )


def are_ratings(values: NDArray[np.float64]) -> bool:
    """Return whether a reader gave more than decisions of 0 and 1."""
    return not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all()


def _untestable(cases: ReadCases) -> str:
    if len(cases.ratings) < 2:
        return "two readers or more are needed to speak of readers at large"
    return "" if cases.both_classes else "the cases that all readers read lack a class"


def _untested(what: str, cases: ReadCases, reason: str) -> PanelTest:
    count = len(cases.ratings)
    return PanelTest(what=what, readers=count, n=len(cases.truth), difference=None, reason=reason)


def _tested(
    what: str,
    cases: ReadCases,
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
