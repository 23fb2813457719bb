"""An inspection as a page: what a dataset holds, and what would go wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hilum.domain.documents.inspection import DatasetInspection, FindingCounts
from hilum.domain.radiograph import Sex
from hilum.report.inspection.tables import completeness, verdict
from hilum.report.parts.page import document
from hilum.report.parts.people import People
from hilum.report.parts.plots import bar
from hilum.report.parts.square import FindingSquare

__all__ = ["inspection_page"]

_MOST = 24
"""Findings of the square, the most frequent ones."""
_COPIES = 50
"""Copies that are listed; check.json has all."""


def inspection_page(inspection: DatasetInspection) -> str:
    """Return the page, as one file that loads nothing; the same inspection gives the same bytes.

    Args:
        inspection: the result of `inspect_dataset`.
    """
    labels, population = inspection.labels, inspection.population
    ordered = sorted(labels.findings.items(), key=lambda item: -item[1].used.positive)
    people = People.of(
        {
            (float(decade[:2]), Sex(sex)): films
            for decade, by_sex in population.age_by_sex.items()
            for sex, films in by_sex.items()
        }
    )
    together = _square(inspection)
    pieces = document(
        "inspection",
        {
            "found": inspection,
            "verdict": verdict(inspection),
            "completeness": completeness(inspection.published),
            "findings": _findings(ordered),
            "together": together,
            "people": people,
            "a_film": _counted([(str(n), c) for n, c in labels.findings_per_film.items()]),
            "views": _counted([(name, c.films) for name, c in population.views.items()]),
            "copies": inspection.films.copies[:_COPIES],
            "choices": inspection.policy.model_dump(mode="json", exclude={"soft_range"}),
            "jumps": [],
            "contents": _contents(inspection, together, people),
        },
        parts=("charts",),
    )
    return "".join(pieces)


def _contents(
    found: DatasetInspection, together: FindingSquare | None, people: People | None
) -> list[tuple[str, str]]:
    there = [
        ("problems", "Problems", True),
        ("splits", "Splits", bool(found.split.groups)),
        ("findings", "Findings", True),
        ("together", "Together", together is not None),
        ("people", "Age and sex", people is not None),
        ("a-film", "Per film", True),
        ("films", "Films", bool(found.films.asked)),
        ("made", "Dataset", True),
    ]
    return [(address, words) for address, words, known in there if known]


def _square(inspection: DatasetInspection) -> FindingSquare | None:
    """Return the square of the findings that are positive on most films."""
    counts = inspection.labels.co_occurrence
    place = {name: k for k, name in enumerate(counts.findings)}
    films = {name: counts.films[k][k] for name, k in place.items()}
    most = sorted(films, key=lambda name: -films[name])[:_MOST]
    return FindingSquare.of(
        {name: films[name] for name in most}, lambda a, b: counts.films[place[a]][place[b]]
    )


@dataclass(frozen=True)
class _FindingRow:
    """A finding's counts, and its share of positive films as a bar to the largest share."""

    name: str
    counts: FindingCounts
    bar: Markup


def _findings(ordered: Sequence[tuple[str, FindingCounts]]) -> list[_FindingRow]:
    largest = max((one.prevalence or 0.0 for _, one in ordered), default=0.0) or 1.0
    return [_FindingRow(name, one, bar((one.prevalence or 0.0) / largest)) for name, one in ordered]


@dataclass(frozen=True)
class _Count:
    """A number of films, and a bar to the largest of its table."""

    name: str
    films: int
    bar: Markup


def _counted(counts: Sequence[tuple[str, int]]) -> list[_Count]:
    largest = max((films for _, films in counts), default=0) or 1
    return [_Count(name, films, bar(films / largest)) for name, films in counts]
