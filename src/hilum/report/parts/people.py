"""Age and sex of the patients behind films, in decades."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from markupsafe import Markup

from hilum.domain.radiograph import Sex
from hilum.report.parts.plots import stack

__all__ = ["Decade", "People"]

_SEXES = {Sex.FEMALE: "female", Sex.MALE: "male", Sex.UNKNOWN: "sex unknown"}
_OLDEST = 90


@dataclass(frozen=True)
class Decade:
    """Films of patients of one decade of age: how many of each sex, and as a stacked bar."""

    name: str
    counts: Sequence[int]
    bar: Markup


@dataclass(frozen=True)
class People:
    """Films by age and sex, where either is known of some.

    Attributes:
        sexes: class of the color and words of each sex that occurs, in the order of the counts.
        decades: rising; films of unknown age last.
        known: films of which age or sex is known.
    """

    sexes: Sequence[tuple[str, str]]
    decades: Sequence[Decade]
    known: int

    @classmethod
    def of(cls, films: Mapping[tuple[float | None, Sex], int]) -> Self | None:
        """Return the counts; None where neither age nor sex is known of any film.

        Args:
            films: number by the first year of the decade of age, None for unknown, and by sex.
        """
        counts: dict[float, dict[Sex, int]] = {}
        known = 0
        for (age, sex), number in films.items():
            start = math.inf if age is None else min(age, float(_OLDEST))
            own = counts.setdefault(start, dict.fromkeys(Sex, 0))
            own[sex] += number
            known += number if age is not None or sex is not Sex.UNKNOWN else 0
        if not known:
            return None
        sexes = [sex for sex in Sex if any(own[sex] for own in counts.values())]
        largest = max(sum(own.values()) for own in counts.values())
        decades = [
            Decade(
                _decade(start),
                [own[sex] for sex in sexes],
                stack([(own[sex] / largest, f"sex-{sex.value}") for sex in sexes]),
            )
            for start, own in sorted(counts.items())
        ]
        return cls([(f"sex-{sex.value}", _SEXES[sex]) for sex in sexes], decades, known)


def _decade(start: float) -> str:
    """Return the words of a decade of age, from its first year.

    >>> _decade(60.0), _decade(90.0), _decade(math.inf)
    ('60–69', '90+', 'age unknown')
    """
    if math.isinf(start):
        return "age unknown"
    return f"{start:.0f}+" if start >= _OLDEST else f"{start:.0f}–{start + 9:.0f}"
