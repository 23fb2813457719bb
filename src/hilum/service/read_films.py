"""The films of a store that were read, each with all its readings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from hilum.domain.radiograph import ViewPosition
from hilum.report.batch.results_jsonl import result_of
from hilum.service.parts import Store
from hilum.service.store.films import FilmRow
from hilum.service.store.verdicts import StoredVerdict, StoredVerdicts, newest_of_each

__all__ = ["FINDINGS", "ReadFilm", "findings_of", "read_films"]

FINDINGS = "findings"
"""Setting of a store with the findings of its bundle, in order."""


@dataclass(frozen=True)
class ReadFilm:
    """A film that was read.

    Attributes:
        film: as the store has it.
        image_id: its name, unique among the films that were read.
        patient: pseudonym; the film's name where the film has none.
        view: view position.
        readings: all versions, oldest first.
    """

    film: FilmRow
    image_id: str
    patient: str
    view: str
    readings: Sequence[StoredVerdict]

    @property
    def newest(self) -> list[StoredVerdict]:
        """The newest reading of each reader."""
        return list(newest_of_each(self.readings).values())


def read_films(store: Store) -> Iterator[ReadFilm]:
    """Yield the films that were read, by name."""
    everything = list(StoredVerdicts(store.database, apart=False).everything())
    grouped = [
        (name, [verdict for _, verdict in rows])
        for (name, _), rows in groupby(everything, key=lambda row: (row[0], row[1].film))
    ]
    names = Counter(name for name, _ in grouped)
    for name, readings in grouped:
        film = store.films.film(readings[0].film)
        if film is None:
            continue
        image_id = name if names[name] == 1 else f"{film.id[:8]}/{name}"
        result = result_of(film.line) if film.line else None
        patient = result.patient if result is not None else ""
        known = result is not None and result.view is not ViewPosition.UNKNOWN
        view = result.view.value if result is not None and known else ""
        yield ReadFilm(film, image_id, patient or image_id, view, readings)


def findings_of(store: Store) -> list[str]:
    """Return the findings of a store's bundle, in order."""
    return json.loads(store.films.setting(FINDINGS) or "[]")
