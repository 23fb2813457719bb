"""NIH ChestX-ray14: 112,120 frontal films, 14 findings mined from reports."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk
from hilum.datasets.parts.records import (
    add_once,
    age_years,
    at_row,
    film_notes,
    row_notes,
    sex_of,
    spelling_notes,
)
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelState, nih14
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Box, Cohort, Record
from hilum.files.films import FilmFiles
from hilum.files.lines import whole_number

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="nih",
    title="NIH ChestX-ray14",
    films=112_120,
    patients=30_805,
    labels="Mined from radiology reports by text rules, not read from the films. Each row lists "
    "all findings that were mined, so a finding that is absent counts as negative.",
    layout="Data_Entry_2017_v2020.csv, Data_Entry_2017.csv or sample_labels.csv, with films in "
    "images/ or in images_001/images/, images_002/images/, …",
    licence="free use with attribution to the NIH Clinical Center and a link to the download",
    citation="Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM. ChestX-ray8: hospital-scale chest "
    "X-ray database and benchmarks. CVPR 2017",
    url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    known_faults=(
        "Labels are weak: 'negative' means that the report did not mention it.",
        "The tables of 2017 and 2020 differ: Pneumonia has 1,353 films in one, 1,431 in the other.",
        "Some ages cannot be: 0 in the table of 2020, up to 413 in that of 2017.",
        "The official test patients are sicker: 8.8 films each, 56 % AP; the others 3.1 and 34 %.",
        "00002658_001.png and 00002658_002.png are the same film.",
    ),
)

_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "sample_labels.csv")
_COLUMNS = (
    "Image Index",
    "Finding Labels",
    "Follow-up #",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)
_BOXES = "BBox_List_2017.csv"
# "Bbox [x,y,w,h]" falls apart at its commas, as "OriginalImage[Width,Height]" does in the table
_BOX_COLUMNS = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")
_FRAME_PX = 1024
_EDGE = 1 + 1e-9  # a box may end on the film's edge, whatever its decimals add up to
_NO_FINDING = "No Finding"


def recognize(place: Path) -> bool:
    """Return whether one of the dataset's tables is in the folder, or the table has its columns."""
    return disk.is_recognized(place, _TABLES, _COLUMNS)


def read(place: Path) -> Cohort:
    """Read labels, boxes and the official test list, and find the films that are here.

    Takes the complete dataset, any part of it, Kaggle's sample of it, or the tables alone, and
    prefers the table of 2020 to that of 2017. Boxes become fractions of the film, and so hold at
    any size the films were brought to.

    Raises:
        DatasetError: for an unknown label, `No Finding` beside a finding, a film listed twice
            with different labels, or a box that leaves its film; with the row.
        LeakError: for a film on both official lists.
    """
    table = disk.required_table(place, _TABLES, CARD)
    root, notes = disk.folder_of(place), disk.source_notes(table)
    tops = [root / "images", *sorted(root.glob("images_[0-9]*")), root / "sample"]
    films = disk.film_index(path for top in tops for path in (top, top / "images"))
    records = _records(table, films, _boxes(root, notes), notes)
    notes += film_notes(records, films)
    official_test = _test_list(root, records, notes)
    drawn = disk.is_synthetic(root)
    return Cohort(CARD.name, nih14(), tuple(records.values()), official_test, tuple(notes), drawn)


