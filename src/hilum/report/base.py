"""What a report is: a file name, and a pure function from a batch's results to its text.

A member of this folder is a file that defines `REPORT`. Adding one touches that file and a line
of the changelog; `reports()` finds it.
"""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

import hilum.report
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.results import ImageResult
from hilum.domain.findings import LabelSet
from hilum.report.parts.counts import BatchTally

__all__ = ["BatchResults", "BundleFacts", "Report", "reports"]


@dataclass(frozen=True)
class BundleFacts:
    """What a reader must know of the bundle that scored a batch.

    Attributes:
        name: what its makers call it.
        id: its short hash, as in every result's `bundle`.
        precision: the arithmetic it was run in, such as "bf16".
        calibrator: how its probabilities were made, such as "platt".
        created: when it was made, as text; may be empty.
        evaluation: its own numbers, or None where it was never evaluated.
    """

    name: str
    id: str
    precision: str
    calibrator: str
    created: str = ""
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class BatchResults:
    """Everything a report may say: nothing else reaches it, not even the clock.

    Attributes:
        results: one an input, sorted by input, so that the order films were scored in cannot be
            seen in a report. A tuple is sorted here; a collection that reads its results from disk
            each time, as a large batch's does, must come sorted.
        labels: the findings scored, which are the columns of every table.
        bundle: the bundle that scored.
        generated: the date to print, as text; empty for none, so that the same results give the
            same bytes.

    Raises:
        ValueError: for a result whose findings are not those of `labels`, or that has probabilities
            although its status says that it was not scored, or none although it was.
    """

    results: Collection[ImageResult]
    labels: LabelSet
    bundle: BundleFacts
    generated: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.results, tuple):
            return
        for result in self.results:
            if result.status.scored != (result.findings is not None):
                raise ValueError(
                    f"{result.input!r}: a result has findings exactly when its status is ok or "
                    f"warn; got status {result.status} and findings {result.findings!r}"
                )
            names = set(result.findings or self.labels)
            if names != set(self.labels):
                odd = ", ".join(sorted(names ^ set(self.labels)))
                raise ValueError(
                    f"{result.input!r}: the findings of a result must be those of "
                    f"{self.labels.name}; these are in only one of the two: {odd}"
                )
        ordered = tuple(sorted(self.results, key=lambda result: result.input))
        object.__setattr__(self, "results", ordered)

    @cached_property
    def tally(self) -> BatchTally:
        """What is counted of the results, from one look at each for all reports."""
        return BatchTally.of(self.results, self.labels)


class Report(ABC):
    """One kind of output file.

    Attributes:
        filename: the file's name in the output folder.
    """

    filename: str

    def prepare(self) -> None:  # noqa: B027 (most have nothing to do)
        """Do what the first file waits for, such as compiling a template."""

    @abstractmethod
    def pieces(self, batch: BatchResults) -> Iterator[str]:
        """The file as text, a piece at a time: that of a large batch is never in memory whole.

        It is to be written as UTF-8 with its line ends untouched.
        """

    def files(self, batch: BatchResults) -> Iterator[tuple[str, Iterator[str]]]:
        """Name and pieces of each file, to be written in turn. Most reports are one file."""
        yield self.filename, self.pieces(batch)

    def owns(self, name: str) -> bool:
        """Whether a file of this name is of this report, and goes where no batch writes it."""
        return name == self.filename

    def render(self, batch: BatchResults) -> str:
        """The whole file as text."""
        return "".join(self.pieces(batch))


def reports() -> dict[str, Report]:
    """Every report, by the name of its file in this folder, in alphabetical order.

    >>> list(reports())
    ['clinical_csv', 'dashboard', 'film_report', 'results_jsonl']
    """
    names = [
        module.name
        for module in pkgutil.iter_modules(hilum.report.__path__)
        if not module.ispkg and module.name != "base"
    ]
    return {name: import_module(f"hilum.report.{name}").REPORT for name in sorted(names)}
