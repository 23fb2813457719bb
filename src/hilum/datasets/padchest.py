"""PadChest: 160,868 films of one Spanish hospital, with the labels of its reports' own tree."""

from __future__ import annotations

import ast
import difflib
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk
from hilum.datasets.parts.records import add_once, age_years, at_row, film_notes, sex_of
from hilum.domain.errors import UsageError
from hilum.domain.findings import NO_FINDING, LabelState, catalog, label_set
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="padchest",
    title="PadChest",
    films=160_868,
    patients=67_625,
    labels="Read from Spanish reports, 27 % by physicians, the rest by a network trained on those. "
    "A finding that is not listed counts as negative, unless the list says nothing at all.",
    layout="PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv, with films in 0/ to 54/",
    licence="PadChest Dataset Research Use Agreement: research only, not to be shared",
    citation="Bustos A, Pertusa A, Salinas JM, de la Iglesia-Vayá M. PadChest: a large chest x-ray "
    "image dataset with multi-label annotated reports. Medical Image Analysis 66, 2020",
    url="https://bimcv.cipf.es/bimcv-projects/padchest/",
    known_faults=(
        "The table of 01.02.19 lists 160,861 films. 103 have no list of labels, 777 an empty one.",
        "'unchanged' points to an earlier film, whose findings are not repeated.",
        "ILD is PadChest's interstitial pattern, a sign that edema and infection give as well.",
        "An age is the year of study less that of birth. One study number has two patients.",
    ),
)

_TABLES = ("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",)
_WHO = ("ImageID", "PatientID", "StudyID", "StudyDate_DICOM", "PatientBirth")
_WHAT = ("PatientSex_DICOM", "Projection", "Labels")
# the only text that is given to literal_eval
_LIST = re.compile(r"\[('[^'\\]*'(, *'[^'\\]*')*)?\]")
# What counts as a finding beside its own name: all that stands under it in the authors' tree
# (github.com/auriml/Rx-thorax-automatic-captioning, manual_review/trees_code.txt).
_INTERSTITIAL = (
    "interstitial pattern, reticular interstitial pattern, reticulonodular interstitial pattern, "
    "ground glass pattern, miliary opacities"
)
_TREE = {
    "Atelectasis": "total atelectasis, lobar atelectasis, segmental atelectasis, "
    "laminar atelectasis, round atelectasis, atelectasis basal",
    "Effusion": "loculated pleural effusion, loculated fissural effusion, hydropneumothorax, "
    "empyema, hemothorax",
    "Infiltration": f"{_INTERSTITIAL}, alveolar pattern, consolidation, air bronchogram",
    "Mass": "pulmonary mass, mediastinal mass, pleural mass, soft tissue mass, breast mass",
    "Nodule": "multiple nodules",
    "Pneumonia": "atypical pneumonia",
    "Pneumothorax": "hydropneumothorax",
    "Consolidation": "air bronchogram",
    "Fibrosis": "post radiotherapy changes, asbestosis signs",
    "Pleural_Thickening": "apical pleural thickening, calcified pleural thickening",
    "Fracture": "rib fracture, callus rib fracture, clavicle fracture, vertebral fracture, "
    "humeral fracture",
    "Aortic elongation": "supra aortic elongation, ascendent aortic elongation, "
    "descendent aortic elongation, aortic button enlargement",
    "Granuloma": "calcified granuloma",
    "Hilar enlargement": "adenopathy, vascular hilar enlargement, pulmonary artery enlargement",
    "Tuberculosis": "tuberculosis sequelae",
    "ILD": _INTERSTITIAL,
    NO_FINDING: "normal",
}
_SAYS_NOTHING = frozenset({"", "exclude", "unchanged", "suboptimal study"})
_NO_VIEW = "EXCLUDE"
"""What the table has in place of a view for films that its authors could not use."""


def recognize(place: Path) -> bool:
    """Return whether the dataset's table is in the folder, or the table has its columns."""
    return disk.is_recognized(place, _TABLES, (*_WHO, *_WHAT))


