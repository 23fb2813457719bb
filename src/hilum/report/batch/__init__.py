"""Reports on a batch: one file a report, named as its file.

Each file of this folder defines `REPORT: Report`, a file name and a pure function from a batch's
results to its text. Adding one touches that file and a line of the changelog; `reports()` finds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from hilum.domain.members import member, members
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
        """Yield the file as text, a piece at a time: a large batch is never in memory whole.

        It is to be written as UTF-8 with its line ends untouched.
        """

    def files(self, batch: BatchResults) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield name and pieces of each file, to be written in turn. Most reports are one file."""
        yield self.filename, self.pieces(batch)

    def owns(self, name: str) -> bool:
        """Return whether this report writes a file of this name, and so may remove an old one."""
        return name == self.filename

    def render(self, batch: BatchResults) -> str:
        """Return the whole file as text."""
        return "".join(self.pieces(batch))


def reports() -> dict[str, Report]:
    """Return every report, by the name of its file in this folder, in alphabetical order.

    >>> reports()["dashboard"].filename
    'dashboard.html'
    """
    return {name: member(__name__, name, Report, "report") for name in members(__name__)}
