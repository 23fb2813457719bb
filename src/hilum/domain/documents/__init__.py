"""The documents that hilum publishes as JSON, each with its schema in the docs.

Here are the parts of all of them: a frozen model, a number with its interval, a split.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from hilum.domain.record import Cohort, digest

__all__ = ["Document", "Interval", "SplitFacts"]


class Document(BaseModel):
    """A frozen document, or a part of one; unknown keys and numbers that are not finite refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,  # at first use: a batch imports all of them and uses few
    )


class Interval(Document):
    """A number with its 95 % interval; or null, with the reason.

    `low` and `high` are null where too few resamples had both classes.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def short(self, digits: int = 3) -> str:
        """Return the number with its interval, for a table; a dash where there is none.

        >>> Interval(value=0.8123, low=0.77, high=0.85).short()
        '0.812 [0.770, 0.850]'
        >>> Interval(value=0.8123).short(2), Interval(value=None).short()
        ('0.81 [–]', '–')
        """
        if self.value is None:
            return "–"
        if self.low is None or self.high is None:
            return f"{self.value:.{digits}f} [–]"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def in_words(self) -> str:
        """Return the number with its interval, for a sentence; or why there is none.

        >>> Interval(value=None, reason="no film is positive").in_words()
        'not computed (no film is positive)'
        >>> Interval(value=0.5, reason="too few resamples").in_words()
        '0.500 [no interval: too few resamples]'
        """
        if self.value is None:
            return f"not computed ({self.reason or 'no reason given'})"
        if self.low is None or self.high is None:
            why = (self.reason or "none was made").removeprefix("no interval: ")
            return f"{self.value:.3f} [no interval: {why}]"
        return self.short()


class SplitFacts(Document):
    """Films and patients of a split, with the hashes of their lists."""

    name: str
    sha256: str
    """SHA-256 of the sorted film names, one a line."""
    images: int
    patients: int
    patients_sha256: str = ""
    """SHA-256 of the sorted patient names, one a line."""

    @classmethod
    def of(cls, name: str, cohort: Cohort) -> Self:
        """Return the facts of a cohort."""
        patients = set(cohort.patients().tolist())
        return cls(
            name=name,
            sha256=digest(cohort.image_ids()),
            images=len(cohort),
            patients=len(patients),
            patients_sha256=digest(patients),
        )
