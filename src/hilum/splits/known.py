"""Published film lists for training and testing, recognized by their hash."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from hilum.domain.errors import LeakError, UsageError, suggestion
from hilum.domain.record import Split, digest
from hilum.splits.overlap import percent

__all__ = ["KnownSplit", "known_splits", "recognize", "refuse_other_family"]

_ELLIPSIS = "…"


@dataclass(frozen=True)
class KnownSplit:
    """A published film list.

    Attributes:
        name: name of the list in reports.
        dataset: name of the dataset's reader.
        family: lists that were divided together; no patient is in two lists of one family.
        uses: the splits that its films are for.
        films, patients: number of each.
        sha256: hash of the sorted film names; or its two ends with an ellipsis between, where no
            more was published.
        source: origin of the list.
    """

    name: str
    dataset: str
    family: str
    uses: tuple[Split, ...]
    films: int
    patients: int
    sha256: str
    source: str

    def matches(self, count: int, sha256: str) -> bool:
        """Return whether a list with this number of films and this hash is this list."""
        start, _, end = self.sha256.partition(_ELLIPSIS)
        return count == self.films and sha256.startswith(start) and sha256.endswith(end)


@dataclass(frozen=True)
class _Crossing:
    """Films of one family's test set that a different family trains or tunes on."""

    trained: str
    tested: str
    films: int
    of: int
    source: str


@cache
def known_splits() -> tuple[KnownSplit, ...]:
    """Return every known list, grouped by family.

    >>> [split.name for split in known_splits() if Split.TEST in split.uses]
    ['NIH official test', 'NIH random test']
    """
    return tuple(
        KnownSplit(uses=tuple(Split(use) for use in row.pop("uses")), **row)
        for row in map(dict, _document()["splits"])
    )


def recognize(image_ids: Iterable[str]) -> KnownSplit | None:
    """Return the known list with exactly these films, in any order; None for any other set.

    A hash identifies whole lists only: a part of one is not recognized.

    Args:
        image_ids: film names of the dataset, such as "00000001_000.png".

    >>> recognize(["00000001_000.png"]) is None
    True
    """
    names = set(image_ids)
    if all(split.films != len(names) for split in known_splits()):
        return None
    sha256 = digest(names)
    return next((split for split in known_splits() if split.matches(len(names), sha256)), None)


def refuse_other_family(trained: KnownSplit | str, test: KnownSplit) -> None:
    """Refuse to test weights of one family on a list that may have trained them.

    Args:
        trained: the list that the weights were trained on, or the name of its family.
        test: the list to be tested on.

    Raises:
        LeakError: when the families differ, or the weights were trained on this list.
        UsageError: for a family that is not known.

    >>> official = next(split for split in known_splits() if split.name == "NIH official test")
    >>> refuse_other_family("nih-random", official)
    Traceback (most recent call last):
    ...
    hilum.domain.errors.LeakError: weights of one split family must not be tested on another's
    list: 20,383 of 25,596 films (79.6 %) of NIH official test lie in train and tune of nih-random
    (counted in the lists of NIH and of arnoweng/CheXNet). Test on nih-random, or train again
    """
    family = trained if isinstance(trained, str) else trained.family
    families = {split.family: split.dataset for split in known_splits()}
    if family not in families:
        raise UsageError(
            f"a split family must be one of {', '.join(families)}; got '{family}'."
            f"{suggestion(family, families)}"
        )
    if isinstance(trained, KnownSplit) and family == test.family:
        _refuse_same_films(trained, test)
    if family == test.family or families[family] != test.dataset:
        return
    crossing = next(
        (c for c in _crossings() if (c.trained, c.tested) == (family, test.family)), None
    )
    known = "its patients may have trained the weights"
    if crossing is not None and Split.TEST in test.uses:
        share = percent(crossing.films, crossing.of)
        known = (
            f"{crossing.films:,} of {crossing.of:,} films ({share}) of {test.name} lie in train "
            f"and tune of {family} ({crossing.source})"
        )
    raise LeakError(
        f"weights of one split family must not be tested on another's list: {known}. "
        f"Test on {family}, or train again"
    )


def _refuse_same_films(trained: KnownSplit, test: KnownSplit) -> None:
    shared = [use.value for use in trained.uses if use in test.uses]
    if shared:
        raise LeakError(
            f"weights must not be tested on the films they were trained on; {test.name} is "
            f"{' and '.join(shared)} of {test.family}, as is {trained.name}. Test on its test list"
        )


@cache
def _crossings() -> tuple[_Crossing, ...]:
    return tuple(_Crossing(**row) for row in _document()["crossings"])


@cache
def _document() -> dict[str, list[dict[str, Any]]]:
    return yaml.safe_load(files("hilum.splits").joinpath("known.yaml").read_text("utf-8"))
