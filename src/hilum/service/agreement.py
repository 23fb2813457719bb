"""Agreement of the readers of a store with each other, and with the calls of the bundle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.agreement import ReaderAgreement
from hilum.evaluation.agreement import MODEL, NOT_CALLED, RESAMPLES, agreement_on
from hilum.service.parts import Store
from hilum.service.read_films import ReadFilm, findings_of, read_films
from hilum.service.store.verdicts import StoredVerdict, newest_of_each

__all__ = ["agreement_json", "agreement_of"]

_CALLS = {"present": 1, "absent": 0}
_SEED = 0


def agreement_of(store: Store, blinded_only: bool = False) -> ReaderAgreement:
    """Return how far readers agree, of each reader's newest reading of each film.

    A finding that a reader calls uncertain, or does not judge, is no call. The model's call is that
    of the film's newest result.

    Args:
        store: with the readings.
        blinded_only: count readings alone that were given before a score was shown.
    """
    films = list(read_films(store))
    newest = [_counted(film, blinded_only) for film in films]
    readings = [one for own in newest for one in own.values()]
    readers = sorted({reader for own in newest for reader in own}, key=lambda one: (len(one), one))
    calls = {
        finding: {
            **{reader: _calls_of(newest, reader, finding) for reader in readers},
            MODEL: np.array([_model(film, finding) for film in films], np.int8),
        }
        for finding in findings_of(store)
    }
    known = {
        finding: own
        for finding, own in calls.items()
        if any((own[reader] != NOT_CALLED).any() for reader in readers)
    }
    patients = np.array([film.patient for film in films], np.str_)
    return ReaderAgreement(
        bundle=films[0].film.bundle if films else "",
        readers=tuple(readers),
        blinded_only=blinded_only,
        readings=len(readings),
        blinded_readings=sum(one.blinded for one in readings),
        resamples=RESAMPLES,
        findings=agreement_on(known, patients, np.random.default_rng(_SEED)),
    )


def agreement_json(store: Store) -> str:
    """Return the agreement of all readings as JSON."""
    return agreement_of(store).model_dump_json(indent=2) + "\n"


def _counted(film: ReadFilm, blinded_only: bool) -> dict[str, StoredVerdict]:
    return newest_of_each([one for one in film.readings if one.blinded or not blinded_only])


def _calls_of(
    newest: Sequence[dict[str, StoredVerdict]], reader: str, finding: str
) -> NDArray[np.int8]:
    bodies = (own[reader].body if reader in own else {} for own in newest)
    words = (body.get("findings", {}).get(finding, "") for body in bodies)
    return np.array([_CALLS.get(word, NOT_CALLED) for word in words], np.int8)


def _model(film: ReadFilm, finding: str) -> int:
    found = (film.film.facts.get("findings") or {}).get(finding) or {}
    positive = found.get("positive")
    return NOT_CALLED if positive is None else int(positive)
