"""comparison.html: models on the same films, their differences, and their curves overlaid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hilum.domain.documents import Interval
from hilum.domain.documents.comparison import Comparison, Pair, PairDifference
from hilum.evaluation.curves import Curves
from hilum.report.evaluation.overlay import (
    MODELS,
    legend,
    precision_recall_overlay,
    reliability_overlay,
    roc_overlay,
)
from hilum.report.evaluation.page import Footnotes, signed
from hilum.report.evaluation.sentences import spread_words
from hilum.report.parts.page import document
from hilum.report.parts.plots import Axis, forest, forest_axis
from hilum.report.parts.text import shown

__all__ = ["comparison_page"]

_UNITS = {"film": "films", "study": "studies", "patient": "patients"}


def comparison_page(comparison: Comparison, curves: Mapping[str, Curves]) -> str:
    """Return the page, as one file that loads nothing; the same comparison gives the same bytes.

    A difference is the second model less the first, on the same films and resamples: whether two
    curves differ is read from it, not from the look of the curves.

    Args:
        comparison: the result of `compare`.
        curves: each model's curves by its name, of the same films.
    """
    footnotes = Footnotes()
    own = _axis([model.auroc for model in comparison.models.values()])
    pairs = [_PairView.of(pair) for pair in comparison.pairs]
    findings = [
        _FindingView(index, name, charts)
        for index, (name, charts) in enumerate(_charts(comparison, curves).items())
    ]
    pieces = document(
        "comparison",
        {
            "comparison": comparison,
            "synthetic": any(one.synthetic for one in curves.values()),
            "unit": _UNITS.get(comparison.level, shown(comparison.level)),
            "facts": list(
                dict.fromkeys(key for one in comparison.models.values() for key in one.facts)
            ),
            "tested": any(one.test_auroc is not None for one in comparison.models.values()),
            "legend": legend(list(comparison.models)),
            "drawn": MODELS,
            "pairs": pairs,
            "findings": findings,
            "number": footnotes.number,
            "signed": signed,
            "spread": spread_words,
            "several": any(one.runs for one in comparison.models.values()),
            "footnotes": footnotes.reasons,
            "axis": forest_axis(own),
            "forest": _Row(own),
            "contents": _contents(comparison),
            "jumps": [(f"finding-{view.index}", view.name) for view in findings],
        },
        parts=("charts",),
    )
    return "".join(pieces)


def _contents(comparison: Comparison) -> list[tuple[str, str]]:
    sections = [("notes", "Read first")] if comparison.notes else []
    sections.append(("models", "Models"))
    sections += [
        (f"pair-{index}", f"{shown(pair.second)} − {shown(pair.first)}")
        for index, pair in enumerate(comparison.pairs)
    ]
    return [*sections, ("made", "Methods")]


@dataclass(frozen=True)
class _FindingView:
    """One finding's overlaid charts, by kind."""

    index: int
    name: str
    charts: Mapping[str, Markup | None]


def _charts(
    comparison: Comparison, curves: Mapping[str, Curves]
) -> dict[str, dict[str, Markup | None]]:
    found: dict[str, dict[str, Markup | None]] = {}
    for name in comparison.labels:
        models = {model: curves[model].findings[name] for model in comparison.models}
        found[name] = {
            "roc": roc_overlay(name, models),
            "precision_recall": precision_recall_overlay(name, models),
            "reliability": reliability_overlay(name, models),
        }
    return found


@dataclass(frozen=True)
class _PairView:
    """Differences of one pair, with the axis that they share."""

    pair: Pair
    axis: Markup
    forest: _Row

    @classmethod
    def of(cls, pair: Pair) -> _PairView:
        """Return the view of a pair."""
        every = [one.difference for one in (*pair.auroc.values(), pair.macro_auroc)]
        ends = [abs(end) for one in every for end in (one.value, one.low, one.high) if end]
        reach = math.ceil(10 * min(1.0, max([0.05, *ends]))) / 10
        # a narrow page keeps every second label: both ends and the line of no difference
        ticks = tuple((reach * k / 2, f"{reach * k / 2:g}".replace("-", "−")) for k in range(-2, 3))
        axis = Axis("difference", -reach, reach, ticks)
        return cls(pair, forest_axis(axis), _Row(axis, 0.0))

    @property
    def rows(self) -> Sequence[tuple[str, PairDifference, PairDifference]]:
        """Name of each finding, with its difference in AUROC and in average precision."""
        return [
            (name, self.pair.auroc[name], self.pair.average_precision[name])
            for name in self.pair.auroc
        ]


class _Row:
    """Draws rows of a forest plot on one axis, with a line where nothing is better or worse."""

    def __init__(self, axis: Axis, chance: float = 0.5) -> None:
        self._axis, self._chance = axis, chance

    def __call__(self, number: Interval) -> Markup:
        """Return the row of one number."""
        ends = (number.low, number.high)
        return forest(self._axis, number.value, ends, [(self._chance, "chance")])


def _axis(numbers: Sequence[Interval]) -> Axis:
    """Return the axis from 0.4, or lower where a number lies there, to 1."""
    ends = [end for number in numbers for end in (number.value, number.low) if end is not None]
    return Axis.of("AUROC", max(0.0, math.floor(min([0.4, *ends]) * 10) / 10), 1.0)