def write_example(folder: Path) -> Path:
    """Write eight invented rows, seven of their films in two shards, both lists and two boxes."""
    rows = (
        "00000001_000.png,Cardiomegaly|Emphysema,0,1,57,M,PA",
        "00000001_001.png,No Finding,1,1,58,M,PA",
        "00000002_000.png,Infiltration,0,2,81,F,AP",
        "00000003_000.png,No Finding,0,3,148,F,PA",
        "00000004_000.png,Pleural_Thickening|Mass,0,4,36,M,AP",
        "00000006_000.png,Effusion|Pneumothorax,0,6,44,M,AP",
        "00000006_001.png,Effusion,1,6,44,M,AP",
        "00000007_000.png,No Finding,0,7,29,F,PA",
    )
    names = [row.split(",")[0] for row in rows]
    header = (*_COLUMNS, "OriginalImage[Width,Height]", "OriginalImagePixelSpacing[x,y]")
    boxes = ("00000002_000.png,Infiltrate,512,256,128,64", "00000006_000.png,Effusion,9,600,20,30")
    files = {
        _TABLES[0]: (",".join(header), *(f"{row},2048,2500,0.168,0.168" for row in rows)),
        _BOXES: ("Image Index,Finding Label,Bbox [x,y,w,h],,,", *boxes),
        "train_val_list.txt": names[:5],
        "test_list.txt": names[5:],
    }
    for name, lines in files.items():
        disk.write_lines(folder / name, lines)
    for number, name in enumerate(names[:-1]):
        disk.draw_film(folder / f"images_{1 + number // 4:03d}" / "images" / name, 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _records(
    table: Path, films: FilmFiles, boxes: dict[str, tuple[Box, ...]], notes: list[str]
) -> dict[str, Record]:
    records: dict[str, Record] = {}
    spelled: set[str] = set()
    repeated = ageless = 0
    for number, row in disk.read_rows(table, _COLUMNS):
        image_id, labels, follow_up, patient, age, sex, view = row
        where = f"{table.name} row {number}"
        with at_row(where):
            states = _states(labels)
        if not image_id or not patient:
            raise DatasetError(f"{where}: Image Index and Patient ID must both be given")
        record = Record(
            image_id=image_id,
            # Kaggle's sample fills patient numbers with zeros; they are the same patients
            patient_id=patient.lstrip("0") or "0",
            states=states,
            path=films.find(image_id),
            view=ViewPosition.from_words(view),
            age_years=age_years(age),
            sex=sex_of(sex),
            follow_up=int(visit) if (visit := whole_number(follow_up)).isdecimal() else None,
            boxes=boxes.get(image_id, ()),
        )
        repeated += not add_once(records, record, where)
        ageless += bool(age) and record.age_years is None
        spelled.add(labels)
    words = {word for labels in spelled for word in labels.split("|")} - {_NO_FINDING}
    notes += spelling_notes(words, nih14(), table.name)
    notes += row_notes(repeated, ageless)
    return records


@cache
def _states(labels: str) -> tuple[LabelState, ...]:
    words = labels.split("|")
    if _NO_FINDING in words and len(words) > 1:
        raise UsageError(f"'{_NO_FINDING}' must stand alone; got '{labels}'")
    found = set() if words == [_NO_FINDING] else set(nih14().columns(words))
    return tuple(LabelState(int(column in found)) for column in range(len(nih14())))


def _boxes(root: Path, notes: list[str]) -> dict[str, tuple[Box, ...]]:
    table = disk.find_table(root, (_BOXES,))
    if table is None:
        return {}
    found: dict[str, tuple[Box, ...]] = {}
    words: set[str] = set()
    for number, (image_id, word, *sides) in disk.read_rows(table, _BOX_COLUMNS):
        with at_row(f"{table.name} row {number}"):
            finding = nih14().findings[nih14().index(word)]
            x, y, width, height = (float(side) / _FRAME_PX for side in sides)
        if not (0 <= x < x + width <= _EDGE and 0 <= y < y + height <= _EDGE):
            raise DatasetError(
                f"{table.name} row {number}: a box must lie in its film of {_FRAME_PX} by "
                f"{_FRAME_PX} px; got x, y, width, height = {', '.join(sides)}"
            )
        found[image_id] = (*found.get(image_id, ()), Box(finding, x, y, width, height))
        words.add(word)
    notes += spelling_notes(words, nih14(), table.name)
    return found


def _test_list(root: Path, records: dict[str, Record], notes: list[str]) -> frozenset[str] | None:
    test, rest = disk.read_lists(root / "test_list.txt", root / "train_val_list.txt")
    if test is None:
        notes.append("there is no test_list.txt: no official test set")
        return None
    test, rest = disk.resolved(test, records), disk.resolved(rest or frozenset(), records)
    if rest and (unlisted := records.keys() - test - rest):
        notes.append(f"films on neither official list: {len(unlisted):,}")
    return test
