"""report.html: every film with its heatmaps, its probabilities and what stopped it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet, display_name
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.report.batch import Report
from hilum.report.parts.film_panel import MapEntry, map_entries
from hilum.report.parts.page import page, prepare
from hilum.report.parts.results import BatchResults, BatchTally, InputOutcome
from hilum.report.parts.score_bars import axis_words, log_odds_bar
from hilum.report.parts.score_text import headline, measured, pair, score_sentence
from hilum.report.parts.scores import FindingScore, ScoreGroup, priority, scores_of, top
from hilum.report.parts.text import REASONS, STATUSES, percent, shown, triage_words

__all__ = ["REPORT", "FilmReport"]


@dataclass(frozen=True)
class _Page:
    number: int
    file: str


@dataclass(frozen=True)
class FilmReport(Report):
    """The page for the reader of films: one card an input, none left out.

    The film with the largest margin over a threshold is first, with the other films of its study;
    inputs without a score are a folded group at the end. Images are loaded as they come into view
    and cards are laid out as they come into view, so thousands open at once. An archive is several
    pages, each beside the first: no browser opens half a gigabyte. Without JavaScript only filter
    and sorting are missing.

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
        whole, placed = batch.tally, _placed(films, batch.labels, (own.number - 1) * self.most)
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
                "index": ((film.number, shown(film.result.image_id)) for film in placed),
                "cards": (_card(film, batch) for film in _by_priority(placed) if film.scores),
                "unscored": [_card(film, batch) for film in placed if not film.scores],
                "counts": [(outcome.value, count) for outcome, count in whole.outcomes()],
                "attention": whole.total - whole.statuses[Status.OK],
                "shows": _shows(placed),
                "found": [one.finding for one in here.findings() if one.positive],
                "axis": axis_words(),
            },
            parts=("viewer",),
        )


REPORT: Report = FilmReport()


@dataclass(frozen=True)
class _Placed:
    """A film of a page, with what depends on the page's other films.

    Attributes:
        number: its place among all inputs, by name.
        study: number of the first film of its study.
        study_words: a word on its study; empty for a film that is alone in its study, or whose
            study is not known.
        kin: number and name of the other films of its patient on the page.
    """

    result: ImageResult
    scores: Sequence[FindingScore]
    number: int
    study: int
    study_words: str
    kin: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class _Row:
    name: str
    group: ScoreGroup
    calibrated: bool
    sentence: str
    numbers: tuple[str, str]
    measured: str
    bar: str


@dataclass(frozen=True)
class _Card:
    result: ImageResult
    number: int
    study: int
    name: str
    headline: str
    about: tuple[str, ...]
    kin: tuple[tuple[int, str], ...]
    sides: bool
    attention: bool
    status: str
    triage: str
    reasons: tuple[tuple[ReasonCode, str], ...]
    maps: tuple[MapEntry, ...]
    overlays: tuple[tuple[str, str], ...]
    outcome: str
    near: bool
    priority: str
    top: str
    margins: tuple[str, ...]
    scores: tuple[tuple[ScoreGroup, tuple[_Row, ...]], ...]


def _placed(films: Sequence[ImageResult], labels: LabelSet, before: int) -> list[_Placed]:
    """Return a page's films, those of one study together at the first one's place."""
    studies: dict[str | int, list[tuple[int, ImageResult]]] = {}
    patients: dict[str, list[tuple[int, str]]] = {}
    for number, film in enumerate(films, start=before + 1):
        studies.setdefault(film.study_instance_uid or number, []).append((number, film))
        if film.patient:
            patients.setdefault(film.patient, []).append((number, shown(film.image_id)))
    return [
        _Placed(
            film,
            scores_of(film, labels),
            number,
            study[0][0],
            f"film {place} of {len(study)} of its study" if len(study) > 1 else "",
            tuple(one for one in patients.get(film.patient, ()) if one[0] != number),
        )
        for study in studies.values()
        for place, (number, film) in enumerate(study, start=1)
    ]


def _by_priority(films: Sequence[_Placed]) -> list[_Placed]:
    """Sort films by the largest margin of their study; those of one study keep their order."""
    highest: dict[int, float] = {}
    for film in films:
        if film.scores:
            mine = priority(film.scores)
            highest[film.study] = max(mine, highest.get(film.study, mine))
    return sorted(films, key=lambda film: (-highest.get(film.study, -math.inf), film.study))


def _is_near(film: _Placed) -> bool:
    """Return whether a film without a positive finding has one near its threshold."""
    groups = {one.group for one in film.scores}
    return ScoreGroup.NEAR in groups and ScoreGroup.ABOVE not in groups


def _shows(films: Sequence[_Placed]) -> list[tuple[str, str, int]]:
    """Return value, words and count of each choice of the filter, for the films of a page."""
    outcomes = Counter(InputOutcome.of(film.result) for film in films)
    shows = [
        ("all", "All", len(films)),
        ("positive", "Positive", outcomes[InputOutcome.POSITIVE]),
        ("near", "Near", sum(map(_is_near, films))),
        ("negative", "None above", outcomes[InputOutcome.NEGATIVE]),
        ("attention", "Needs attention", sum(f.result.status is not Status.OK for f in films)),
        ("unscored", "Not scored", outcomes[InputOutcome.UNSCORED]),
    ]
    uncalled = outcomes[InputOutcome.UNCALLED]
    return [*shows, ("uncalled", "No thresholds", uncalled)] if uncalled else shows


def _card(film: _Placed, batch: BatchResults) -> _Card:
    result, first = film.result, top(film.scores)
    margins = {one.name: one.margin or 0.0 for one in film.scores}
    return _Card(
        result=result,
        number=film.number,
        study=film.study,
        name=shown(result.image_id),
        headline=headline(result, film.scores),
        about=(*_about(result), *([film.study_words] if film.study_words else [])),
        kin=film.kin,
        sides=result.view.frontal and ReasonCode.MIRRORED_SUSPECTED not in result.codes,
        attention=result.status is not Status.OK,
        status=STATUSES[result.status],
        triage=triage_words(result),
        reasons=tuple((code, REASONS[code]) for code in result.codes),
        maps=map_entries(result, batch.labels),
        overlays=_overlays(result, batch.labels),
        outcome=InputOutcome.of(result).name.lower(),
        near=_is_near(film),
        priority=f"{priority(film.scores):.4f}",
        top=display_name(first.name) if first and result.positives else "",
        margins=tuple(f"{margins[name]:.4f}" for name in result.positives),
        scores=_groups(film.scores, batch.bundle.evaluation),
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


def _groups(
    scores: Sequence[FindingScore], evaluation: Evaluation | None
) -> tuple[tuple[ScoreGroup, tuple[_Row, ...]], ...]:
    return tuple(
        (group, tuple(_row(one, evaluation) for one in members))
        for group, members in groupby(scores, key=lambda one: one.group)
    )


def _row(one: FindingScore, evaluation: Evaluation | None) -> _Row:
    found = one.result
    numbers = (percent(found.probability), "no threshold")
    if found.threshold is not None:
        numbers = pair(found.probability, found.threshold)
    return _Row(
        name=display_name(one.name),
        group=one.group,
        calibrated=found.calibrated,
        sentence=score_sentence(one),
        numbers=numbers,
        measured=measured(evaluation, one),
        bar="" if one.margin is None else log_odds_bar(one.margin, found.positive is True),
    )
