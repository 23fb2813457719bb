"""What is watched of each film, as columns: from the rows of results, and a table beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.results import ImageResult
from hilum.domain.documents.rule_out import TriageWay
from hilum.domain.errors import ReasonCode, Status

__all__ = ["ALL_LOGITS", "CORRECTED", "LOGIT", "FilmNote", "WatchedFilms", "watched_films"]

ALL_LOGITS = "mean logit of all findings"
CORRECTED = "corrected by a reader"
"""Flag of a film that was read: whether a reader differs from a call."""
LOGIT = "logit "
"""Start of the name of a finding's logit."""
_LARGEST_LOGIT = 13.8
"""Logit of a probability of 1 - 1e-6: a rounded 0 or 1 is no further away."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class FilmNote:
    """What a table beside the results tells of a film; empty where it does not.

    Attributes:
        patient: whose film.
        day: YYYY-MM-DD.
        words: such as site and manufacturer.
        age_years: where known.
        judged: findings that readers called present (True) or absent; None for a film not read.
    """

    patient: str = ""
    day: str = ""
    words: Mapping[str, str] | None = None
    age_years: float | None = None
    judged: frozenset[tuple[str, bool]] | None = None


@dataclass(frozen=True, eq=False)
class WatchedFilms:
    """Films as columns.

    Attributes:
        names: of the films.
        patients: (N,) patient of each, 0 to M - 1.
        days: (N,) YYYY-MM-DD, or empty.
        numbers: quantity to (N,) values; NaN where a film has none.
        words: quantity to (N,) words; empty where a film has none.
        flags: quantity to (N,) 0, 1 or NaN.
        probabilities: finding to (N,) probabilities; NaN where a film was not scored.
        thresholds: finding to its threshold, of those that have one.
    """

    names: tuple[str, ...]
    patients: NDArray[np.intp]
    days: NDArray[np.str_]
    numbers: dict[str, Numbers]
    words: dict[str, NDArray[np.str_]]
    flags: dict[str, Numbers]
    probabilities: dict[str, Numbers]
    thresholds: dict[str, float]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def patient_count(self) -> int:
        """Patients among these films."""
        return int(np.unique(self.patients).size)

    def at(self, rows: NDArray[np.intp]) -> WatchedFilms:
        """Return some of the films, with patients numbered anew."""
        _, patients = np.unique(self.patients[rows], return_inverse=True)

        def part(columns: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
            return {name: values[rows] for name, values in columns.items()}

        return replace(
            self,
            names=tuple(self.names[row] for row in rows),
            patients=patients.astype(np.intp),
            days=self.days[rows],
            numbers=part(self.numbers),
            words=part(self.words),
            flags=part(self.flags),
            probabilities=part(self.probabilities),
        )


def watched_films(
    results: Iterable[ImageResult], notes: Mapping[str, FilmNote] | None = None
) -> WatchedFilms:
    """Return the watched columns of some results, in their order.

    Args:
        results: rows of a batch.
        notes: film name to what a table tells of it.
    """
    rows = list(results)
    reported = [(notes or {}).get(row.image_id, FilmNote()) for row in rows]
    patients = [note.patient or row.patient for row, note in zip(rows, reported, strict=True)]
    findings = next((list(row.findings) for row in rows if row.findings), [])
    probabilities = {name: _probabilities(rows, name) for name in findings}
    _, numbered = np.unique(np.array(patients, dtype=np.str_), return_inverse=True)
    return WatchedFilms(
        names=tuple(row.image_id for row in rows),
        patients=numbered.astype(np.intp),
        days=np.array([note.day for note in reported], dtype=np.str_),
        numbers=_numbers(rows, reported, probabilities),
        words=_words(rows, reported),
        flags=_flags(rows, reported, findings),
        probabilities=probabilities,
        thresholds=_thresholds(rows),
    )


def _thresholds(rows: Sequence[ImageResult]) -> dict[str, float]:
    scored = next((row.findings for row in rows if row.findings), {})
    return {
        name: one.threshold for name, one in (scored or {}).items() if one.threshold is not None
    }


def _probabilities(rows: Sequence[ImageResult], finding: str) -> Numbers:
    return np.array(
        [np.nan if row.findings is None else row.findings[finding].probability for row in rows]
    )


def _numbers(
    rows: Sequence[ImageResult], reported: Sequence[FilmNote], probabilities: Mapping[str, Numbers]
) -> dict[str, Numbers]:
    numbers: dict[str, Numbers] = {}
    for name in ("mean", "spread", "black", "white", "sharpness", "border"):
        numbers[f"gray {name}"] = np.array(
            [np.nan if row.gray is None else getattr(row.gray, name) for row in rows]
        )
    numbers["age"] = np.array(
        [
            np.nan if age is None else age
            for row, note in zip(rows, reported, strict=True)
            for age in [row.age_years if note.age_years is None else note.age_years]
        ]
    )
    with np.errstate(divide="ignore"):
        logits = {
            name: np.clip(np.log(p) - np.log1p(-p), -_LARGEST_LOGIT, _LARGEST_LOGIT)
            for name, p in probabilities.items()
        }
    numbers |= {f"{LOGIT}{name}": values for name, values in logits.items()}
    if logits:
        numbers[ALL_LOGITS] = np.mean(list(logits.values()), axis=0)
    return numbers


def _words(
    rows: Sequence[ImageResult], reported: Sequence[FilmNote]
) -> dict[str, NDArray[np.str_]]:
    words = {
        "view": [row.view.value for row in rows],
        "sex": [row.sex.value for row in rows],
        "size": ["" if r.gray is None else f"{r.gray.rows} x {r.gray.columns}" for r in rows],
    }
    for name in sorted({name for note in reported for name in note.words or {}}):
        own = words.get(name, [""] * len(rows))
        words[name] = [
            (note.words or {}).get(name, "") or before
            for note, before in zip(reported, own, strict=True)
        ]
    return {name: np.array(values, dtype=np.str_) for name, values in words.items()}


def _flags(
    rows: Sequence[ImageResult], reported: Sequence[FilmNote], findings: Sequence[str]
) -> dict[str, Numbers]:
    scored = np.array([np.nan if row.findings is None else 0.0 for row in rows])
    flags = {
        "not scored": np.array([not row.status.scored for row in rows], np.float64),
        "rejected": np.array([row.status is Status.REJECT for row in rows], np.float64),
        "warned": np.array([row.status is Status.WARN for row in rows], np.float64),
        "age unknown": np.array(
            [
                row.age_years is None and note.age_years is None
                for row, note in zip(rows, reported, strict=True)
            ],
            np.float64,
        ),
    }
    for code in ReasonCode:
        flags[f"code {code.value}"] = np.array([code in row.codes for row in rows], np.float64)
    for name in findings:
        called = [bool(row.findings and row.findings[name].positive) for row in rows]
        flags[f"positive {name}"] = called + scored
    if any(note.judged is not None for note in reported):
        flags[CORRECTED] = np.array(
            [_corrected(row, note) for row, note in zip(rows, reported, strict=True)]
        )
    if any(row.triage is not None for row in rows):
        referred = [row.triage is None or row.triage.way is TriageWay.REFER for row in rows]
        flags["referred"] = np.array(referred, np.float64)
    return flags


def _corrected(row: ImageResult, note: FilmNote) -> float:
    """Return 1 where a reader differs from a call, 0 where none does, NaN for a film not read."""
    if note.judged is None or row.findings is None:
        return float("nan")
    calls = {name: one.positive for name, one in row.findings.items()}
    differs = (calls[name] is not present for name, present in note.judged if name in calls)
    return float(any(differs))
