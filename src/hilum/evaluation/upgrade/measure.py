"""Two bundles on the same films: calls that flip, and what that does against the labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.upgrade import (
    FindingChange,
    FindingFlips,
    FlipExample,
    GroupChange,
)
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.evaluation.entries import Entries
from hilum.evaluation.subgroups import FEWEST, groups_of, observed_expected, ordered_groups
from hilum.evaluation.upgrade.paired import (
    MeanChange,
    ShareChange,
    change_interval,
    no_interval,
    share_interval,
)
from hilum.metrics.delong import delong, influence
from hilum.metrics.delong import interval as delong_interval
from hilum.metrics.resampling import NORMAL_975

__all__ = [
    "INTERVALS",
    "PairedFilms",
    "Thresholds",
    "auroc_change",
    "counted_findings",
    "finding_changes",
    "flips",
    "group_changes",
    "group_films",
    "sensitivity_change",
    "specificity_change",
]

INTERVALS = (
    "95 % intervals by patient: shares and their paired changes are bounded exactly (binomial "
    "where a patient has one film, by betting on each patient's share where there are several; a "
    "change is two bounds, Bonferroni), AUROC and Brier score from what each patient adds to the "
    "change"
)
_EXAMPLES = 3
"""Films shown for each finding and way of flipping."""


@dataclass(frozen=True, eq=False)
class PairedFilms:
    """Films that two bundles scored.

    Attributes:
        cohort: the N films with the labels known of them; `labels` are the shared findings, and a
            film or finding without a label is unlabelled.
        old, new: (N, L) probabilities, in the order of the cohort's labels.
        old_calls, new_calls: (N, L) 1 positive, 0 negative, -1 not called.
        keys: (N,) hash of each film.
        pictures: preview of each film; empty where there is none.
    """

    cohort: Cohort
    old: Probabilities
    new: Probabilities
    old_calls: NDArray[np.int8]
    new_calls: NDArray[np.int8]
    keys: Sequence[str] = ()
    pictures: tuple[str, ...] = ()

    @property
    def called(self) -> NDArray[np.bool_]:
        """(N, L) whether both bundles call."""
        return (self.old_calls >= 0) & (self.new_calls >= 0)

    @property
    def flipped(self) -> NDArray[np.bool_]:
        """(N, L) whether both bundles call, and differ."""
        return self.called & (self.old_calls != self.new_calls)

    def patients(self) -> NDArray[np.intp]:
        """Return (N,) numbers of the films' patients."""
        return np.unique(self.cohort.patients(), return_inverse=True)[1]


Thresholds = Mapping[str, float | None]
"""Operating point by finding."""


def flips(
    films: PairedFilms, old: Thresholds | None = None, new: Thresholds | None = None
) -> dict[str, FindingFlips]:
    """Count the calls that flip, finding by finding, with the films that moved furthest.

    Args:
        films: scored by both.
        old: operating points of the old bundle, to be shown.
        new: those of the new one.
    """
    found: dict[str, FindingFlips] = {}
    patients, states = films.patients(), films.cohort.states()
    for column, name in enumerate(films.cohort.labels):
        both = films.called[:, column]
        one = (films.old_calls[:, column] >= 0) ^ (films.new_calls[:, column] >= 0)
        moved = films.flipped[:, column]
        gained = moved & (films.new_calls[:, column] == 1)
        found[name] = FindingFlips(
            films=int(both.sum()),
            uncalled=int(one.sum()),
            gained=int(gained.sum()),
            lost=int((moved & ~gained).sum()),
            share=share_interval(moved[both], patients[both]),
            threshold_old=(old or {}).get(name),
            threshold_new=(new or {}).get(name),
            examples=(
                *_examples(films, column, gained, states),
                *_examples(films, column, moved & ~gained, states),
            ),
        )
    return found


def _examples(
    films: PairedFilms, column: int, kind: NDArray[np.bool_], states: NDArray[np.int8]
) -> list[FlipExample]:
    old, new = films.old.values[:, column], films.new.values[:, column]
    rows = np.flatnonzero(kind)
    rows = rows[np.argsort(-np.abs(new - old)[rows], kind="stable")][:_EXAMPLES]
    return [
        FlipExample(
            image_id=films.cohort.records[row].image_id,
            old=float(old[row]),
            new=float(new[row]),
            gained=bool(films.new_calls[row, column] == 1),
            truth=None if states[row, column] not in (0, 1) else bool(states[row, column]),
            film=films.pictures[row] if films.pictures else "",
        )
        for row in rows
    ]


def auroc_change(
    films: PairedFilms, findings: Sequence[str], kept: NDArray[np.bool_] | None = None
) -> MeanChange | None:
    """Return the mean change of the AUROC over findings; None without two classes and patients.

    What a patient adds to the change is the difference of what it adds to the two AUROCs, so that
    films which are hard for both cancel out, and findings that come together do not count as
    independent.

    Args:
        films: scored by both.
        findings: each with positive and negative films.
        kept: (N,) films to count; None for all.
    """
    patients, states = films.patients(), films.cohort.states()
    total = np.zeros(int(patients.max(initial=-1)) + 1)
    value, present = 0.0, np.zeros(len(total), bool)
    for name in findings:
        rows, positive = _labeled(states[:, films.cohort.labels.index(name)], kept)
        if positive.all() or not positive.any():
            return None
        old, added_old = influence(positive, films.old.of(name)[rows])
        new, added_new = influence(positive, films.new.of(name)[rows])
        value += (new - old) / len(findings)
        added = (added_new - added_old) / len(findings)
        total += np.bincount(patients[rows], added, len(total))
        present[patients[rows]] = True
    people = int(present.sum())
    if not findings or people < 2:
        return None
    error = math.sqrt(people / (people - 1) * float((total**2).sum()))
    # two bundles that rank all films alike leave rounding errors
    return MeanChange(value, error) if error > 1e-12 else MeanChange(0.0, 0.0)


