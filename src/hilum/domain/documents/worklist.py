"""worklist.json: how long films wait to be read, under a policy and first come, first served."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document, Interval
from hilum.domain.notice import NOT_A_DEVICE

__all__ = ["WORKLIST", "FilmGroup", "ListPolicy", "WorklistRun"]

WORKLIST = "worklist.json"
"""File name of a simulated worklist."""


class ListPolicy(StrEnum):
    """Order in which readers take films from the list."""

    FIRST_COME = "first-come"
    """The film that has waited longest."""
    PRIORITY = "priority"
    """Films with a called finding before all others."""
    RULE_OUT_LAST = "rule-out-last"
    """Films that the bundle's rule rules out after all others."""


class FilmGroup(Document):
    """Turnaround of some films, from arrival to the end of their reading, in minutes."""

    group: str
    """A finding, `all films`, `none of these findings`, or `ruled out`."""
    films: float
    """Films a simulated run, on average."""
    mean_first_come: Interval
    """Mean turnaround first come, first served."""
    mean: Interval
    """Mean turnaround under the policy."""
    change: Interval
    """Policy less first come, paired by run; below 0 is sooner."""
    p95_first_come: Interval
    """Turnaround that 95 % of these films stay below, first come, first served."""
    p95: Interval


class WorklistRun(Document):
    """worklist.json: a simulated reading room."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    policy: ListPolicy
    first: tuple[str, ...] = ()
    """Findings that come first, with the priority policy."""
    source: str
    """Source of the films, in words."""
    synthetic: bool
    arrivals: str
    """How films arrive, in words."""
    films_a_day: float
    readers: int
    reading_minutes: float
    """Mean of the reading times."""
    reading_spread: float
    """Standard deviation of the reading times over their mean."""
    busy: float
    """Share of the readers' time that reading takes."""
    days: float
    """Days of arrivals that are measured in each run."""
    runs: int
    seed: int
    groups: tuple[FilmGroup, ...]
    interval: str
    notes: tuple[str, ...] = ()
