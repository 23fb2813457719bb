"""report.html: every film with its heatmaps, its probabilities and what stopped it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.report.batch import Report
from hilum.report.parts.film_panel import MapEntry, map_entries
from hilum.report.parts.page import page, prepare
from hilum.report.parts.plots import bar
from hilum.report.parts.results import BatchResults, BatchTally, InputOutcome, ranked
from hilum.report.parts.text import REASONS, STATUSES, shown, summary

__all__ = ["REPORT", "FilmReport"]


@dataclass(frozen=True)
class _Page:
    number: int
    file: str


@dataclass(frozen=True)
class FilmReport(Report):
    """The page for the reader of films: one card an input, none left out.

    Images are loaded as they come into view and cards are laid out as they come into view, so
    thousands open at once. Films of one study stand together on a page. An archive is several
    pages, each beside the first: no browser opens half a gigabyte. Without JavaScript only the
    filter is missing.

    Attributes:
        filename: of the first page; the second is report-2.html.
        most: films on a page.
    """

    filename: str = "report.html"
    most: int = 2000

    def prepare(self) -> None:
        """Compile the template."""
        prepare("film_report")

    def pieces(self, batch: BatchResults) -> Iterator[str]:
        """Yield the first page; images are linked relative to the output folder."""
        _, pieces = next(self.files(batch))
        return pieces

    def files(self, batch: BatchResults) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield the pages; a batch of fewer films has one."""
        # one page's films at a time: a large batch must not be in memory as a whole
        left = iter(batch.results)
        count = max(1, math.ceil(len(batch.results) / self.most))
        pages = [_Page(number, self._name(number)) for number in range(1, count + 1)]
        for one in pages:
            films = list(islice(left, self.most))
            yield one.file, self._page(batch, films, one, pages)

    def owns(self, name: str) -> bool:
        """Return whether it is a page.

        >>> REPORT.owns("report.html"), REPORT.owns("report-12.html"), REPORT.owns("report-x.html")
        (True, True, False)
        """
        number = name.removeprefix("report-").removesuffix(".html")
        return name == self.filename or (number.isdecimal() and name == self._name(int(number)))

    def _name(self, number: int) -> str:
        return self.filename if number == 1 else f"report-{number}.html"

    def _page(
        self,
        batch: BatchResults,
        films: Sequence[ImageResult],
        own: _Page,
        pages: Sequence[_Page],
    ) -> Iterator[str]:
        whole, grouped = batch.tally, _by_study(films)
        here = whole if len(pages) == 1 else BatchTally.of(films, batch.labels)
        return page(
            "film_report",
            batch,
            {
                "total": whole.total,
                "sheets": batch.sheets,
                "before": (own.number - 1) * self.most,
                "here": here.total,
                "own": own,
                "pages": pages,
                "index": ((shown(r.image_id), summary(r)) for r, _ in grouped),
                "cards": (_card(result, study, batch.labels) for result, study in grouped),
                "tiles": [(outcome.value, count) for outcome, count in whole.outcomes()],
                "attention": whole.total - whole.statuses[Status.OK],
                "attention_here": here.total - here.statuses[Status.OK],
                "positive_here": dict(here.outcomes())[InputOutcome.POSITIVE],
                "found": [one.finding for one in here.findings() if one.positive],
            },
            parts=("viewer",),
        )


REPORT: Report = FilmReport()


@dataclass(frozen=True)
class _Score:
    finding: str
    probability: float
    threshold: float | None
    positive: bool
    calibrated: bool
    bar: str


@dataclass(frozen=True)
class _Card:
    result: ImageResult
    name: str
    summary: str
    about: tuple[str, ...]
    attention: bool
    empty: bool
    status: str
    reasons: tuple[tuple[ReasonCode, str], ...]
    maps: tuple[MapEntry, ...]
    overlays: tuple[tuple[str, str], ...]
    scores: tuple[_Score, ...]


def _by_study(films: Sequence[ImageResult]) -> list[tuple[ImageResult, str]]:
    """Return films, those of one study together at the first one's place, with a word on each.

    The word is empty for a film that is alone in its study, or whose study is not known.
    """
    studies: dict[str | int, list[ImageResult]] = {}
    for number, film in enumerate(films):
        studies.setdefault(film.study_instance_uid or number, []).append(film)
    return [
        (film, f"film {place} of {len(study)} of its study" if len(study) > 1 else "")
        for study in studies.values()
        for place, film in enumerate(study, start=1)
    ]


def _card(result: ImageResult, study: str, labels: LabelSet) -> _Card:
    return _Card(
        result=result,
        name=shown(result.image_id),
        summary=summary(result),
        about=(*_about(result), *([study] if study else [])),
        attention=result.status is not Status.OK,
        empty=ReasonCode.EMPTY_HEATMAP in result.codes,
        status=STATUSES[result.status],
        reasons=tuple((code, REASONS[code]) for code in result.codes),
        maps=map_entries(result, labels),
        overlays=_overlays(result, labels),
        scores=_scores(result, labels),
    )


def _about(result: ImageResult) -> tuple[str, ...]:
    """Return the view, sex, age and patient, as far as the file has them and they may be shown."""
    view = "view unknown" if result.view is ViewPosition.UNKNOWN else result.view.value
    sex = None if result.sex is Sex.UNKNOWN else result.sex.value
    age = None if result.age_years is None else f"{math.floor(result.age_years)} years"
    patient = f"patient {shown(result.patient)}" if result.patient else None
    return tuple(part for part in (view, sex, age, patient) if part is not None)


def _overlays(result: ImageResult, labels: LabelSet) -> tuple[tuple[str, str], ...]:
    """(finding, file) of results that an older version wrote, whose maps are in the overlays."""
    if result.maps:
        return ()
    order = [*result.positives, *(name for name in labels if name not in result.positives)]
    return tuple((name, result.heatmaps[name]) for name in order if name in result.heatmaps)


def _scores(result: ImageResult, labels: LabelSet) -> tuple[_Score, ...]:
    return tuple(
        _Score(
            finding=name,
            probability=one.probability,
            threshold=one.threshold,
            positive=one.positive is True,
            calibrated=one.calibrated,
            bar=bar(one.probability, tick=one.threshold, marked=one.positive is True),
        )
        for name, one in ranked(result, labels)
    )
