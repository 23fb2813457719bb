"""What a report on a batch is made from: the results, and the facts of the bundle."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.results import ImageResult
from hilum.domain.findings import LabelSet
from hilum.report.parts.counts import BatchTally

__all__ = ["BatchResults", "BundleFacts"]


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
