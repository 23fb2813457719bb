"""Agreement of readers with each other and with the model, by finding, from their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.agreement import FindingAgreement, PairAgreement
from hilum.metrics.kappa import kappas_of_counts, pair_cells
from hilum.metrics.resampling import interval, mean_present, patient_resamples

__all__ = ["MODEL", "NOT_CALLED", "RESAMPLES", "agreement_on"]

MODEL = "model"
"""Name of the model beside readers."""
RESAMPLES = 2000
NOT_CALLED = -1
"""A film that a caller did not call, or called uncertain."""
_NO_KAPPA = "no kappa: no film was called by both, or both called every film alike"
_NO_PAIR = "no two readers called the same film, or all called every film alike"
_NO_MODEL = "no reader called a film that the model called, or all called every film alike"
_NOT_BOTH = "one of the two is missing"
_CELLS = ("both", "only_one", "only_other", "neither")


@dataclass(frozen=True, eq=False)
class _Table:
    """What two callers made of the films that both called.

    Attributes:
        one, other: their names.
        both: (N,) whether both called the film.
        cells: (N, 4) one of: both, only the first, only the second, neither; all 0 otherwise.
    """

    one: str
    other: str
    both: NDArray[np.bool_]
    cells: NDArray[np.float64]

    @classmethod
    def of(cls, names: tuple[str, str], one: NDArray[np.int8], other: NDArray[np.int8]) -> _Table:
        both = (one != NOT_CALLED) & (other != NOT_CALLED)
        return cls(*names, both, pair_cells(one == 1, other == 1) * both[:, None])


def agreement_on(
    calls: Mapping[str, Mapping[str, NDArray[np.int8]]],
    patients: NDArray[np.str_],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[FindingAgreement, ...]:
    """Return the agreement on each finding.

    Intervals are 95 % percentile intervals of a bootstrap over patients, the same resamples for
    every pair of every finding. With more than two readers the mean of all pairs' kappas stands
    for them (Light's kappa), since it needs no film that all have read.

    Args:
        calls: finding to caller to (N,) int8: 1 present, 0 absent, -1 not called. The model is the
            caller `MODEL`.
        patients: (N,) patient of each film.
        rng: source of randomness.
        resamples: draws of patients.

    Example:
        >>> both = {"R1": np.array([1, 1, 0, 0], np.int8), "R2": np.array([1, 0, 0, 0], np.int8)}
        >>> one, = agreement_on({"Mass": both}, np.array(list("abcd")), np.random.default_rng(0))
        >>> one.readers.value, one.pairs[0].films, one.model.value
        (0.5, 4, None)
    """
    tables = {
        finding: [
            _Table.of((one, other), of[one], of[other])
            for one, other in combinations(sorted(of, key=_model_last), 2)
        ]
        for finding, of in calls.items()
    }
    tables = {finding: own for finding, own in tables.items() if own}
    every = [table for own in tables.values() for table in own]
    if not every:
        return ()
    cells = np.concatenate([table.cells for table in every], axis=1)
    drawn = [
        (np.asarray(weights, np.float64) @ cells).reshape(len(weights), len(every), 4)
        for weights in patient_resamples(patients, resamples, rng)
    ]
    kappas = kappas_of_counts(np.concatenate(drawn)).T  # (tables, R)
    found: list[FindingAgreement] = []
    at = 0
    for finding, own in tables.items():
        found.append(_finding(finding, own, kappas[at : at + len(own)], patients))
        at += len(own)
    return tuple(found)


def _model_last(name: str) -> tuple[bool, int, str]:
    return name == MODEL, len(name), name


def _finding(
    finding: str,
    tables: Sequence[_Table],
    kappas: NDArray[np.float64],
    patients: NDArray[np.str_],
) -> FindingAgreement:
    """Return the agreement on one finding, of its tables and their (T, R) resampled kappas."""
    values = kappas_of_counts(np.array([table.cells.sum(axis=0) for table in tables]))
    with_model = np.array([MODEL in (table.one, table.other) for table in tables])
    means = {
        side: (mean_present(values[rows, None])[0], mean_present(kappas[rows]))
        for side, rows in ((False, ~with_model), (True, with_model))
    }
    pairs = [
        PairAgreement(
            one=table.one,
            other=table.other,
            films=int(table.both.sum()),
            patients=len(np.unique(patients[table.both])),
            **dict(zip(_CELLS, map(int, table.cells.sum(axis=0)), strict=True)),
            kappa=interval(value, resampled, _NO_KAPPA),
        )
        for table, value, resampled in zip(tables, values, kappas, strict=True)
        if table.both.any()
    ]
    (readers, drawn_readers), (model, drawn_model) = means[False], means[True]
    return FindingAgreement(
        finding=finding,
        films=int(np.any([table.both for table in tables], axis=0).sum()),
        readers=_mean(readers, drawn_readers, _NO_PAIR),
        model=_mean(model, drawn_model, _NO_MODEL),
        difference=interval(model - readers, drawn_model - drawn_readers, _NOT_BOTH, bounded=False),
        pairs=tuple(pairs),
    )


def _mean(value: float, resampled: NDArray[np.float64], absent: str) -> Interval:
    return interval(float(value), resampled, absent)