def _labeled(
    states: NDArray[np.int8], kept: NDArray[np.bool_] | None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    rows, positive = labeled(states)
    if kept is None:
        return rows, positive
    inside = kept[rows]
    return rows[inside], positive[inside]


def sensitivity_change(films: PairedFilms, finding: str) -> ShareChange | None:
    """Return the change of the share of films with a finding that are called, by patient."""
    return _call_change(films, finding, positive=True)


def specificity_change(films: PairedFilms, finding: str) -> ShareChange | None:
    """Return the change of the share of films without a finding that are not called."""
    return _call_change(films, finding, positive=False)


def _call_change(films: PairedFilms, finding: str, *, positive: bool) -> ShareChange | None:
    column = films.cohort.labels.index(finding)
    rows, truth = labeled(films.cohort.states()[:, column])
    rows = rows[(truth == positive) & films.called[rows, column]]
    if not len(rows):
        return None
    moved = films.flipped[rows, column]
    right = films.new_calls[rows, column] == int(positive)
    return ShareChange(moved & right, moved & ~right, films.patients()[rows])


def finding_changes(films: PairedFilms) -> dict[str, FindingChange]:
    """Measure each labeled finding's changes, the new bundle less the old one."""
    patients, states = films.patients(), films.cohort.states()
    found: dict[str, FindingChange] = {}
    for column, name in enumerate(films.cohort.labels):
        rows, positive = labeled(states[:, column])
        if len(rows):
            found[name] = _finding(films, name, (rows, positive), patients[rows])
    return found


def _finding(
    films: PairedFilms,
    name: str,
    truth: tuple[NDArray[np.intp], NDArray[np.bool_]],
    patients: NDArray[np.intp],
) -> FindingChange:
    rows, positive = truth
    old, new = films.old.of(name)[rows], films.new.of(name)[rows]
    areas = delong(positive, np.stack((old, new)), patients)
    change = auroc_change(films, (name,))
    sides = (sensitivity_change(films, name), specificity_change(films, name))
    empty = (
        no_interval("no film with the finding is called"),
        no_interval("no film without it is called"),
    )
    intervals = [
        reason if side is None else change_interval(side)
        for side, reason in zip(sides, empty, strict=True)
    ]
    counts = [
        (0, 0) if side is None else (int(side.up.sum()), int(side.down.sum())) for side in sides
    ]
    one = np.ones(len(rows))
    return FindingChange(
        n=len(rows),
        positives=int(positive.sum()),
        positive_patients=len(np.unique(patients[positive])),
        found=counts[0][0],
        missed=counts[0][1],
        sensitivity=intervals[0],
        cleared=counts[1][0],
        alarmed=counts[1][1],
        specificity=intervals[1],
        auroc_old=delong_interval(areas, 0),
        auroc_new=delong_interval(areas, 1),
        auroc=no_interval(areas.reason) if change is None else change_interval(change),
        brier=_brier(positive, old, new, patients),
        o_e_old=observed_expected(Entries(rows, patients, positive, old, one)),
        o_e_new=observed_expected(Entries(rows, patients, positive, new, one)),
    )


def _brier(
    positive: NDArray[np.bool_],
    old: NDArray[np.float64],
    new: NDArray[np.float64],
    patients: NDArray[np.intp],
) -> Interval:
    apart = (new - positive) ** 2 - (old - positive) ** 2
    value = float(apart.mean())
    people = len(np.unique(patients))
    if people < 2:
        return Interval(value=value, reason="no interval: all films are of one patient")
    added = np.bincount(patients, (apart - value) / len(apart))
    reach = NORMAL_975 * math.sqrt(people / (people - 1) * float((added**2).sum()))
    return Interval(value=value, low=value - reach, high=value + reach)


def counted_findings(films: PairedFilms, kept: NDArray[np.bool_] | None = None) -> tuple[str, ...]:
    """Return the findings with enough positive films, and a negative one, among some films."""
    states = films.cohort.states()
    found: list[str] = []
    for column, name in enumerate(films.cohort.labels):
        _, positive = _labeled(states[:, column], kept)
        if positive.sum() >= FEWEST and not positive.all():
            found.append(name)
    return tuple(found)


def group_films(films: PairedFilms) -> Mapping[tuple[str, str], NDArray[np.bool_]]:
    """Return which films each known group of sex, age, view and visit has."""
    return {
        (attribute, group): np.array([own == group for own in groups])
        for attribute, groups in groups_of(films.cohort.records)
        for group in ordered_groups(attribute, groups)
        if group != "unknown"
    }


def group_changes(films: PairedFilms) -> tuple[GroupChange, ...]:
    """Measure the change in each known group of sex, age band, view and visit."""
    patients = films.patients()
    found: list[GroupChange] = []
    for (attribute, group), kept in group_films(films).items():
        counted = counted_findings(films, kept)
        change = auroc_change(films, counted, kept)
        few = f"no finding has {FEWEST} positive films and a negative one"
        moved = np.asarray(films.flipped[kept].any(axis=1), np.bool_)
        found.append(
            GroupChange(
                attribute=attribute,
                group=group,
                films=int(kept.sum()),
                patients=len(np.unique(patients[kept])),
                findings_counted=len(counted),
                auroc=no_interval(few) if change is None else change_interval(change),
                flips=share_interval(moved, patients[kept]),
            )
        )
    return tuple(found)
