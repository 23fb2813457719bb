"""Public datasets as they really are: one file a dataset, each read into a cohort.

A file of this folder is a reader, named as the reader; it defines `DATASET: DatasetReader`, the
contract that is here. `parts/` has what readers share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.members import member, members
from hilum.domain.patient_ids import unify_patients
from hilum.domain.record import Cohort

__all__ = [
    "Card",
    "DatasetReader",
    "films_named",
    "leave_out",
    "open_dataset",
    "reader",
    "without",
]


@dataclass(frozen=True)
class Card:
    """Facts to know of a dataset before quoting a number from it.

    Attributes:
        name: the reader's name, which is its file's.
        title: the name its authors gave it.
        films, patients: as published, for the complete dataset.
        labels: how its labels came about, and what an absent label means.
        layout: the files a folder is recognized by.
        licence, citation, url: the terms, the paper and the place.
        known_faults: what is wrong with it, as far as is known.
    """

    name: str
    title: str
    films: int
    patients: int
    labels: str
    layout: str
    licence: str
    citation: str
    url: str
    known_faults: tuple[str, ...]


@dataclass(frozen=True)
class DatasetReader:
    """The contract of a reader; each file of this folder defines `DATASET: DatasetReader`.

    Attributes:
        card: the dataset's card.
        recognize: whether a place is the dataset: a folder by the names in it, a table by its
            header.
        read: all films that the dataset's table lists, whether their files are here or not. The
            place is the dataset's top folder, or one of its tables, beside which films are looked
            for. Raises DatasetError where the table breaks the dataset's own format.
        write_example: writes a few invented rows and films in the dataset's own layout into a
            folder and returns its root.
    """

    card: Card
    recognize: Callable[[Path], bool]
    read: Callable[[Path], Cohort]
    write_example: Callable[[Path], Path]


LAST = "table"
"""The reader of anybody's table: it counts where no other reader recognizes the place."""


def reader(name: str) -> DatasetReader:
    """Return the reader of that name.

    Raises:
        UsageError: when there is none.

    >>> reader("nih").card.title
    'NIH ChestX-ray14'
    """
    return member(__name__, name, DatasetReader, "dataset reader")


def open_dataset(place: Path, name: str | None = None) -> Cohort:
    """Read the dataset in a folder, or of a table, whichever it is.

    Patients whose ids differ only in spelling, such as `3` and `3.0`, are made one, with a note.

    Args:
        place: the dataset's own top folder, or one of its tables.
        name: its reader, where the place should not be left to speak for itself.

    Raises:
        DatasetError: when there is nothing, or not exactly one reader recognizes it; or for patient
            ids that a spreadsheet has destroyed.
        UsageError: when there is no reader of that name.
    """
    if not place.exists():
        raise DatasetError(f"a dataset must be a folder or a table; there is none at {place}")
    names = members(__name__) if name is None else (name,)
    matches = [member for member in names if reader(member).recognize(place)]
    # any table with a film and a finding is "table": it counts only where no other reader does
    matches = [member for member in matches if member != LAST] or matches
    if not matches:
        raise DatasetError(_nothing(place, names))
    if len(matches) > 1:
        raise DatasetError(f"{place} could be any of {', '.join(matches)}; name the dataset")
    return unify_patients(reader(matches[0]).read(place))


def _nothing(place: Path, names: Sequence[str]) -> str:
    """Say which table is nearly one that a reader knows, and what it lacks."""
    from hilum.datasets.parts.columns import nearest

    if len(names) == 1:
        wanted = reader(names[0]).card.layout
        return f"{place} must have, for {names[0]}, {wanted}; {nearest(place)}"
    known = ", ".join(name for name in names if name != LAST)
    return f"no dataset was recognized in {place}: {nearest(place)} (public ones known: {known})"


def without(cohort: Cohort, names: Collection[str], reason: str) -> Cohort:
    """Return the cohort less the films that some names refer to, with a note of how many and why.

    Names are matched as `FilmNames` says: folders in front, another suffix and capitals do not
    matter.

    Args:
        cohort: where to leave films out.
        names: of the films, as somebody wrote them.
        reason: why, for the note.

    Raises:
        UsageError: for names that fit no film, or several: else a bad film would be trained on.
    """
    return leave_out(cohort, films_named(cohort, names), reason)


def leave_out(cohort: Cohort, image_ids: Collection[str], reason: str) -> Cohort:
    """Return the cohort less the films of exactly these names; unknown names are passed over."""
    unwanted = frozenset(image_ids)
    kept = cohort.select(lambda record: record.image_id not in unwanted)
    note = f"films left out, {reason}: {len(cohort) - len(kept):,} of {len(cohort):,}"
    return replace(kept, notes=(*kept.notes, note))


def films_named(cohort: Cohort, names: Collection[str]) -> frozenset[str]:
    """Return the films of a cohort that some names refer to.

    Raises:
        UsageError: for names that fit no film, or several.
    """
    ids = cohort.image_ids()
    films = FilmNames(ids)
    found = {name: films.find(name) for name in names}
    absent = sorted(name for name, film in found.items() if film.row is None and not film.many)
    double = sorted(name for name, film in found.items() if film.many)
    if absent or double:
        parts = [
            f"{len(wrong):,} of {len(found):,} fit {fit}, first: {', '.join(wrong[:3])}"
            for wrong, fit in ((absent, "no film"), (double, "several films"))
            if wrong
        ]
        raise UsageError(
            f"each name to leave out must be that of a film of {cohort.dataset}; "
            f"{'; '.join(parts)}. Correct these names (the films: {ids[0]}, …), or remove them"
        )
    return frozenset(ids[film.row] for film in found.values() if film.row is not None)
