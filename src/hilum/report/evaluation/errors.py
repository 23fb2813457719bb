"""errors.html: the surest calls of each finding, wrong and right, with film and heatmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from markupsafe import Markup

from hilum.domain.documents.evaluation import Evaluation
from hilum.report.parts.page import document
from hilum.report.parts.plots import bar

__all__ = ["CallKind", "ErrorBrowser", "FilmPictures", "SureCall", "errors_page"]


class CallKind(StrEnum):
    """Kind of a call, as cases.csv has it."""

    FALSE_POSITIVE = "false_positive"
    FALSE_NEGATIVE = "false_negative"
    TRUE_POSITIVE = "true_positive"
    TRUE_NEGATIVE = "true_negative"


_WORDS = {
    CallKind.FALSE_POSITIVE: ("False positives", "called, label says absent"),
    CallKind.FALSE_NEGATIVE: ("Misses", "not called, label says present"),
    CallKind.TRUE_POSITIVE: ("True positives", "called, label says present"),
    CallKind.TRUE_NEGATIVE: ("True negatives", "not called, label says absent"),
}


@dataclass(frozen=True)
class SureCall:
    """One line of cases.csv: a film that the model was sure of, for one finding."""

    finding: str
    kind: CallKind
    rank: int
    film: str
    probability: float
    threshold: float

    @property
    def wrong(self) -> bool:
        """Whether call and label differ."""
        return self.kind in (CallKind.FALSE_POSITIVE, CallKind.FALSE_NEGATIVE)

    @property
    def words(self) -> str:
        """The call and the label, in words."""
        return _WORDS[self.kind][1]

    @property
    def bar(self) -> Markup:
        """The probability as a bar, with the threshold as its tick."""
        return bar(self.probability, self.threshold, marked=self.probability >= self.threshold)


@dataclass(frozen=True)
class FilmPictures:
    """Pictures of one film, as paths relative to the page.

    Attributes:
        film: the film.
        maps: finding to the heatmap that lies over it; a finding whose map is empty has "".
    """

    film: str
    maps: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class ErrorBrowser:
    """Everything that the page shows.

    Attributes:
        evaluation: that the calls are from.
        calls: in the order of cases.csv.
        totals: calls of each finding and kind in all, of which `calls` has the surest; empty where
            they are not known.
        pictures: by film; films without one could not be shown.
        maps_of: network that made the heatmaps, in words; empty for none.
        notes: what a reader must know.
    """

    evaluation: Evaluation
    calls: Sequence[SureCall]
    totals: Mapping[tuple[str, CallKind], int] = field(
        default_factory=dict[tuple[str, CallKind], int]
    )
    pictures: Mapping[str, FilmPictures] = field(default_factory=dict[str, FilmPictures])
    maps_of: str = ""
    notes: Sequence[str] = ()


def errors_page(browser: ErrorBrowser) -> str:
    """Return the page; it shows pictures beside it. The same input gives the same bytes.

    Without JavaScript all calls stand one after the other; with it, a finding, a kind and a page
    of 24 can be chosen, and the address holds the choice.
    """
    findings = list(dict.fromkeys(call.finding for call in browser.calls))
    listed = {
        (finding, kind): sum(c.finding == finding and c.kind is kind for c in browser.calls)
        for finding in findings
        for kind in CallKind
    }
    pieces = document(
        "errors",
        {
            "browser": browser,
            "evaluation": browser.evaluation,
            "findings": findings,
            "kinds": [(kind.value, *_WORDS[kind]) for kind in CallKind],
            "listed": {f"{finding} {kind.value}": n for (finding, kind), n in listed.items()},
            "totals": {
                f"{finding} {kind.value}": n for (finding, kind), n in browser.totals.items()
            },
            "index": {finding: k for k, finding in enumerate(findings)},
        },
        images=True,
        parts=("charts",),
    )
    return "".join(pieces)
