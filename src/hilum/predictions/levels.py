"""Scores and labels of studies and patients: one of each for all films of a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities

__all__ = ["Combine", "Level", "at_level", "films_behind", "grouped"]


class Level(StrEnum):
    """Unit of a row in an evaluation."""

    FILM = "film"
    """One film."""
    STUDY = "study"
    """All films of one examination."""
    PATIENT = "patient"
    """All films of one patient."""


class Combine(StrEnum):
    """Rule that makes one probability of several films' probabilities."""

    MAX = "max"
    """The largest: a finding that one film shows is there."""
    MEAN = "mean"
    """The mean: steadier, and closer to calibrated where the films' own were."""


def at_level(
    probabilities: Probabilities, cohort: Cohort, level: Level, combine: Combine = Combine.MAX
) -> tuple[Probabilities, Cohort]:
    """Return scores and labels of studies or patients, in the order in which they first appear.

    The largest of several calibrated probabilities is no longer calibrated: it is too high. Rank by
    it, and calibrate again before believing it.

    Args:
        probabilities: (N, L), a row for each record of the cohort.
        cohort: the films.
        level: unit of a row in the result.
        combine: rule that makes one probability of several.

    Returns:
        (G, L) probabilities and the G records that `grouped` makes.

    Raises:
        DatasetError: as `grouped`.
    """
    if level is Level.FILM:
        return probabilities, cohort
    groups = grouped(cohort, level)
    order, starts = _runs(_keys(cohort, level))
    values = probabilities.values[order]
    if combine is Combine.MAX:
        combined = np.maximum.reduceat(values, starts, axis=0)
    else:
        sizes = np.diff([*starts, len(order)])
        combined = np.add.reduceat(values, starts, axis=0) / sizes[:, None]
    note = f"{level} level: the films' probabilities are combined by {combine}"
    return Probabilities(combined, probabilities.labels), replace(
        groups, notes=(*groups.notes, note)
    )


def grouped(cohort: Cohort, level: Level) -> Cohort:
    """Return one record for each study or patient, named after it.

    A finding is positive where any film shows it, negative where none does and at least one is
    labeled negative, uncertain where nothing else is known, else unlabeled. View and sex are kept
    where all films agree; the age is the mean. A film without a study is a study of its own.

    Raises:
        DatasetError: for a cohort without films, or a study of two patients.

    >>> from hilum.domain.findings import LabelSet
    >>> films = [
    ...     Record("a.png", "7", (LabelState.NEGATIVE,), study_id="s1"),
    ...     Record("b.png", "7", (LabelState.POSITIVE,), study_id="s1"),
    ... ]
    >>> cohort = Cohort("mine", LabelSet("one", ("Mass",)), tuple(films))
    >>> grouped(cohort, Level.STUDY).records[0].states[0].name
    'POSITIVE'
    """
    if level is Level.FILM:
        return cohort
    if not cohort.records:
        raise DatasetError(f"{cohort.dataset}: a {level} must have a film; got no films")
    keys = _keys(cohort, level)
    order, starts = _runs(keys)
    # the states' numbers are in order of precedence: 1 positive, 0 negative, -1 uncertain, -2 none
    states = np.maximum.reduceat(cohort.states()[order], starts, axis=0)
    ends = [*starts[1:], len(order)]
    records = tuple(
        _combined(keys[order[start]], [cohort.records[row] for row in order[start:end]], row)
        for start, end, row in zip(starts, ends, states.tolist(), strict=True)
    )
    if level is Level.PATIENT:
        records = tuple(replace(record, study_id=None) for record in records)
    plural = {Level.STUDY: "studies", Level.PATIENT: "patients"}[level]
    note = f"{level} level: {len(cohort):,} films became {len(records):,} {plural}"
    return replace(
        cohort,
        records=records,
        notes=(*cohort.notes, note),
        official_test=None,
        official_tune=None,
    )


def films_behind(records: Cohort, dataset: Cohort) -> Cohort:
    """Return the films of some studies; the same cohort where its records are films already.

    Args:
        records: films or studies of the dataset.
        dataset: all its films.
    """
    names = set(records.image_ids())
    if names <= set(dataset.image_ids()):
        return records
    return dataset.select(lambda film: (film.study_id or film.image_id) in names)


def _keys(cohort: Cohort, level: Level) -> list[str]:
    if level is Level.STUDY:
        return [record.study_id or record.image_id for record in cohort.records]
    return [record.patient_id for record in cohort.records]


def _runs(keys: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows in order of their group's first appearance, and where each group starts."""
    first: dict[str, int] = {}
    number = np.array([first.setdefault(key, len(first)) for key in keys], np.intp)
    order = np.argsort(number, kind="stable")
    return order, np.flatnonzero(np.diff(number[order], prepend=-1))


def _combined(name: str, films: Sequence[Record], states: Sequence[int]) -> Record:
    patients = {film.patient_id for film in films}
    if len(patients) > 1:
        raise DatasetError(
            f"a study must be of one patient; {name} has films of {', '.join(sorted(patients)[:3])}"
        )
    ages = [film.age_years for film in films if film.age_years is not None]
    views, sexes = {film.view for film in films}, {film.sex for film in films}
    visits = {film.follow_up for film in films}
    return Record(
        image_id=name,
        patient_id=patients.pop(),
        states=tuple(LabelState(state) for state in states),
        view=views.pop() if len(views) == 1 else ViewPosition.UNKNOWN,
        age_years=sum(ages) / len(ages) if ages else None,
        sex=sexes.pop() if len(sexes) == 1 else Sex.UNKNOWN,
        follow_up=visits.pop() if len(visits) == 1 else None,
        study_id=name,
    )
