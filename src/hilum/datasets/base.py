"""The contract of a dataset reader.

A reader is one file of this folder, named as the reader; it defines `DATASET: DatasetReader`.
`parts/` has what readers share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.record import Cohort

__all__ = ["Card", "DatasetReader"]


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
