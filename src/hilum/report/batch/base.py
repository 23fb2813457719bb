"""Contract of a report: a file name, and a pure function from a batch's results to its text.

A member of this folder is a file that defines `REPORT`. Adding one touches that file and a line
of the changelog; `reports()` finds it.
"""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module

import hilum.report.batch
from hilum.report.parts.results import BatchResults

__all__ = ["Report", "reports"]


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
        for module in pkgutil.iter_modules(hilum.report.batch.__path__)
        if not module.ispkg and module.name != "base"
    ]
    return {name: import_module(f"hilum.report.batch.{name}").REPORT for name in sorted(names)}
