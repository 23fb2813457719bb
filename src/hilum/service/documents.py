"""The documents of the API: what requests may say, and what answers hold."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, model_validator

from hilum.domain.documents import Document
from hilum.domain.documents.results import ImageResult
from hilum.domain.notice import NOT_A_DEVICE
from hilum.service.store.tokens import Scope
from hilum.service.store.worklist import WorklistState
from hilum.web.problems import ProblemDocument

__all__ = [
    "BoxDocument",
    "BundleDocument",
    "FilmDocument",
    "FilmLinks",
    "FindingSummary",
    "HistoryDocument",
    "Judgment",
    "ReaderProgress",
    "ReadingDocument",
    "ReasonSummary",
    "SessionDocument",
    "SessionRequest",
    "StaleVerdictDocument",
    "SubmittedFilm",
    "SummaryDocument",
    "TopFinding",
    "VerdictDocument",
    "VerdictRequest",
    "VersionDocument",
    "WatchSummary",
    "WorklistDocument",
    "WorklistFilm",
    "WorklistParameters",
]

_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_FindingName = Annotated[str, Field(min_length=1, max_length=100)]


class Judgment(StrEnum):
    """What a reader says of one finding."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    NOT_JUDGED = "not_judged"


class BoxDocument(Document):
    """A box around a finding, in shares of the film from its top left corner."""

    finding: _FindingName
    x: _Share
    y: _Share
    width: Annotated[float, Field(gt=0.0, le=1.0)]
    height: Annotated[float, Field(gt=0.0, le=1.0)]

    @model_validator(mode="after")
    def _within_film(self) -> BoxDocument:
        if self.x + self.width > 1.0 + 1e-6 or self.y + self.height > 1.0 + 1e-6:
            raise ValueError("a box must lie in its film: x + width and y + height at most 1")
        return self


class VerdictRequest(Document, defer_build=False):  # FastAPI warns of requests that are not
    """A reading of a film."""

    findings: Annotated[dict[_FindingName, Judgment], Field(max_length=200)] = {}
    """Finding to judgment; what is not named is not judged."""
    agree_with_rest: bool = False
    """The reader agrees with the calls on every finding that is not judged. It is kept apart from
    judgments, and never becomes a label."""
    unreadable: bool = False
    second_look: bool = False
    """Another reader should look at the film."""
    note: Annotated[str, Field(max_length=2000)] = ""
    boxes: Annotated[tuple[BoxDocument, ...], Field(max_length=100)] = ()


class VerdictDocument(VerdictRequest):
    """One version of a film's readings."""

    version: int
    reader: str
    """Pseudonym of the reader."""
    reader_name: str
    time: str
    """UTC, ISO 8601."""
    blinded: bool
    """It was given before any score of the film was shown to this reader."""
    bundle: str
    """Bundle whose result the reader could see; empty where there was none."""
    thresholds: str
    changed: tuple[str, ...] = ()
    """Findings and fields that differ from the same reader's reading before."""


class StaleVerdictDocument(ProblemDocument):
    """A reading was refused, since it was based on a version that is no longer the newest."""

    current: VerdictDocument | None
    """The newest version."""
    yours: VerdictRequest
    """The reading that was refused."""
    version: int
    """Version to name in `If-Match` to give the reading all the same."""


class HistoryDocument(Document):
    """All readings of a film, oldest first."""

    film: str
    version: int
    readings: tuple[VerdictDocument, ...]
    differ: tuple[str, ...]
    """Findings on which the newest readings of the readers differ."""


class FilmLinks(Document):
    """Where the parts of a film are; null for what there is not."""

    self: str
    history: str
    verdict: str
    preview: str | None
    pixels: str | None
    maps: str | None
    overlays: dict[str, str] = {}
    """Finding to its map drawn over the film."""
    layers: dict[str, str] = {}
    """Finding to its map alone, a PNG with alpha that spans the film."""


class ReadingDocument(Document):
    """How far a film has been read."""

    version: int
    """Version of the newest reading that may be seen; it is also the ETag."""
    readings: int
    """Readers who read it."""
    read_by_me: bool
    conflict: bool
    second_look: bool


class ScoreWords(Document):
    """The words on one score, from the table that all reports use."""

    sentence: str
    """Probability and threshold, such as "7.3%, above its threshold of 6.3%"."""
    measured: str
    """How often a call at this threshold was right; empty where that was not measured."""


class FilmDocument(Document):
    """A film, its result, and how far it was read."""

    id: str
    name: str
    state: str
    """`queued`, `reading` or `done`."""
    added: str
    blinded: bool
    """The result is withheld until this reader's first reading is committed."""
    result: ImageResult | None
    """The line of results.jsonl, byte for byte; null before there is one, and while blinded."""
    scores: dict[str, ScoreWords]
    """Finding to the words on its score; empty before there is a result, and while blinded."""
    reasons: dict[str, str]
    """Each code of the result with its sentence, in the result's order."""
    reading: ReadingDocument
    mine: VerdictDocument | None
    """The newest reading of whoever asks."""
    links: FilmLinks
    notice: str = NOT_A_DEVICE


