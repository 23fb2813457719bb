"""How far the films of one use are of patients that another use has seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hilum.domain.errors import LeakError

__all__ = ["Overlap", "check_disjoint", "first_names", "overlap_of", "percent"]


@dataclass(frozen=True)
class Overlap:
    """Films and patients of one use, and how many of them belong to training patients.

    Attributes:
        films, patients: of the use, all of them.
        leaking_films, leaking_patients: of these, the ones that belong to training patients.
        first: the first few leaking patients.
    """

    films: int
    patients: int
    leaking_films: int
    leaking_patients: int
    first: tuple[str, ...]

    def sentence(self, use: str = "evaluation") -> str:
        """The shares that leak, in words; without a leak, a certificate of it.

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
        patients: the patient of each film of the other use, a film an entry.
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
        patients: the patient of each film of the other use, a film an entry.
        use: what the other films are for, as the message says it.

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
    """A share as messages print it.

    >>> percent(1, 3)
    '33.3 %'
    """
    return f"{100 * part / whole:.1f} %"


def first_names(names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The first few names; shorter ones first, so that numbers stand in their own order.

    >>> first_names(["11", "9", "100", "10"])
    ('9', '10', '11')
    """
    return tuple(sorted(names, key=lambda name: (len(name), name))[:count])
