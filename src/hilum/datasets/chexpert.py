"""CheXpert and CheXpert-small: 224,316 films, 14 labels mined from reports, with uncertainty."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk
from hilum.datasets.parts.columns import chexpert_columns
from hilum.datasets.parts.records import (
    AGELESS,
    REPEATED,
    add_once,
    age_years,
    film_notes,
    row_states,
    sex_of,
    spelling_notes,
)
from hilum.domain.errors import DatasetError
from hilum.domain.findings import label_set
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.files.films import film_beside

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="chexpert",
    title="CheXpert",
    films=224_316,
    patients=65_240,
    labels="Those of train are mined from reports by text rules: 1 positive, 0 negative, "
    "-1 uncertain, blank not mentioned. Radiologists read valid (three) and test (five). A label "
    "belongs to the study: its lateral film carries it too.",
    layout="train.csv, valid.csv or test_labels.csv with the columns Path and Pleural Effusion, "
    "in the folder, in CheXpert-v1.0…/ or in raw/, with films in train/, valid/ and test/",
    licence="Stanford University Dataset Research Use Agreement: research only, not to be shared",
    citation="Irvin J, Rajpurkar P, Ko M, et al. CheXpert: a large chest radiograph dataset with "
    "uncertainty labels and expert comparison. AAAI 2019",
    url="https://stanfordmlgroup.github.io/competitions/chexpert/",
    known_faults=(
        "The published counts are train (223,414 films, 64,540 patients), valid (234, 200) and "
        "test (668, 500) together; most downloads have no test.",
        "8,808 films of train are No Finding and Support Devices at once, which is no conflict.",
        "17 frontal films of train have the direction LL or RL.",
        "Ages end at 90, and three films of train have age 0.",
    ),
)

_TABLES = (("train.csv",), ("valid.csv",), ("test_labels.csv", "test.csv"))
_MARKS = ("Path", "Enlarged Cardiomediastinum", "Pleural Effusion")
_ABOUT = ("Sex", "Age", "Frontal/Lateral", "AP/PA")
# a path begins with the folder of whoever wrote the table, such as "CheXpert-v1.0-small/"
_PATH = re.compile(
    r"(?:.*/)?((train|valid|test)/(patient\d+)/(study\d+)/view\d+_(frontal|lateral)\.\w+)"
)
_ODD = "frontal films whose direction is neither AP nor PA, read as frontal"


def recognize(place: Path) -> bool:
    """Return whether a table has CheXpert's columns: in a folder, one with a name of CheXpert's."""
    return bool(_tables(place))


def read(place: Path) -> Cohort:
    """Read the tables that are here, and find the films that are, whatever their paths begin with.

    The official test films are those of test where it is here, and those of valid then are the
    official tune films; else those of valid. Lateral films are read too.

    Raises:
        DatasetError: for a path that is not CheXpert's, a label other than 1, 0, -1 and blank, or
            a film listed twice with different labels; with the row.
    """
    tables = _tables(place)
    if not tables:
        raise DatasetError(f"{CARD.title} must have {CARD.layout}; none is in {place}")
    root = disk.folder_of(place)
    shelves = _shelves([tables[0].parent, *_tops(root)])
    records: dict[str, Record] = {}
    counts: Counter[str] = Counter()
    for table in tables:
        _read_table(table, shelves, records, counts)
    names = ", ".join(table.relative_to(root).as_posix() for table in tables)
    notes = [f"labels are from {names}", *disk.source_notes(*tables)[1:]]
    notes += spelling_notes(chexpert_columns(), label_set("CheXpert-14"), CARD.title)
    notes += [f"{what}: {count:,}" for what, count in sorted(counts.items()) if count]
    notes += film_notes(records, {})
    test, valid = (
        frozenset(name for name in records if name.startswith(f"{split}/")) or None
        for split in ("test", "valid")
    )
    if test is None:
        instead = "no official test set" if valid is None else "valid is the official test set"
        notes.append(f"there is no test table: {instead}")
    labels, rows = label_set("CheXpert-14"), tuple(records.values())
    tune, drawn = valid if test else None, disk.is_synthetic(root)
    return Cohort(CARD.name, labels, rows, test or valid, tuple(notes), drawn, tune)


def write_example(folder: Path) -> Path:
    """Write a CheXpert-small of eight invented rows in three tables, and seven of their films."""
    header = ",".join(("Path", *_ABOUT, *chexpert_columns()))
    tables = {
        "train.csv": (
            header,
            "patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
            "patient00002/study1/view1_frontal.jpg,Female,83,Frontal,PA,,,,1.0,,,-1.0,,,,,,1.0,",
            "patient00002/study1/view2_lateral.jpg,Female,83,Lateral,,,,,1.0,,,-1.0,,,,,,1.0,",
            "patient00003/study1/view1_frontal.jpg,Male,0,Frontal,LL,1.0,0.0,,,,,,,,,,,,",
            "patient00004/study1/view1_frontal.jpg,Unknown,41,Frontal,AP,,,1.0,,,1.0,,,,,1.0,,,",
        ),
        "valid.csv": (
            header,
            "patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0" + ",0.0" * 11,
            "patient64542/study1/view1_frontal.jpg,Female,70,Frontal,PA,1.0" + ",0.0" * 13,
        ),
        "test_labels.csv": (
            ",".join(("Path", *chexpert_columns())),
            "patient64741/study1/view1_frontal.jpg,0,1,0,1,0,1,0,0,0,0,1,0,0,1",
        ),
    }
    top = folder / "CheXpert-v1.0-small"
    for table, (columns, *rows) in tables.items():
        split = table.removesuffix(".csv").removesuffix("_labels")
        disk.write_lines(top / table, (columns, *(f"{top.name}/{split}/{row}" for row in rows)))
        for number, row in enumerate(rows[:4]):
            disk.draw_film(top / split / row.split(",")[0], 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _tops(root: Path) -> list[Path]:
    below = [path for path in sorted(root.glob("CheXpert-v1.0*")) if path.is_dir()]
    return [root, *below, root / "raw"]


def _tables(place: Path) -> list[Path]:
    if place.is_file():
        return [place] if disk.has_columns(place, _MARKS) else []
    for top in _tops(place):
        named = (disk.find_table(top, names) for names in _TABLES)
        # a table may have these names and be another dataset's
        found = [table for table in named if table and disk.has_columns(table, _MARKS)]
        if found:
            return found
    return []


def _shelves(tops: Sequence[Path]) -> dict[str, list[Path]]:
    splits = ("train", "valid", "test")
    shelves = {split: [top / split for top in tops if (top / split).is_dir()] for split in splits}
    # the full-size download has train in three, such as "CheXpert-v1.0 batch 2 (train 1)"
    shelves["train"] += [top for top in tops if "(train" in top.name]
    return shelves


def _read_table(
    table: Path, shelves: dict[str, list[Path]], records: dict[str, Record], counts: Counter[str]
) -> None:
    columns = chexpert_columns()
    about = _ABOUT if disk.has_columns(table, _ABOUT) else ()
    for number, (path, *row) in disk.read_rows(table, ("Path", *columns, *about)):
        where = f"{table.name} row {number}"
        match = _PATH.fullmatch(path.replace("\\", "/"))
        if match is None:
            raise DatasetError(
                f"{where}: Path must end like train/patient00001/study1/view1_frontal.jpg; "
                f"got '{path}'"
            )
        name, split, patient, study, plane = match.groups()
        states = row_states(row[: len(columns)], where)
        sex, age, projection, direction = row[len(columns) :] or ("", "", plane, "")
        seen = ViewPosition.from_words(projection or plane)
        towards = ViewPosition.from_words(direction)
        exact = seen.frontal and towards in (ViewPosition.AP, ViewPosition.PA)
        record = Record(
            image_id=name,
            patient_id=patient,
            states=states,
            path=_film(shelves[split], name.removeprefix(f"{split}/")),
            view=towards if exact else seen,
            age_years=age_years(age),
            sex=sex_of(sex),
            study_id=f"{patient}/{study}",
        )
        counts[REPEATED] += not add_once(records, record, where)
        counts[AGELESS] += bool(age) and record.age_years is None
        counts[_ODD] += bool(direction) and seen.frontal and not exact


def _film(shelves: Sequence[Path], name: str) -> Path | None:
    films = (film_beside(shelf / name) for shelf in shelves)
    return next((film for film in films if film is not None), None)
