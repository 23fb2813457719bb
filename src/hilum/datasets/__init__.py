"""Public datasets as they really are: one file a dataset, each read into a cohort."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import cast

from hilum.datasets.base import Card, DatasetReader
from hilum.domain.errors import DatasetError, UsageError, suggestion
from hilum.domain.record import Cohort

__all__ = ["Card", "DatasetReader", "members", "open_dataset", "reader", "without"]

SHARED = frozenset({"base", "columns", "readings"})
"""The files that are no reader, but what readers are made of."""

LAST = "table"
"""The reader of anybody's table: it counts where no other reader recognises the place."""


def members() -> tuple[str, ...]:
    """The names of the readers: those of the files in this folder, sorted.

    >>> "nih" in members()
    True
    """
    names = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(sorted(names - SHARED))


def reader(name: str) -> DatasetReader:
    """The reader of that name.

    Raises:
        UsageError: when there is none.

    >>> reader("nih").CARD.title
    'NIH ChestX-ray14'
    """
    if name not in members():
        raise UsageError(
            f"no dataset reader '{name}'; there are {', '.join(members())}."
            f"{suggestion(name, members())}"
        )
    return cast(DatasetReader, importlib.import_module(f"{__name__}.{name}"))


def open_dataset(place: Path, name: str | None = None) -> Cohort:
    """Read the dataset in a folder, or of a table, whichever it is.

    Args:
        place: the dataset's own top folder, or one of its tables.
        name: its reader, where the place should not be left to speak for itself.

    Raises:
        DatasetError: when there is nothing, or not exactly one reader recognises it.
        UsageError: when there is no reader of that name.
    """
    if not place.exists():
        raise DatasetError(f"a dataset must be a folder or a table; there is none at {place}")
    asked = members() if name is None else (name,)
    matches = [member for member in asked if reader(member).recognise(place)]
    # any table with a film and a finding is "table": it counts only where no other reader does
    matches = [member for member in matches if member != LAST] or matches
    if not matches:
        wanted = "; ".join(f"for {member}, {reader(member).CARD.layout}" for member in asked)
        raise DatasetError(f"no dataset was recognised in {place}; looked {wanted}")
    if len(matches) > 1:
        raise DatasetError(f"{place} could be any of {', '.join(matches)}; name the dataset")
    return reader(matches[0]).read(place)


def without(cohort: Cohort, image_ids: Collection[str], reason: str) -> Cohort:
    """The cohort less some films, with a note of how many and why.

    Names that the cohort does not have are passed over, since a list of films to leave out is
    written for a whole dataset and used on parts of it.

    Args:
        cohort: where to leave films out.
        image_ids: the films.
        reason: why, for the note.
    """
    unwanted = frozenset(image_ids)
    kept = cohort.select(lambda record: record.image_id not in unwanted)
    note = f"films left out, {reason}: {len(cohort) - len(kept):,} of {len(cohort):,}"
    return replace(kept, notes=(*kept.notes, note))
