"""Films and patients by split, view, sex and age, compared with the published numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hilum.datasets import Card
from hilum.domain.documents.inspection import (
    OfficialLists,
    Population,
    Published,
    SplitCounts,
    SplitInspection,
)
from hilum.domain.errors import LeakError
from hilum.domain.radiograph import Sex
from hilum.domain.record import Cohort, Record, Split
from hilum.splits import SplitTable, assign, recognize

__all__ = [
    "Counted",
    "age_by_sex",
    "decade",
    "group_by",
    "impossible_ages",
    "official_lists",
    "population",
    "published",
    "split_inspection",
    "split_of",
]

_OLDEST = 90
_UNKNOWN = "unknown"
_IMPOSSIBLE = re.compile(r"age cannot be.*: ([\d,]+)$")
"""The readers' note of how many ages they took as unknown."""


@dataclass(frozen=True)
class Counted:
    """The films listed, those of them that are used, and the split of each.

    Attributes:
        listed: the dataset as it is.
        used: what training would see of it; its label set may be another.
        splits: the default split; None where the official lists do not allow one.
    """

    listed: Cohort
    used: Cohort
    splits: SplitTable | None


def population(counted: Counted) -> Population:
    """Return films by view, sex and age, and how they fall to patients."""
    listed = counted.listed
    per_patient = np.unique(listed.patients(), return_counts=True)[1]
    return Population(
        views=group_by(counted, [record.view.value for record in listed.records]),
        sexes=group_by(counted, [record.sex.value for record in listed.records]),
        ages=group_by(counted, [decade(record.age_years) for record in listed.records]),
        age_by_sex=age_by_sex(listed.records),
        impossible_ages=impossible_ages(listed.notes),
        films_per_patient_mean=float(per_patient.mean()) if len(listed) else 0.0,
        films_per_patient_max=int(per_patient.max(initial=0)),
        patients_unknown=sum(r.patient_id in ("", r.image_id) for r in listed.records),
    )


def published(cohort: Cohort, card: Card) -> Published:
    """Return films and patients listed, against the card."""
    films, patients = len(cohort), len(set(cohort.patients().tolist()))
    if not card.films or not card.patients:
        card_films = card_patients = complete = None
    else:
        card_films, card_patients = card.films, card.patients
        complete = (films, patients) == (card_films, card_patients)
    return Published(
        films=films,
        films_published=card_films,
        patients=patients,
        patients_published=card_patients,
        complete=complete,
    )


def split_of(cohort: Cohort) -> tuple[SplitTable | None, str | None]:
    """Return the default split of all films listed; or None, and why the lists do not allow one."""
    try:
        return assign(cohort), None
    except LeakError as error:
        return None, str(error)


def split_inspection(counted: Counted, leak: str | None) -> SplitInspection:
    """Return films, patients and film list of each of the four uses."""
    splits = counted.splits
    if splits is None:
        return SplitInspection(name="none", groups={}, sha256={}, leak=leak)
    uses = {name: place.split.value for name, place in splits.films.items()}
    found = group_by(counted, [uses[name] for name in counted.listed.image_ids()])
    empty = SplitCounts(films=0, patients=0, used=0)
    return SplitInspection(
        name=splits.name,
        groups={split.value: found.get(split.value, empty) for split in Split},
        sha256={split.value: splits.sha256(split) for split in Split},
    )


def official_lists(cohort: Cohort) -> OfficialLists:
    """Return the official lists found here, and whether they keep patients apart."""
    rest = set(cohort.image_ids())
    crossing: set[str] = set()
    parts: list[frozenset[str]] = []
    for official in (cohort.official_test, cohort.official_tune):
        if official is None:
            continue
        inside = {r.patient_id for r in cohort.records if r.image_id in official}
        outside = {r.patient_id for r in cohort.records if r.image_id not in official}
        crossing |= inside & outside
        parts.append(official & frozenset(cohort.image_ids()))
        rest -= official
    known = [recognize(part) for part in (*parts, rest)]
    return OfficialLists(
        test_films=_listed(cohort, cohort.official_test),
        tune_films=_listed(cohort, cohort.official_tune),
        patients_on_both_sides=len(crossing),
        recognised=tuple(split.name for split in known if split is not None),
    )


def group_by(counted: Counted, keys: Sequence[str]) -> dict[str, SplitCounts]:
    """Return films, patients and films used of each key, sorted by key, the unknown last.

    Args:
        counted: the films.
        keys: one for each film listed.
    """
    films = Counter(keys)
    ids = counted.listed.image_ids()
    patients = {(key, r.patient_id) for key, r in zip(keys, counted.listed.records, strict=True)}
    of = dict(zip(ids, keys, strict=True))
    used = Counter(of[name] for name in counted.used.image_ids())
    by_key = Counter(key for key, _ in patients)
    return {
        key: SplitCounts(films=films[key], patients=by_key[key], used=used[key])
        for key in sorted(films, key=lambda key: (key == _UNKNOWN, key))
    }


def decade(age_years: float | None) -> str:
    """Return the decade of an age; from 90 on they are one.

    >>> decade(7.0), decade(89.5), decade(104.0), decade(None)
    ('00-09', '80-89', '90+', 'unknown')
    """
    if age_years is None:
        return _UNKNOWN
    start = int(age_years // 10) * 10
    return f"{_OLDEST}+" if start >= _OLDEST else f"{start:02d}-{start + 9:02d}"


def age_by_sex(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Decade to sex to films, where both are known."""
    found = Counter(
        (decade(r.age_years), r.sex.value)
        for r in records
        if r.age_years is not None and r.sex is not Sex.UNKNOWN
    )
    sexes = (Sex.FEMALE.value, Sex.MALE.value)
    decades = sorted({when for when, _ in found})
    return {when: {sex: found[when, sex] for sex in sexes} for when in decades}


def impossible_ages(notes: Iterable[str]) -> int:
    """Return the number of impossible ages, which the reader took as unknown.

    >>> impossible_ages(["films whose age cannot be, taken as unknown: 1,016"])
    1016
    """
    found = (_IMPOSSIBLE.search(note) for note in notes)
    return sum(int(match[1].replace(",", "")) for match in found if match)


def _listed(cohort: Cohort, official: frozenset[str] | None) -> int | None:
    return None if official is None else len(official & set(cohort.image_ids()))
