"""Readers who read the same cases twice, the second time otherwise: with the model's help."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.readers import AidedTest, UStatistics
from hilum.evaluation.panel import TOO_MANY, are_ratings, too_many, u_statistics
from hilum.evaluation.read_cases import ABSENT, ReadCases
from hilum.metrics.delong import delong
from hilum.metrics.mrmc import obuchowski_rockette, panel_size
from hilum.metrics.ustatistics import auroc_kernel

__all__ = ["aided_tests"]

_Numbers = NDArray[np.float64]
_FEW = "two readers or more must have read the same cases both ways"


@dataclass(frozen=True, eq=False)
class _Twice:
    """Readings of the same readers and cases, both ways.

    Attributes:
        cases: with truth and patients.
        values: (2, R, n) ratings, or calls of 0 and 1; NaN where there is none.
    """

    cases: ReadCases
    values: _Numbers

    @cached_property
    def complete(self) -> NDArray[np.bool_]:
        """(n,) cases that every reader read both ways."""
        return np.asarray(~np.isnan(self.values).any(axis=(0, 1)), np.bool_)

    @property
    def gap(self) -> _Numbers:
        """(R, n) second less first."""
        return self.values[1] - self.values[0]


def aided_tests(first: ReadCases, second: ReadCases, margin: float) -> tuple[AidedTest, ...]:
    """Compare readers with themselves: AUROC of ratings, sensitivity and specificity of calls.

    Obuchowski and Rockette's test on the cases that all read both ways, the covariance over cases
    by patient; U-statistics on every case that any reader read both ways.

    Args:
        first: cases and readings without help.
        second: the same cases, with the second readings; readers are matched by name.
        margin: how much worse still counts as no worse.
    """
    names = [name for name in first.ratings if name in second.ratings]
    ratings = np.array(
        [[one.ratings[name] for name in names] for one in (first, second)], np.float64
    ).reshape(2, len(names), len(first.truth))
    unread = np.isnan(ratings).any(axis=0)
    ratings = np.where(unread, np.nan, ratings)
    calls = np.where(unread, np.nan, ratings >= first.called_at)
    truth = first.truth
    return (
        _auroc(_Twice(first, ratings), margin),
        _share("sensitivity", _Twice(first.where(truth), calls[:, :, truth]), margin),
        _share("specificity", _Twice(first.where(~truth), 1.0 - calls[:, :, ~truth]), margin),
    )


def _auroc(twice: _Twice, margin: float) -> AidedTest:
    what, kept, truth = "AUROC", twice.complete, twice.cases.truth
    readers = twice.values.shape[1]
    rated = all(are_ratings(row) for row in twice.values.reshape(-1, len(truth)))
    if not rated:
        return _untested(what, twice, "readers gave decisions, not ratings")
    if readers < 2:
        return _untested(what, twice, _FEW)
    rows = twice.values[:, :, kept].reshape(2 * readers, -1)
    found = delong(truth[kept], rows, twice.cases.patients[kept])
    if np.isnan(found.covariance).any():
        return _untested(what, twice, found.reason or ABSENT)
    if too_many(truth, readers):
        return _tested(what, twice, (found.values, found.covariance), None, margin)
    first, second = (auroc_kernel(truth, one) for one in twice.values)
    return _tested(what, twice, (found.values, found.covariance), second - first, margin)


def _share(what: str, twice: _Twice, margin: float) -> AidedTest:
    """Compare shares of one class: of positive cases that are called, or of negative not called."""
    readers, kept = twice.values.shape[1], twice.complete
    patients = twice.cases.patients[kept]
    if readers < 2:
        return _untested(what, twice, _FEW)
    if len(np.unique(patients)) < 2:
        return _untested(what, twice, "fewer than two patients of the class were read by all")
    rows = twice.values[:, :, kept].reshape(2 * readers, -1)
    values = rows.mean(axis=1)
    return _tested(what, twice, (values, _covariance(rows, patients)), twice.gap, margin)


def _covariance(rows: _Numbers, patients: NDArray[np.str_]) -> _Numbers:
    """Return (M, M) covariance of the rows' means, cases clustered by patient."""
    ids, code = np.unique(patients, return_inverse=True)
    apart = rows - rows.mean(axis=1, keepdims=True)
    sums = np.array([np.bincount(code, row, minlength=len(ids)) for row in apart])
    return len(ids) / (len(ids) - 1) * (sums @ sums.T) / rows.shape[1] ** 2


def _untested(what: str, twice: _Twice, reason: str) -> AidedTest:
    return AidedTest(
        what=what,
        readers=twice.values.shape[1],
        n=int(twice.complete.sum()),
        difference=None,
        reason=reason,
    )


def _tested(
    what: str,
    twice: _Twice,
    measured: tuple[_Numbers, _Numbers],
    terms: _Numbers | None,
    margin: float,
) -> AidedTest:
    """Test second less first.

    Args:
        what: the number, in words.
        twice: both readings.
        measured: (2 R,) values, first then second, and (2 R, 2 R) their covariance over cases.
        terms: differences for U-statistics; None where they are too many.
        margin: how much worse counts as no worse.
    """
    values, c = measured
    readers, n = twice.values.shape[1], int(twice.complete.sum())
    both = values.reshape(2, readers)
    found = obuchowski_rockette(both, c)
    fixed = obuchowski_rockette(both, c, fixed_readers=True)
    lost = both[0] - both[1]
    k = readers
    covariance = c[:k, :k] + c[k:, k:] - c[:k, k:] - c[k:, :k]
    no_worse = None if found.low is None else found.low > -margin
    better = None if found.low is None else found.low > 0.0
    held = None if no_worse else panel_size(lost, covariance, n, margin)
    shown = None if better else panel_size(lost, covariance, n, None)
    return AidedTest(
        what=what,
        readers=readers,
        n=n,
        first=float(both[0].mean()),
        second=float(both[1].mean()),
        difference=found.difference,
        low=found.low,
        high=found.high,
        df=None if math.isinf(found.df) else found.df,
        p=found.p,
        fixed_low=fixed.low,
        fixed_high=fixed.high,
        fixed_p=fixed.p,
        margin=margin,
        no_worse=no_worse,
        better=better,
        readers_needed=None if held is None else held.readers,
        cases_needed=None if held is None else held.cases,
        better_readers_needed=None if shown is None else shown.readers,
        better_cases_needed=None if shown is None else shown.cases,
        u_statistics=(
            UStatistics(reason=TOO_MANY)
            if terms is None
            else u_statistics(terms, twice.cases.patients)
        ),
    )
