"""Overlap of patients between training films and the films of a different use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hilum.domain.errors import LeakError

__all__ = ["Overlap", "check_disjoint", "first_names", "overlap_of", "percent"]


@dataclass(frozen=True)
class Overlap:
    """Number of films and patients of one use, and of those that belong to training patients.

    Attributes:
        films, patients: number of all films and patients of the use.
        leaking_films, leaking_patients: number of these that belong to training patients.
        first: the first few leaking patients.
    """

    films: int
    patients: int
    leaking_films: int
    leaking_patients: int
    first: tuple[str, ...]

    def sentence(self, use: str = "evaluation") -> str:
        """Return the shares that leak in words, or that none does.

        >>> overlap_of(["1"], ["2", "3"]).sentence()
        '0 of 2 evaluation films and 0 of 2 evaluation patients belong to training patients'
        """
        if not self.leaking_films:
            return (
                f"0 of {self.films:,} {use} films and 0 of {self.patients:,} {use} patients "
                "belong to training patients"
            )
        return (
            f"{percent(self.leaking_films, self.films)} of the {use} films "
            f"({self.leaking_films:,} of {self.films:,}) and "
            f"{percent(self.leaking_patients, self.patients)} of the {use} patients "
            f"({self.leaking_patients:,} of {self.patients:,}) belong to training patients, "
            f"first: {', '.join(self.first)}"
        )


def overlap_of(training: Iterable[str], patients: Iterable[str]) -> Overlap:
    """Count the films of a use whose patients are training patients too.

    Args:
        training: patients of the training films, in any order.
        patients: the patient of each film of the other use, one entry per film.
    """
    films = list(patients)
    everyone = set(films)
    leaking = everyone & frozenset(training)
    return Overlap(
        films=len(films),
        patients=len(everyone),
        leaking_films=sum(patient in leaking for patient in films),
        leaking_patients=len(leaking),
        first=first_names(leaking),
    )


def check_disjoint(
    training: Iterable[str], patients: Iterable[str], use: str = "evaluation"
) -> None:
    """Refuse films of patients that a model was trained on.

    Args:
        training: patients of the training films, in any order.
        patients: the patient of each film of the other use, one entry per film.
        use: name of the other use in the message.

    Raises:
        LeakError: with the share of films and of patients that leak.

    >>> check_disjoint(["1", "2"], ["2", "2", "3"])
    Traceback (most recent call last):
    ...
    hilum.domain.errors.LeakError: patients must not cross splits: 66.7 % of the evaluation films
    (2 of 3) and 50.0 % of the evaluation patients (1 of 2) belong to training patients, first: 2.
    Use films of other patients
    """
    found = overlap_of(training, patients)
    if found.leaking_films:
        raise LeakError(
            f"patients must not cross splits: {found.sentence(use)}. Use films of other patients"
        )


def percent(part: int, whole: int) -> str:
    """Return a share as a percentage.

    >>> percent(1, 3)
    '33.3 %'
    """
    return f"{100 * part / whole:.1f} %"


def first_names(names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Return the first few names; shorter ones first, so that numbers are in numeric order.

    >>> first_names(["11", "9", "100", "10"])
    ('9', '10', '11')
    """
    return tuple(sorted(names, key=lambda name: (len(name), name))[:count])
