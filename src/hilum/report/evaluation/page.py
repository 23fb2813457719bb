"""evaluation.html: what is known of a model after one split, for whoever has to believe it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from hilum.domain.documents import Interval
from hilum.domain.documents.evaluation import (
    Evaluation,
    FindingEvaluation,
    Subgroup,
    SubgroupFinding,
)
from hilum.evaluation.curves import Curves, FindingCurves
from hilum.report.evaluation.finding import (
    Explorer,
    decimal,
    decision_chart,
    histogram_chart,
    precision_recall_chart,
    roc_chart,
)
from hilum.report.evaluation.label_noise import LABEL_NOISE_WORDS, label_noise_rows, sources
from hilum.report.evaluation.reliability import reliability_chart
from hilum.report.evaluation.sentences import NONE, interpretation, warnings_above
from hilum.report.parts.page import document
from hilum.report.parts.plots import Axis, forest, forest_axis
from hilum.report.parts.text import shown

__all__ = ["evaluation_page"]

RANKED = 30
"""Patients with the finding from which on a finding is ranked among others."""

_SECTIONS = {
    "notes": "Read first",
    "macro": "Baselines",
    "forest": "Ranking",
    "findings": "Numbers",
    "calibration": "Calibration",
    "noise": "Label errors",
    "subgroups": "Subgroups",
    "made": "Methods",
}
"""Sections of the page by their address; those of single findings stand in a list of their own."""

_UNITS = {"film": "films", "study": "studies", "patient": "patients"}


def evaluation_page(evaluation: Evaluation, curves: Curves) -> str:
    """Return the page, as one file that loads nothing; the same evaluation gives the same bytes.

    Every number stands with its interval, or with a dash and a footnote that says why there is
    none. Only the explorer needs JavaScript; a table below it holds the same without.

    Args:
        evaluation: the result of `evaluate`.
        curves: of the same probabilities and films.
    """
    footnotes = Footnotes()
    axis = _forest_axis(evaluation)
    findings = [
        _finding(index, name, one, curves.findings[name], evaluation.subgroups)
        for index, (name, one) in enumerate(evaluation.findings.items())
    ]
    ranked = [view for view in findings if view.finding.positive_patients >= RANKED]
    others = [view for view in findings if view.finding.positive_patients < RANKED]
    explorers = [None if view.explorer is None else view.explorer.data for view in findings]
    pieces = document(
        "evaluation",
        {
            "evaluation": evaluation,
            "synthetic": curves.synthetic,
            "warnings": warnings_above(evaluation),
            "unit": _UNITS.get(evaluation.level, shown(evaluation.level)),
            "calibrated": sum(
                view.finding.calibration.verdict.startswith("calibrated") for view in findings
            ),
            "judged": sum(view.finding.calibration.slope.value is not None for view in findings),
            "findings": findings,
            "ranked": [*_by_auroc(ranked), *_by_auroc(others)],
            "least": RANKED,
            "attributes": _attributes(evaluation),
            "noise_rows": label_noise_rows,
            "noise_words": LABEL_NOISE_WORDS,
            "noise_sources": sources(evaluation),
            "number": footnotes.number,
            "signed": signed,
            "decimal": decimal,
            "footnotes": footnotes.reasons,
            "axis": forest_axis(axis),
            "forest": _Drawer(axis),
            "stops": explorers,
            "contents": _contents(evaluation),
            "jumps": [(f"finding-{view.index}", view.name) for view in findings],
        },
        parts=("charts",),
    )
    return "".join(pieces)


def _contents(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return address and words of each section, for the bar that stays in sight."""
    there = {
        "notes": bool(evaluation.notes),
        "noise": bool(evaluation.label_noise),
        "subgroups": bool(evaluation.subgroups),
    }
    return [(address, words) for address, words in _SECTIONS.items() if there.get(address, True)]


def signed(value: float, digits: int, plus: str = "") -> str:
    """Return a number as print has it: a true minus, and none before a zero.

    Args:
        value: finite.
        digits: after the decimal point.
        plus: "+" to write the sign of positive numbers too.

    >>> signed(-0.25, 2), signed(-0.0001, 3), signed(0.02, 2, "+")
    ('−0.25', '0.000', '+0.02')
    """
    text = f"{value:{plus}z.{digits}f}"
    return text.replace("-", "−")


