"""The tables of a run: label counts, loss weights and learning rates."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelSet, LabelState
from hilum.files.atomic import write_atomic

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["RateTable", "write_prevalence", "write_rows"]

RATES = ("epoch", "step", "phase", "part", "rate")
STATES = (
    LabelState.POSITIVE,
    LabelState.NEGATIVE,
    LabelState.UNCERTAIN,
    LabelState.UNLABELLED,
)
PREVALENCE = (
    *("finding", "split", "films", "positives", "negatives", "uncertain", "unlabelled"),
    "prevalence",
)


class RateTable:
    r"""learning_rates.csv: the rate of every part at every step, as the optimizer had it.

    Written from what was applied, not from what the schedule would say, so that it shows a
    schedule that was never called. Rows wait in memory until `flush`.

    Example:
        >>> import tempfile
        >>> table = RateTable(Path(tempfile.mkdtemp()) / "rates.csv")
        >>> table.add(1, 1, "head", {"head": 1e-3})
        >>> table.flush()
        >>> table.path.read_text()
        'epoch,step,phase,part,rate\n1,1,head,head,0.001\n'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[tuple[Any, ...]] = []

    def add(self, epoch: int, step: int, phase: str, rates: Mapping[str, float]) -> None:
        """Add the rates of one step; `step` counts within the epoch."""
        self._waiting += [(epoch, step, phase, part, rate) for part, rate in rates.items()]

    def flush(self) -> None:
        """Append the waiting rows to the file."""
        if not self.path.exists():
            self.path.write_text(_csv([RATES]), "utf-8")
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_csv(self._waiting))
        self._waiting.clear()

    def forget_after(self, epoch: int, step: int) -> None:
        """Drop the rows after a step, which a resumed run repeats; (0, 0) drops them all.

        A last row that a killed process left unfinished goes with them.
        """
        self._waiting.clear()
        rows: list[list[str]] = []
        if self.path.exists():
            text = self.path.read_text("utf-8").rpartition("\n")[0]
            rows = list(csv.reader(io.StringIO(text)))[1:]
        kept = [row for row in rows if (int(row[0]), int(row[1])) <= (epoch, step)]
        write_atomic(self.path, _csv([RATES, *kept]).encode(), durable=True)


def write_prevalence(path: Path, labels: LabelSet, states: Mapping[str, NDArray[np.int8]]) -> None:
    """Write prevalence.csv: the label counts of each finding and split.

    Args:
        path: where to write.
        labels: the findings of the columns.
        states: split to its (N, L) LabelState values, settled by the policy. The prevalence is
            that of the labeled films, and blank where there is none.
    """
    rows: list[tuple[Any, ...]] = []
    for split, own in states.items():
        for column, finding in enumerate(labels):
            counts = [int((own[:, column] == state).sum()) for state in STATES]
            known = counts[0] + counts[1]
            share = f"{counts[0] / known:.6f}" if known else ""
            rows.append((finding, split, len(own), *counts, share))
    path.write_text(_csv([PREVALENCE, *rows]), "utf-8")


def write_rows(path: Path, rows: Sequence[DataclassInstance]) -> None:
    """Write dataclass rows as CSV, one column for each field.

    Args:
        path: where to write.
        rows: of one kind, at least one.
    """
    names = [one.name for one in fields(rows[0])]
    body = ([getattr(row, name) for name in names] for row in rows)
    path.write_text(_csv([names, *body]), "utf-8")


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
