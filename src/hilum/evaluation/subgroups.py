"""Sex, age, view and visit: numbers by group of films, and a baseline that sees no pixel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.evaluation import Subgroup, SubgroupFinding
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import AGES, FOLDS, Cohort, Record, age_band, patient_folds
from hilum.evaluation.entries import Entries
from hilum.evaluation.numbers import ScoredSplit
from hilum.metrics.delong import delong, influence
from hilum.metrics.delong import interval as delong_interval
from hilum.metrics.resampling import NORMAL_975, normal_interval

__all__ = [
    "FEWEST",
    "Metadata",
    "groups_of",
    "mean_auroc",
    "observed_expected",
    "ordered_groups",
    "subgroups",
    "within_views",
]

FEWEST = 20
"""Positive films that a finding must have in a subgroup, or its numbers would tell nothing."""

_UNKNOWN = "unknown"


def subgroups(cohort: Cohort, split: ScoredSplit) -> tuple[Subgroup, ...]:
    """Compute numbers for every group of sex, age band, view and visit; unknown groups last.

    Intervals are normal ones, from what each patient adds to the number (O/E on a log scale), and
    not resampled. Groups differ in more than their name: bedside films are of sicker patients, so
    a lower AUROC of AP films is no proof that the view is the reason.

    Args:
        cohort: the split's films.
        split: their labeled entries.
    """
    return tuple(
        _subgroup(attribute, group, np.array([g == group for g in groups]), split)
        for attribute, groups in groups_of(cohort.records)
        for group in ordered_groups(attribute, groups)
    )


def groups_of(records: Iterable[Record]) -> Iterator[tuple[str, list[str]]]:
    """Give each attribute with the group of each film."""
    every = list(records)
    yield "sex", [r.sex.value for r in every]
    yield "age", [_age_band(r.age_years) for r in every]
    yield "view", [r.view.value for r in every]
    yield "visit", [_visit(r.follow_up) for r in every]


def _age_band(age_years: float | None) -> str:
    return _UNKNOWN if age_years is None else age_band(age_years)


def _visit(follow_up: int | None) -> str:
    if follow_up is None:
        return _UNKNOWN
    return "follow-up" if follow_up else "first"


def ordered_groups(attribute: str, groups: list[str]) -> list[str]:
    """Return the groups that have films, in a fixed order; unknown last."""
    order = {
        "sex": [sex.value for sex in Sex],
        "age": [name for _, name in AGES],
        "view": [view.value for view in ViewPosition],
        "visit": ["first", "follow-up"],
    }[attribute]
    names = [name for name in order if name != _UNKNOWN]
    return [name for name in (*names, _UNKNOWN) if name in set(groups)]


def _subgroup(attribute: str, group: str, films: NDArray[np.bool_], split: ScoredSplit) -> Subgroup:
    entries = {name: of.where(films) for name, of in split.entries.items()}
    known = group != _UNKNOWN
    counted = [e for e in entries.values() if e.both_classes and e.positives.sum() >= FEWEST]
    absent = f"no finding has {FEWEST} positive films and a negative one"
    area = mean_auroc(counted, absent) if known else _none(f"{attribute} is not known")
    return Subgroup(
        attribute=attribute,
        group=group,
        images=int(films.sum()),
        patients=len(np.unique(split.patients[films])),
        auroc=area,
        findings_counted=len(counted) if known else 0,
        findings={name: _finding(name, of, split) for name, of in entries.items()} if known else {},
    )


def _finding(name: str, entries: Entries, split: ScoredSplit) -> SubgroupFinding:
    positives = int(entries.positives.sum())
    found = {
        "n": len(entries.films),
        "positives": positives,
        "positive_patients": len(np.unique(entries.patients[entries.positives])),
    }
    if positives < FEWEST:
        few = _none(f"fewer than {FEWEST} positive films")
        return SubgroupFinding(**found, auroc=few, o_e=few, sensitivity=few, specificity=few)
    y, p = entries.positives, entries.probabilities
    point = split.first_points.get(name)
    if point is None or point.threshold is None:
        sensitivity = specificity = _none(point.reason if point else "no operating point")
    else:
        called = p >= split.cut(point, entries)
        sensitivity = _share(entries, called & y, y, "no film is positive")
        specificity = _share(entries, ~called & ~y, ~y, "no film is negative")
    return SubgroupFinding(
        **found,
        auroc=delong_interval(delong(y, p[None], entries.patients), 0),
        o_e=observed_expected(entries),
        sensitivity=sensitivity,
        specificity=specificity,
    )


def within_views(cohort: Cohort, entries: Entries) -> dict[str, Interval]:
    """Compute the AUROC among films of one view, for each known view that has films.

    A model that reads the view position, and through it how ill the patient is, loses here what it
    won by it.

    Args:
        cohort: the split's films.
        entries: one finding's.
    """
    views = np.array([record.view.value for record in cohort.records])
    there = [view.value for view in ViewPosition if view is not ViewPosition.UNKNOWN]
    areas: dict[str, Interval] = {}
    for view in there:
        if (views == view).any():
            own = entries.where(views == view)
            area = delong(own.positives, own.probabilities[None], own.patients)
            areas[view] = delong_interval(area, 0)
    return areas


def mean_auroc(findings: list[Entries], absent: str) -> Interval:
    """Compute the mean AUROC over findings of the same films; its interval is by patient.

    What a patient adds to the mean is the mean of what it adds to each AUROC, so that findings
    which come together in a patient do not count as independent.

    Args:
        findings: each with positive and negative films.
        absent: why there may be none.
    """
    if not findings:
        return _none(absent)
    people = 1 + max(int(e.patients.max()) for e in findings)
    total, areas, present = np.zeros(people), 0.0, np.zeros(people, bool)
    for entries in findings:
        area, films = influence(entries.positives, entries.probabilities)
        areas += area / len(findings)
        total += np.bincount(entries.patients, films / len(findings), people)
        present[entries.patients] = True
    half = _half_width(total, int(present.sum()))
    if half is None:
        return Interval(value=areas, reason="no interval: all films are of one patient")
    return normal_interval(areas, half)


def _share(
    entries: Entries, part: NDArray[np.bool_], whole: NDArray[np.bool_], absent: str
) -> Interval:
    """Compute a share of films with its interval, normal on its own scale, clipped to [0, 1]."""
    value, half = _ratio(entries, part.astype(np.float64), whole.astype(np.float64))
    if value is None:
        return _none(absent)
    if half is None:
        return Interval(value=value, reason="no interval: all films are of one patient")
    return normal_interval(value, half)


_LARGEST = 1e6
"""Observed / expected beyond which only the reason is reported: next to nothing was expected."""


def observed_expected(entries: Entries) -> Interval:
    """Compute observed / expected positives; the interval is symmetric on a log scale."""
    positives = entries.positives.astype(np.float64)
    if float(positives.sum()) > _LARGEST * float(entries.probabilities.sum()) > 0.0:
        # as of logits that nobody calibrated, whose sigmoid is 1e-300: its square is 0
        return _none(
            f"fewer positive films are expected than 1 / {_LARGEST:.0e} of those there are"
        )
    value, half = _ratio(entries, positives, entries.probabilities)
    if not value:
        return _none("every probability is 0")
    if half is None:
        return Interval(value=value, reason="no interval: all films are of one patient")
    factor = math.exp(half / value)
    return Interval(value=value, low=value / factor, high=value * factor)


def _ratio(
    entries: Entries, part: NDArray[np.float64], whole: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """Return `sum part / sum whole` and the half width of its interval, clustered by patient."""
    total = float(whole.sum())
    if total <= 0.0:
        return None, None
    value = float(part.sum()) / total
    added = np.bincount(entries.patients, (part - value * whole) / total).astype(np.float64)
    return value, _half_width(added, len(np.unique(entries.patients)))


def _half_width(added: NDArray[np.float64], patients: int) -> float | None:
    """Return 1.96 standard errors of a sum over patients; None for one patient."""
    if patients < 2:
        return None
    return NORMAL_975 * math.sqrt(patients / (patients - 1) * float((added**2).sum()))


def _none(reason: str) -> Interval:
    return Interval(value=None, reason=reason)


@dataclass(frozen=True, eq=False)
class Metadata:
    """The films' metadata as numbers, and the fold of each film's patient.

    All films of a patient are in one fold, and so are scored by a model that never saw the patient.

    Attributes:
        known: what differs between films, in words.
        columns: (N, k) the same in numbers.
        folds: (N,) from 0 to FOLDS - 1.
    """

    known: tuple[str, ...]
    columns: NDArray[np.float64]
    folds: NDArray[np.intp]

    @classmethod
    def of(cls, cohort: Cohort, patients: NDArray[np.str_], seed: int) -> Metadata:
        """Read the metadata.

        Args:
            cohort: the split's films, one at least.
            patients: (N,) patient of each film.
            seed: of the folds.
        """
        # what is the same for every film tells nothing
        varied = {n: x[:, (x != x[0]).any(axis=0)] for n, x in _columns(cohort.records).items()}
        known = tuple(name for name, x in varied.items() if x.shape[1])
        people = len(np.unique(patients))
        folds = patient_folds(patients.tolist(), min(FOLDS, people), seed) if people > 1 else None
        return cls(
            known,
            np.concatenate(list(varied.values()), axis=1),
            np.zeros(len(patients), np.intp) if folds is None else folds,
        )

    @property
    def features(self) -> str:
        """Metadata that is known of the films, and how it was used, in words."""
        if not self.known:
            return "none: view, sex, age and follow-up number are unknown, or the same for all"
        return (
            f"{', '.join(self.known)}; logistic regression on the evaluated films, "
            f"cross-fitted over {FOLDS} folds of patients"
        )

    def scored(self, entries: Entries) -> Entries | str:
        """Return the same entries scored by the metadata, or the reason why they cannot be.

        Args:
            entries: one finding's.

        Returns:
            Entries with the metadata's scores as probabilities; only their order counts.
        """
        if not entries.both_classes:
            return entries.missing
        if not self.known:
            return "view, sex, age and follow-up number are unknown, or the same for all films"
        x, folds, y = self.columns[entries.films], self.folds[entries.films], entries.positives
        scores = np.zeros(len(y))
        for fold in np.unique(folds):
            held = folds == fold
            if y[~held].all() or not y[~held].any():
                return "too few patients with or without the finding to learn from"
            scores[held] = _scores(x[~held], y[~held], x[held])
        return Entries(entries.films, entries.patients, y, scores, entries.constants)


def _columns(records: Iterable[Record]) -> dict[str, NDArray[np.float64]]:
    """Return (N, k) numbers of each kind of metadata; unknown values have their own column."""
    every = list(records)
    views = np.array([[r.view is view for view in ViewPosition] for r in every], float)
    sexes = np.array([[r.sex is sex for sex in Sex] for r in every], float)
    ages = np.array([np.nan if r.age_years is None else r.age_years for r in every])
    decades = (ages - 50.0) / 20.0
    visits = np.array([np.nan if r.follow_up is None else r.follow_up for r in every])
    return {
        "view": views,
        "sex": sexes,
        # the square, since the very young and the very old may resemble each other
        "age": _filled(decades, decades**2),
        "follow-up number": _filled(np.log1p(visits)),
    }


def _filled(*columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the columns with 0 where unknown, and a last column that says where."""
    return np.column_stack([*(np.nan_to_num(x) for x in columns), np.isnan(columns[0])])


def _scores(
    x: NDArray[np.float64], y: NDArray[np.bool_], films: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return scores of films with patients that were not fitted on.

    Without the intercept: it is higher where fewer of the films left out are positive, and would
    rank whole folds the wrong way round.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="newton-cholesky").fit(x, y)
    scores = np.einsum("nk,k->n", films - x.mean(axis=0), model.coef_[0])
    # films with the same metadata must tie on any machine, whatever the order of its sums
    return np.round(scores, 10)