def read(place: Path) -> Cohort:
    """Read the table, and find the films that are here. Views are as the authors reviewed them.

    Raises:
        DatasetError: for labels that are no list, a label misspelt, or a film listed twice with
            different labels; with the row.
    """
    table = disk.required_table(place, _TABLES, CARD)
    films = disk.film_index([table.parent, *sorted(table.parent.glob("[0-9]*"))])
    records: dict[str, Record] = {}
    texts: Counter[str] = Counter()
    for number, row in disk.read_rows(table, (*_WHO, *_WHAT)):
        film, patient, study, date, birth, sex, view, text = row
        with at_row(f"{table.name} row {number}"):
            states = _states(text)
        dated = date[:4].isdecimal() and birth[:4].isdecimal()
        years = int(date[:4]) - int(birth[:4]) if dated else 0
        record = Record(
            image_id=film,
            patient_id=patient,
            states=states,
            path=films.find(film),
            view=ViewPosition.OTHER if view == _NO_VIEW else ViewPosition.from_words(view),
            age_years=age_years(str(years)),
            sex=sex_of(sex),
            study_id=study,
        )
        texts[text] += add_once(records, record, f"{table.name} row {number}")
    notes = [*disk.source_notes(table), *_label_notes(texts)]
    rows, drawn = tuple(records.values()), disk.is_synthetic(table.parent)
    if ageless := sum(record.age_years is None for record in rows):
        notes.append(f"films without an age, or whose age is 0 or cannot be: {ageless:,}")
    notes += film_notes(records, films)
    return Cohort(CARD.name, label_set("PadChest-25"), rows, None, tuple(notes), drawn)


def write_example(folder: Path) -> Path:
    """Write six invented rows, and five of their films, at 8 bits where PadChest has 16."""
    rows = (
        "1a.png,1,11,20140915,1930.0,F,PA,['normal']",
        "1b.png,1,11,20140915,1930.0,F,L,['normal']",
        "2a.png,2,21,20150717,1944.0,M,AP_horizontal,\"['pleural effusion', ' COPD signs', '']\"",
        "3a.png,3,31,20100102,,O,PA,['unchanged']",
        "4a.png,4,41,20091231,2009.0,M,EXCLUDE,\"['pulmonary mass', 'rib fracture']\"",
        "5a.png,5,51,20120229,1961.0,F,PA,nan",
    )
    disk.write_lines(folder / _TABLES[0], (",".join((*_WHO, *_WHAT)), *rows))
    for number, row in enumerate(rows[:5]):
        disk.draw_film(folder / str(number % 2) / row.split(",")[0], 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


@cache
def _meanings() -> dict[str, set[int]]:
    meanings: dict[str, set[int]] = defaultdict(set)
    for column, finding in enumerate(label_set("PadChest-25")):
        names = (finding, *catalog()[finding].aliases, *_TREE.get(finding, finding).split(", "))
        for name in names:
            meanings[name.casefold().replace("_", " ")].add(column)
    return meanings


@cache
def _meaning(word: str) -> frozenset[int]:
    meanings = _meanings()
    # of PadChest's 124 labels that are of no finding here, none is so near to one that is
    near = difflib.get_close_matches(word, meanings, n=1, cutoff=0.85)
    if near and word not in meanings:
        raise UsageError(f"no label '{word}' in {CARD.title}. Did you mean '{near[0]}'?")
    return frozenset(meanings.get(word, ()))


@cache
def _words(text: str) -> frozenset[str]:
    listed = "[]" if text in ("", "nan") else text
    if not _LIST.fullmatch(listed):
        raise UsageError(f"Labels must be a list such as ['nodule', 'normal']; got '{text[:60]}'")
    return frozenset(word.strip() for word in ast.literal_eval(listed))


@cache
def _states(text: str) -> tuple[LabelState, ...]:
    labels, words = label_set("PadChest-25"), _words(text)
    if words <= _SAYS_NOTHING:
        return (LabelState.UNLABELLED,) * len(labels)
    found = frozenset[int]().union(*(_meaning(word) for word in words))
    return tuple(LabelState(int(column in found)) for column in range(len(labels)))


def _label_notes(texts: Counter[str]) -> list[str]:
    counts: Counter[str] = Counter()
    silent = unchanged = 0
    for text, count in texts.items():
        words = _words(text) - _SAYS_NOTHING
        counts.update(dict.fromkeys(words, count))
        silent += 0 if words else count
        unchanged += count if words and "unchanged" in _words(text) else 0
    notes = [
        f"films whose labels say nothing, unlabelled: {silent:,}",
        f"films 'unchanged' beside other labels, absent findings negative: {unchanged:,}",
    ]
    for column, finding in enumerate(label_set("PadChest-25")):
        names = sorted(w for w in counts if column in _meaning(w) and w != finding.casefold())
        notes += [f"read as {finding}: {', '.join(names)}"] if names else []
    left = [f"{word} ({count:,})" for word, count in counts.most_common() if not _meaning(word)]
    return [*notes, f"labels of no finding here, {len(left)} left out: {', '.join(left[:10])}"]
