"""Labels and boxes of several readers for one film: shared by the readers' files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import inf
from pathlib import Path

from hilum.datasets.parts.disk import read_rows
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Box, Record, Vote

__all__ = [
    "Size",
    "add_boxes",
    "add_vote",
    "count_votes",
    "dicom_size",
    "film_box",
    "majority",
    "read_corners",
]

Size = tuple[float, float]
"""Columns and rows of a film, in px."""

_UNKNOWN: Size = (inf, inf)
_COLUMNS = ("image_id", "class_name", "x_min", "y_min", "x_max", "y_max")
_EDGE = 1 + 1e-9  # a box may end on the film's edge, whatever its decimals add up to


def majority(votes: Sequence[Vote]) -> tuple[LabelState, ...]:
    """Return the label of several readers: what all say; else positive where more than half say so.

    Readers who did not judge a finding have no vote on it.

    >>> no, yes = (LabelState.NEGATIVE,), (LabelState.POSITIVE,)
    >>> majority([Vote("R1", yes), Vote("R2", no), Vote("R3", yes)])
    (<LabelState.POSITIVE: 1>,)
    """
    return tuple(_verdict(states) for states in zip(*(vote.states for vote in votes), strict=True))


def add_vote(votes: dict[str, Vote], vote: Vote, where: str) -> bool:
    """Add a reader's labels of a film to those of the others; return whether they are new.

    Raises:
        DatasetError: for a second row of one reader with other labels; with its place.

    >>> votes = {}
    >>> add_vote(votes, Vote("R1", ()), "row 2"), add_vote(votes, Vote("R1", ()), "row 3")
    (True, False)
    """
    known = votes.setdefault(vote.reader, vote)
    if known != vote:
        raise DatasetError(
            f"{where}: {vote.reader} has other labels for this film in a row before. Keep the row "
            "that is right"
        )
    return known is vote


def count_votes(records: dict[str, Record], votes: Mapping[str, Mapping[str, Vote]]) -> None:
    """Give films their readers' labels, and the majority of these as their own.

    Args:
        records: film to record; those with votes are replaced.
        votes: film to reader to labels.
    """
    for film, own in votes.items():
        readers = tuple(own.values())
        records[film] = replace(records[film], states=majority(readers), votes=readers)


def _verdict(votes: tuple[LabelState, ...]) -> LabelState:
    states = tuple(state for state in votes if state is not LabelState.UNLABELLED) or votes
    if len(set(states)) == 1:
        return states[0]
    return LabelState(2 * states.count(LabelState.POSITIVE) > len(states))


def film_box(finding: str, corners: tuple[float, float, float, float], size: Size) -> Box:
    """Return the box between two corners (left, top, right, bottom in px) of a film of that size.

    Raises:
        DatasetError: for a box without an area, or one that leaves its film.

    >>> film_box("Mass", (256, 0, 512, 1024), (1024, 1024))
    Box(finding='Mass', x=0.25, y=0.0, width=0.25, height=1.0)
    """
    columns, rows = size
    left, top, right, bottom = corners
    if not (0 <= left < right <= columns * _EDGE and 0 <= top < bottom <= rows * _EDGE):
        raise DatasetError(
            f"a box must have an area and lie in its film of {columns:g} by {rows:g} px; got "
            f"left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g}"
        )
    return Box(finding, left / columns, top / rows, (right - left) / columns, (bottom - top) / rows)


def add_boxes(found: dict[str, list[Box]], film: str, boxes: list[Box]) -> bool:
    """Add the boxes of one row to those of its film; a row without a box says that there is none.

    Returns:
        Whether the row says anything that the rows before did not.

    Raises:
        DatasetError: for a film with a box in one row and without in another.

    >>> found = {"a": [Box("Mass", 0, 0, 1, 1)]}
    >>> add_boxes(found, "a", [Box("Mass", 0, 0, 1, 1)]), add_boxes(found, "b", [])
    (False, True)
    """
    known = found.setdefault(film, boxes)
    if known is boxes:
        return True
    if bool(known) != bool(boxes):
        raise DatasetError(
            f"film {film} is listed both with a box and without. Keep the row that is right"
        )
    new = [box for box in boxes if box not in known]
    known += new
    return bool(new)


def read_corners(
    table: Path,
    labels: LabelSet,
    films: Mapping[str, Path],
    sizes: Mapping[str, Size],
    notes: list[str],
) -> dict[str, tuple[Box, ...]]:
    """Film to its boxes, from the table format that VinDr-CXR and VinBigData share.

    A film's size is taken from `sizes`, else from its DICOM header; boxes of films whose size is
    not known are left out, and noted. A box that leaves its film is cut at the edge, and noted.

    Raises:
        DatasetError: for an unknown finding or a box without an area on its film; with the row.
    """
    found: dict[str, tuple[Box, ...]] = {}

    @cache
    def size_of(film: str) -> Size:
        return sizes.get(film) or dicom_size(films.get(film)) or _UNKNOWN

    homeless = cut = 0
    for number, (film, word, *sides) in read_rows(table, _COLUMNS):
        if not any(sides):  # a reader's "No finding"
            continue
        columns, rows = size = size_of(film)
        try:
            finding = labels.findings[labels.index(word)]
            left, top, right, bottom = (float(side) for side in sides)
            within = left, top, min(right, columns), min(bottom, rows)
            box = film_box(finding, within, size)
        except (DatasetError, UsageError, ValueError) as error:
            raise DatasetError(f"{table.name} row {number}: {error}") from error
        if size is _UNKNOWN:
            homeless += 1
            continue
        cut += within != (left, top, right, bottom)
        found[film] = (*found.get(film, ()), box)
    if homeless:
        notes.append(f"boxes left out, as the size of their film is not known here: {homeless:,}")
    if cut:
        notes.append(f"boxes that leave their film, cut at its edge: {cut:,}")
    return found


def dicom_size(film: Path | None) -> Size | None:
    """Return the size of a film from its header; None for one that is not here, or not DICOM."""
    if film is None or film.suffix.lower() not in (".dcm", ".dicom"):
        return None
    from pydicom import dcmread

    try:
        header = dcmread(film, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        columns, rows = int(header.Columns), int(header.Rows)
    except Exception:  # a broken film is refused where it is scored; here it has no size
        return None
    return (columns, rows) if columns > 0 and rows > 0 else None
