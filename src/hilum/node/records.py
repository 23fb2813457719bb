"""What the books of a node record: films, studies, objects, and the state of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "BuiltObject",
    "DeliveryState",
    "FilmOutcome",
    "FilmState",
    "Receipt",
    "ReceivedFilm",
    "Refused",
    "SpooledFilm",
    "StudyRun",
]


class FilmState(StrEnum):
    """What became of a film."""

    RECEIVED = "received"
    """Whole on the disk; not scored yet."""
    COMPLETE = "complete"
    """Scored, or refused by the gate with a code."""
    FAILED = "failed"
    """It ended its reader process twice, or could not be read in time."""
    IGNORED = "ignored"
    """Not a film, or a result of hilum: answered, and not kept."""


class DeliveryState(StrEnum):
    """Where an object is on its way to a destination."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    """The destination answered success, which is not proof that it kept it."""
    UNCONFIRMED = "unconfirmed"
    """It answered success, and must still show that it has the object (`commit`)."""
    CONFIRMED = "confirmed"
    """It committed to keep the object, or gave the same bytes back."""
    FAILED = "failed"
    SUPERSEDED = "superseded"
    """A later revision was made before this one was sent anywhere."""


class Receipt(StrEnum):
    """What a received film is to the books."""

    NEW = "new"
    SAME = "same"
    """The same object with the same bytes is here."""
    CONFLICT = "conflict"
    """The same object with other bytes is here."""


@dataclass(frozen=True, repr=False)
class ReceivedFilm:
    """A film that is whole on the disk, or need not be kept.

    Attributes:
        sop, study: UIDs.
        sha256: of transfer syntax and encoded data set.
        size: bytes of its file.
        patient: hash of the patient id.
        ignored: code that says why it is not scored; empty for a film.
    """

    sop: str
    study: str
    sha256: str
    size: int
    patient: str
    ignored: str = ""


@dataclass(frozen=True, repr=False)
class Refused:
    """What was not accepted.

    Attributes:
        sop: UID that it claims, if that is one.
        sha256: of what was kept; empty where nothing was.
        size: bytes.
        status: DIMSE status it was answered with.
        code: reason.
    """

    sop: str
    sha256: str
    size: int
    status: int
    code: str


@dataclass(frozen=True)
class SpooledFilm:
    """A film to score.

    Attributes:
        number: of the film, our own.
        sha256: names its file.
        predecessors: kind to (series, object) UIDs of the reports of the revision before.
    """

    number: int
    sha256: str
    predecessors: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyRun:
    """A study that is being scored.

    Attributes:
        number: of the study, our own.
        revision: of the objects to make.
        newest: number of the newest film.
        films: its films that are here, in the order in which they came.
        conflicted: whether its films name several patients, also those that are no longer here.
    """

    number: int
    revision: int
    newest: int
    films: Sequence[SpooledFilm]
    conflicted: bool = False


@dataclass(frozen=True)
class FilmOutcome:
    """What scoring a film came to.

    Attributes:
        number: of the film.
        state: complete or failed.
        code: reason, where there is one.
        line: its row, as in results.jsonl, with pseudonyms.
    """

    number: int
    state: FilmState
    code: str
    line: str


@dataclass(frozen=True)
class BuiltObject:
    """An object that is whole on the disk.

    Attributes:
        film: number of its film.
        kind: such as "sr".
        sop, series, sop_class, syntax: UIDs.
        sha256: of its file.
        size: bytes.
    """

    film: int
    kind: str
    sop: str
    series: str
    sop_class: str
    syntax: str
    sha256: str
    size: int
