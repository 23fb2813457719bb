"""Anybody's table: a CSV with a column of films, and a column a finding or one of joined labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import columns, disk, readings
from hilum.datasets.parts.records import (
    NO_PATIENTS,
    add_once,
    age_years,
    film_notes,
    first_names,
    sex_of,
)
from hilum.domain.errors import DatasetError, suggestion
from hilum.domain.film_names import FilmNames, stem_of
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record, Split, Vote
from hilum.files.films import film_beside, film_paths

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="table",
    title="a table of your own",
    films=0,
    patients=0,
    labels="As the table has them: 1 positive, 0 negative, -1 uncertain, blank unlabelled. In a "
    "column of labels joined by '|', what is not listed is negative, and a blank is unlabelled. "
    "With a column `reader`, a row is one reader's.",
    layout="exactly one *.csv with a column of films (image_id, Image Index, path, ...) and a "
    "column a finding or one of joined labels, with films anywhere below",
    licence="that of the films' owner",
    citation="Shafranovich Y. Common format and MIME type for comma-separated values (CSV) files. "
    "RFC 4180, 2005",
    url="https://www.rfc-editor.org/rfc/rfc4180",
    known_faults=("Nothing is known of how the labels came about.",),
)

_SPLITS = {
    **{split.value: split for split in Split},
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), Split.TUNE),
}
_REPEATED = "rows that repeat a film with the same labels, left out"
_AGELESS = "films whose age cannot be, taken as unknown"
_VIEWLESS = "films whose view is no known word, taken as unknown"


def recognize(place: Path) -> bool:
    """Return whether one table (of a folder: exactly one) has columns of films and labels."""
    return len(_layouts(place)) == 1


def read(place: Path) -> Cohort:
    """Read the labels and what else the columns tell, and find the films that are here.

    Films are found by their path from the folder; where a folder is given, not one table in it,
    also by their name anywhere below. A column `split` gives the official test and tune films.
    Rows of one film with a column `reader` are votes, of which `readings.majority` makes a label.

    Raises:
        DatasetError: for a table without films or findings, a label or split that is not one, or
            a film with two different rows; with the row.
    """
    layouts = _layouts(place)
    if len(layouts) != 1:
        has = first_names(table.name for table in layouts) or "none"
        raise DatasetError(f"{place} must have {CARD.layout}; it has {has}. Name the table itself")
    ((table, layout),) = layouts.items()
    notes = disk.source_notes(table)
    notes += [] if "patient" in layout.roles else [NO_PATIENTS]
    if layout.unread:
        notes.append(f"{table.name}: columns not read: {', '.join(layout.unread)}")
    labels, marks = columns.marks_of(table, layout, notes)
    films = {} if place.is_file() else _films_below(place)
    locate = _locator(table.parent, films)
    records: dict[str, Record] = {}
    splits: dict[str, Split | None] = {}
    votes: dict[str, dict[str, Vote]] = {}
    counts: Counter[str] = Counter()
    for where, row, cells in _rows(table, layout):
        film = row["film"]
        try:
            states, split = marks(cells), _split(row.get("split", ""))
        except DatasetError as error:
            raise DatasetError(f"{where}: {error}") from error
        record = _record(row, states, locate(row.get("path", film)))
        new = False
        if reader := row.get("reader", ""):
            new = readings.add_vote(votes.setdefault(film, {}), Vote(reader, states), where)
            record = replace(record, states=records.get(film, record).states)
        counts[_REPEATED] += not (add_once(records, record, where) or new)
        counts[_AGELESS] += bool(row.get("age")) and record.age_years is None
        counts[_VIEWLESS] += bool(row.get("view")) and record.view is ViewPosition.UNKNOWN
        if splits.setdefault(film, split) is not split:
            raise DatasetError(f"{where}: film {film} must have one split; it has another above")
    readings.count_votes(records, votes)
    notes += [f"{what}: {count:,}" for what, count in counts.items() if count]
    described = {record.path for record in records.values()}
    notes += film_notes(records, {n: path for n, path in films.items() if path not in described})
    test, tune = (
        frozenset(film for film, split in splits.items() if split is use) or None
        for use in (Split.TEST, Split.TUNE)
    )
    unheeded = sum(split in (Split.TRAIN, Split.CALIBRATE) for split in splits.values())
    if unheeded:
        notes.append(
            f"films whose split is train or calibrate, drawn anew among these: {unheeded:,}"
        )
    drawn = disk.is_synthetic(table.parent)
    return Cohort(CARD.name, labels, tuple(records.values()), test, tuple(notes), drawn, tune)


def write_example(folder: Path) -> Path:
    """Write five invented rows of four patients with all kinds of labels, and four films."""
    rows = (
        "image_id,patient_id,view,age,sex,split,Pleural Effusion,Mass,No Finding",
        "a/one.png,P1,PA,57,F,train,1,0,0",
        "a/two.png,P1,LL,57,F,train,0,,0",
        "b/three.png,P2,AP,61,M,train,-1,0,0",
        "four,P3,PA,44,M,tune,0,0,1",
        "five,P4,PA,39,F,test,0,1,0",
    )
    disk.write_lines(folder / "labels.csv", rows)
    for number, name in enumerate(("a/one", "a/two", "b/three", "b/deep/four")):
        disk.draw_film(folder / f"{name}.png", 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _layouts(place: Path) -> dict[Path, columns.Layout]:
    """Return the tables with films and labels: the place itself, or those in the folder."""
    tables = [place] if place.is_file() else disk.tables_in(place)
    found = {table: columns.layout_of(table) for table in tables}
    return {table: layout for table, layout in found.items() if layout is not None}


def _rows(
    table: Path, layout: columns.Layout
) -> Iterator[tuple[str, dict[str, str], tuple[str, ...]]]:
    """Yield the place of a row, its text by role, and its label cells."""
    roles = list(layout.roles)
    for number, cells in disk.read_rows(table, [*layout.roles.values(), *layout.label_columns]):
        row = dict(zip(roles, cells, strict=False))
        where = f"{table.name} row {number}"
        if not row["film"] or not row.get("patient", row["film"]):
            blank = layout.roles["patient" if row["film"] else "film"]
            raise DatasetError(f"{where}: {blank} must be given; it is blank")
        yield where, row, tuple(cells[len(roles) :])


def _record(row: Mapping[str, str], states: columns.States, path: Path | None) -> Record:
    return Record(
        image_id=row["film"],
        patient_id=row.get("patient", row["film"]),
        states=states,
        path=path,
        view=ViewPosition.from_words(row.get("view", "")),
        age_years=age_years(row.get("age", "")),
        sex=sex_of(row.get("sex", "")),
        study_id=row.get("study") or None,
    )


def _split(word: str) -> Split | None:
    if word and word.casefold() not in _SPLITS:
        raise DatasetError(
            f"a split must be one of {', '.join(Split)}, or blank; got '{word}'."
            f"{suggestion(word, _SPLITS)}"
        )
    return _SPLITS.get(word.casefold())


def _films_below(root: Path) -> dict[str, Path]:
    """Path from the folder to film, in one pass over everything below it."""
    return {path.relative_to(root).as_posix(): path for path in film_paths(root)}


def _locator(root: Path, films: Mapping[str, Path]) -> Callable[[str], Path | None]:
    alone: dict[str, Path | None] = {}
    named, order = FilmNames(films), list(films.values())
    for path in films.values():
        for name in {path.name, stem_of(path.name)}:
            alone[name] = None if name in alone else path  # of two films, neither is guessed

    def locate(film: str) -> Path | None:
        name = film.replace("\\", "/").removeprefix("./")
        if found := films.get(name) or alone.get(name.rpartition("/")[2]):
            return found
        row = named.find(name).row
        return film_beside(root / name) if row is None else order[row]

    return locate