@dataclass
class Footnotes:
    """The reasons of missing numbers and intervals, numbered as they are met on the page."""

    reasons: dict[str, int] = field(default_factory=dict[str, int])

    def number(self, interval: Interval | None, digits: int = 3, times: float = 1.0) -> Markup:
        """Return a number with its interval; a dash and a footnote where there is none.

        Args:
            interval: None for a number that was not requested.
            digits: after the decimal point.
            times: a unit to give it in.
        """
        if interval is None:
            return Markup('<span class="none">{}</span>').format(NONE)
        if interval.value is None:
            return Markup('<span class="none">{}{}</span>').format(NONE, self._mark(interval))
        value = signed(interval.value * times, digits)
        if interval.low is None or interval.high is None:
            return Markup('<span class="number">{} <small>[{}]{}</small></span>').format(
                value, NONE, self._mark(interval)
            )
        low, high = (signed(end * times, digits) for end in (interval.low, interval.high))
        note = self._mark(interval) if interval.reason else Markup("")
        return Markup('<span class="number">{} <small>[{}, {}]{}</small></span>').format(
            value, low, high, note
        )

    def _mark(self, interval: Interval) -> Markup:
        reason = shown(interval.reason or "no reason was given")
        number = self.reasons.setdefault(reason, len(self.reasons) + 1)
        return Markup('<sup><a href="#note-{0}" title="{1}">{0}</a></sup>').format(number, reason)


@dataclass(frozen=True)
class _FindingView:
    """One finding as the template shows it."""

    name: str
    index: int
    finding: FindingEvaluation
    says: str
    prevalence: float | None
    charts: Mapping[str, Markup | None]
    beyond: int
    explorer: Explorer | None
    groups: Sequence[tuple[Subgroup, SubgroupFinding]]


def _finding(
    index: int,
    name: str,
    finding: FindingEvaluation,
    curves: FindingCurves,
    subgroups: Iterable[Subgroup],
) -> _FindingView:
    return _FindingView(
        name=name,
        index=index,
        finding=finding,
        says=interpretation(finding),
        prevalence=finding.positives / finding.n if finding.n else None,
        charts={
            "roc": roc_chart(name, finding, curves),
            "precision_recall": precision_recall_chart(name, finding, curves),
            "reliability": reliability_chart(name, finding, curves),
            "histogram": histogram_chart(name, curves),
            "decision": decision_chart(name, finding, curves),
        },
        beyond=curves.histogram.beyond,
        explorer=Explorer.of(finding, curves),
        groups=[(group, group.findings[name]) for group in subgroups if name in group.findings],
    )


def _by_auroc(views: Iterable[_FindingView]) -> list[_FindingView]:
    """Highest first; those without a value last, in the order of the label set."""
    return sorted(views, key=lambda view: -(view.finding.auroc.value or -1.0))


def _forest_axis(evaluation: Evaluation) -> Axis:
    """Return the axis from 0.4, or lower where a number lies there, to 1."""
    findings = evaluation.findings.values()
    areas = [one.auroc for one in (*findings, *evaluation.subgroups)]
    ends = [end for area in areas for end in (area.value, area.low)]
    ends += [finding.metadata_baseline.value for finding in findings]
    lowest = min([0.4, *(end for end in ends if end is not None)])
    # intervals of few patients reach far down; an axis from 0 would press all others together
    return Axis.of("AUROC", max(0.2, math.floor(lowest * 10) / 10), 1.0)


class _Drawer:
    """Draws rows of a forest plot on one axis."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis

    def __call__(self, area: Interval, rival: float | None = None) -> Markup:
        """Return a row: a number with its interval, the line of chance, and its rival as a tick."""
        ticks = [] if rival is None else [(rival, "rival")]
        return forest(self._axis, area.value, (area.low, area.high), [(0.5, "chance")], ticks)


@dataclass(frozen=True)
class _GroupView:
    """A subgroup, and what all films give on the findings that it has numbers of.

    Attributes:
        group: its numbers.
        everyone: mean AUROC of all films over the same findings; None where it has none.
    """

    group: Subgroup
    everyone: float | None

    @property
    def gap(self) -> float | None:
        """The group's AUROC less that of all films."""
        if self.everyone is None or self.group.auroc.value is None:
            return None
        return self.group.auroc.value - self.everyone


def _attributes(evaluation: Evaluation) -> dict[str, list[_GroupView]]:
    """Return the groups of each attribute, in the evaluation's order."""
    attributes: dict[str, list[_GroupView]] = {}
    for group in evaluation.subgroups:
        counted = [name for name, one in group.findings.items() if one.auroc.value is not None]
        areas = [evaluation.findings[name].auroc.value or 0.0 for name in counted]
        everyone = sum(areas) / len(areas) if areas else None
        attributes.setdefault(group.attribute, []).append(_GroupView(group, everyone))
    return attributes
