"""index.html of a run folder: what each stage wrote, with its headline numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hilum.report.parts.page import document

__all__ = ["RunNumber", "RunStage", "StageState", "run_page"]


class StageState(StrEnum):
    """State of a stage, in the word that the page shows."""

    DONE = "done"
    PASSED = "passed"
    MISSING = "not yet"
    STALE = "out of date"
    """What it wrote belongs to a network or calibration that has since been replaced."""
    FAILED = "failed"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class RunNumber:
    """One headline: what it is, its value with its interval, and the films it was measured on."""

    name: str
    value: str
    films: str = ""


@dataclass(frozen=True)
class RunStage:
    """One stage of a run.

    Attributes:
        name: its heading.
        state: whether it was done.
        numbers: headlines.
        files: words and path, relative to the run, of what it wrote.
        picture: path of a picture to show; empty for none.
        command: the command that does it, where it is missing or out of date.
        note: what a reader must know; may be empty.
    """

    name: str
    state: StageState
    numbers: Sequence[RunNumber] = ()
    files: Sequence[tuple[str, str]] = ()
    picture: str = ""
    command: str = ""
    note: str = ""

    @property
    def films(self) -> str:
        """The films that all its numbers were measured on; empty where they differ."""
        known = {number.films for number in self.numbers if number.films}
        return known.pop() if len(known) == 1 else ""


def run_page(name: str, synthetic: bool, stages: Sequence[RunStage]) -> str:
    """Return the page; it links files beside it, and shows pictures that lie there.

    The same files of a run give the same bytes.

    Args:
        name: of the run's network.
        synthetic: whether its films were drawn.
        stages: in order.
    """
    values = {"name": name, "synthetic": synthetic, "stages": stages}
    return "".join(document("run", values, images=True))