class SubmittedFilm(Document):
    """A film that is safe on the disk and waits for its result."""

    id: str
    state: str
    links: FilmLinks
    notice: str = NOT_A_DEVICE


class TopFinding(Document):
    """The finding that is farthest above its threshold, or nearest below it."""

    finding: str
    probability: float
    threshold: float
    margin: float
    """Log-odds of the probability less those of the threshold."""


class WorklistFilm(Document):
    """One film of the list. While blinded, what the model found is left out."""

    id: str
    name: str
    state: str
    added: str
    blinded: bool
    status: str | None
    codes: tuple[str, ...] = ()
    message: str = ""
    view: str | None = None
    patient: str = ""
    priority: float | None = None
    top: TopFinding | None = None
    positives: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    reading: ReadingDocument
    links: FilmLinks


class WorklistParameters(Document, defer_build=False):
    """Filters, order and page of the list."""

    state: WorklistState = WorklistState.ALL
    finding: Annotated[str, Field(max_length=100)] = ""
    """Films on which this finding is positive."""
    view: Annotated[str, Field(max_length=20)] = ""
    status: Annotated[str, Field(max_length=20)] = ""
    """Films whose result has this status."""
    code: Annotated[str, Field(max_length=60)] = ""
    """Films whose result has this reason code."""
    reader: Annotated[str, Field(max_length=20)] = ""
    """Films that the reader of this pseudonym has read."""
    patient_of: Annotated[str, Field(max_length=64)] = ""
    """Films of the same patient as the film of this id, and that film; none where its patient is
    not known."""
    q: Annotated[str, Field(max_length=200)] = ""
    """Part of the film's name."""
    sort: Annotated[str, Field(max_length=120)] = ""
    cursor: Annotated[str, Field(max_length=4000)] = ""
    """`next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class WorklistDocument(Document):
    """One page of films, and the counts of the whole list."""

    films: tuple[WorklistFilm, ...]
    next: str | None
    """The cursor of the next page."""
    counts: dict[WorklistState, int]
    """Films in each part of the list; while blinded, without those that tell what was found."""
    notice: str = NOT_A_DEVICE


class FindingSummary(Document):
    """How often one finding was called."""

    finding: str
    positive: int
    """Films on which it is at or above its threshold."""
    scored: int
    """Films with a probability for it; some may not have been called."""


class ReasonSummary(Document):
    """How many films carry one reason code."""

    code: str
    sentence: str
    scored: bool
    """Whether these are films with scores; the same code of others is another entry."""
    films: int


class ReaderProgress(Document):
    """How many films one reader has read."""

    reader: str
    name: str
    films: int


class WatchSummary(Document):
    """Whether films and scores are still as in the bundle's reference; no film and no patient."""

    verdict: str
    """`no alarm`, `alarm` or `not checked`, of the last day; empty before the first."""
    day: str
    """Date, or the films of the lot in the order in which they came."""
    films: int
    """Films that were counted."""
    days: int
    alarmed: int
    """Days that alarmed, of `days`."""
    apart: int
    """Films without a patient, which no day counts."""
    words: str
    """One sentence; empty while blinded."""
    moved: tuple[str, ...]
    """What moved on the last day; empty while blinded."""
    rule_void: bool
    """Whether the bundle's rule-out rule no longer holds: then refer every film."""
    false_alarms: float
    """Alarms a day that undisturbed films may raise."""


class SummaryDocument(Document):
    """All films in counts; while blinded, without those that tell what was found."""

    counts: dict[WorklistState, int]
    statuses: dict[str, int]
    views: dict[str, int]
    findings: tuple[FindingSummary, ...]
    """Most frequent first."""
    reasons: tuple[ReasonSummary, ...]
    readers: tuple[ReaderProgress, ...]
    blinded: bool
    watch: WatchSummary | None = Field(default=None, exclude_if=lambda value: value is None)
    """Absent where the bundle carries no reference."""
    notice: str = NOT_A_DEVICE


class BundleDocument(Document):
    """What scores, or scored, the films."""

    id: str
    name: str
    findings: tuple[str, ...]
    thresholds: dict[str, float | None] | None
    """Finding to threshold; null while the service is blinded."""
    evaluation: dict[str, Any] | None = None
    """evaluation.json of the bundle; null where there is none, or the service is blinded."""
    review_only: bool
    blinded: bool
    notice: str = NOT_A_DEVICE


class VersionDocument(Document):
    """What answers."""

    hilum: str
    api: str = "v1"
    notice: str = NOT_A_DEVICE


class SessionRequest(Document, defer_build=False):
    """What a session is begun with: a token, or the secret of a one-time link."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class SessionDocument(Document):
    """Owner of a session or token."""

    reader: str
    name: str
    scopes: tuple[Scope, ...]
    blinded: bool
    review_only: bool
