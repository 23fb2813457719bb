"""MIMIC-CXR-JPG: 377,110 films of an emergency department, labels mined by study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk
from hilum.datasets.parts.columns import chexpert_columns
from hilum.datasets.parts.records import add_once, film_notes, row_states, spelling_notes
from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState, label_set
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.files.films import film_beside
from hilum.files.lines import whole_number

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="mimic",
    title="MIMIC-CXR-JPG",
    films=377_110,
    patients=65_379,
    labels="Mined from reports with CheXpert's rules or NegBio's: 1 positive, 0 negative, -1 "
    "uncertain, blank not mentioned. A label belongs to the study: all its films carry it.",
    layout="mimic-cxr-2.0.0-chexpert.csv or -negbio.csv with -metadata.csv and -split.csv, with "
    "films in files/p10/p10000032/s50414267/",
    licence="PhysioNet Credentialed Health Data License 1.5.0: after training, under a signed "
    "data use agreement, not to be shared",
    citation="Johnson AEW, Pollard TJ, Greenbaum NR, et al. MIMIC-CXR-JPG, a large publicly "
    "available database of labeled chest radiographs. arXiv 1901.07042, 2019",
    url="https://physionet.org/content/mimic-cxr-jpg/2.1.0/",
    known_faults=(
        "The test labels are mined too. Version 2.1.0 has a radiologist's for some test studies in "
        "mimic-cxr-2.1.0-test-set-labeled.csv, which is not read here.",
        "The tables give neither sex nor age: these are in MIMIC-IV.",
        "15,769 films have no view position, and 21 have one that is neither frontal nor lateral.",
        "Labels cover 227,827 studies, the films 227,835.",
    ),
)

_LABELLERS = ("chexpert", "negbio")
_STUDY = ("subject_id", "study_id")
_FILM = ("dicom_id", *_STUDY, "ViewPosition")
_SPLIT = ("dicom_id", "split")
_Study = tuple[str, tuple[LabelState, ...]]  # its patient and its labels


def recognize(place: Path) -> bool:
    """Return whether a table of labels or films is in the folder, or this is one of the three."""
    if place.is_file():
        kinds = ((*_STUDY, *chexpert_columns()), _FILM, (*_STUDY, *_SPLIT))
        return any(disk.has_columns(place, columns) for columns in kinds)
    return disk.find_table(place, _names(*_LABELLERS, "metadata")) is not None


def read(place: Path) -> Cohort:
    """Join the labels of studies to the table of films, and find the films that are here.

    Takes CheXpert's labels before NegBio's, unless the place is NegBio's table. A film whose study
    has no labels stays, unlabeled. The official tune films are those of "validate". All views
    are read.

    Raises:
        DatasetError: for an absent table, a label other than 1, 0, -1 and blank, an unknown split,
            or a study with two patients or two sets of labels; with the row.
    """
    labels = _table(place, (*_STUDY, *chexpert_columns()), *_LABELLERS)
    films, root = _table(place, _FILM, "metadata"), disk.folder_of(place)
    notes = [f"labels are from {labels.name}, films from {films.name}"]
    notes += disk.source_notes(labels, films)[1:]
    notes += spelling_notes(chexpert_columns(), label_set("CheXpert-14"), labels.name)
    studies = _studies(labels)
    records = _records(films, studies, root / "files")
    if unlabelled := sum(record.study_id not in studies for record in records.values()):
        notes.append(f"films whose study is not in {labels.name}, unlabelled: {unlabelled:,}")
    if filmless := len(studies.keys() - {record.study_id for record in records.values()}):
        notes.append(f"labeled studies without a film in {films.name}, left out: {filmless:,}")
    notes += film_notes(records, {})
    splits = _splits(root)
    if unsplit := sum(film not in splits for film in records):
        notes.append(f"films without an official split: {unsplit:,}")
    test, tune = (
        frozenset(film for film in records if splits.get(film) == split) or None
        for split in ("test", "validate")
    )
    rows, drawn = tuple(records.values()), disk.is_synthetic(root)
    return Cohort(CARD.name, label_set("CheXpert-14"), rows, test, tuple(notes), drawn, tune)


def write_example(folder: Path) -> Path:
    """Write five invented films of four studies, one without labels, and four of the films."""
    studies = (
        "10000032,50414267,,,,,,,,,1.0,,,,,",
        "10000764,57375967,,,1.0,,,,,,,-1.0,,-1.0,,",
        "10000898,50771383,1.0,0.0,,,,,,,,,,0.0,0.0,",
    )
    films = (
        ("0a", "10000032", "50414267", "PA", "train"),
        ("0b", "10000032", "50414267", "LATERAL", "train"),
        ("1a", "10000764", "57375967", "", "validate"),
        ("2a", "10000898", "50771383", "LL", "test"),
        ("3a", "10000935", "50578979", "AP LLD", "test"),
    )
    tables = {
        "chexpert": [",".join((*_STUDY, *sorted(chexpert_columns()))), *studies],
        "metadata": [",".join(_FILM), *(",".join(row[:4]) for row in films)],
        "split": [
            "dicom_id,study_id,subject_id,split",
            *(f"{film},{study},{patient},{split}" for film, patient, study, _, split in films),
        ],
    }
    for kind, lines in tables.items():
        disk.write_lines(folder / _names(kind)[0], lines)
    for number, (film, patient, study, *_) in enumerate(films[:-1]):
        disk.draw_film(_path(folder / "files", patient, study, film), 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _names(*kinds: str) -> list[str]:
    return [f"mimic-cxr-{version}-{kind}.csv" for kind in kinds for version in ("2.0.0", "2.1.0")]


def _path(files: Path, patient: str, study: str, film: str) -> Path:
    return files / f"p{patient[:2]}/p{patient}/s{study}/{film}.jpg"


def _table(place: Path, columns: Sequence[str], *kinds: str) -> Path:
    if place.is_file() and disk.has_columns(place, columns):
        return place
    found = disk.find_table(disk.folder_of(place), _names(*kinds))
    if found is None:
        raise DatasetError(
            f"{CARD.title} needs a table of labels and one of films, side by side: there is no "
            f"{_names(*kinds)[0]} in {disk.folder_of(place)}"
        )
    return found


def _studies(table: Path) -> dict[str, _Study]:
    studies: dict[str, _Study] = {}
    for number, (patient, study, *cells) in disk.read_rows(table, (*_STUDY, *chexpert_columns())):
        patient, study = whole_number(patient), whole_number(study)
        facts = (patient, row_states(cells, f"{table.name} row {number}"))
        if studies.setdefault(study, facts) != facts:
            raise DatasetError(
                f"{table.name} row {number}: study {study} is listed before with other labels or "
                "another patient. Keep the row that is right"
            )
    return studies


def _records(table: Path, studies: dict[str, _Study], files: Path) -> dict[str, Record]:
    here = {path.name[1:] for path in files.glob("p*")}  # elsewhere 377,110 are not looked for
    nothing = (LabelState.UNLABELLED,) * len(chexpert_columns())
    records: dict[str, Record] = {}
    for number, (film, patient, study, view) in disk.read_rows(table, _FILM):
        patient, study = whole_number(patient), whole_number(study)
        owner, states = studies.get(study, (patient, nothing))
        if owner != patient:
            raise DatasetError(
                f"{table.name} row {number}: study {study} must have one patient; it is of "
                f"{patient} here, of {owner} in the labels"
            )
        record = Record(
            image_id=film,
            patient_id=patient,
            states=states,
            path=film_beside(_path(files, patient, study, film)) if patient[:2] in here else None,
            view=_view(view),
            study_id=study,
        )
        add_once(records, record, f"{table.name} row {number}")
    return records


def _splits(root: Path) -> dict[str, str]:
    table = disk.find_table(root, _names("split"))
    if table is None:
        return {}
    splits: dict[str, str] = {}
    for number, (film, split) in disk.read_rows(table, _SPLIT):
        if split not in ("train", "validate", "test") or splits.setdefault(film, split) != split:
            raise DatasetError(
                f"{table.name} row {number}: film {film} must have one split, train, validate or "
                f"test; got '{split}'"
            )
    return splits


def _view(word: str) -> ViewPosition:
    """Return the view; a word that is not known is not taken for frontal."""
    view = ViewPosition.from_words(word)
    return ViewPosition.OTHER if word and view is ViewPosition.UNKNOWN else view
