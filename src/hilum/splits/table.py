"""Split table: the split of every film, and its file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hilum.domain.errors import DatasetError, LeakError, suggestion
from hilum.domain.patient_ids import canonical, refuse_destroyed
from hilum.domain.record import Cohort, Split, digest
from hilum.splits.overlap import first_names

__all__ = ["Place", "SplitTable"]

_COLUMNS = ("image_id", "patient_id", "split", "table")


class Place(NamedTuple):
    """Patient and split of one film."""

    patient_id: str
    split: Split


@dataclass(frozen=True)
class SplitTable:
    """The split of every film of a dataset. A table with a patient in two splits cannot exist.

    Attributes:
        name: origin of the table, such as "nih-official" or "patient-hash".
        films: image id to patient and split.

    Raises:
        LeakError: when a patient is in more than one split.

    >>> SplitTable("mine", {"a.png": Place("7", Split.TRAIN), "b.png": Place("7", Split.TEST)})
    Traceback (most recent call last):
    ...
    hilum.domain.errors.LeakError: patients must not cross splits: 1 patient (2 films) is in both
    train and test, first: 7. Give all films of a patient one split
    """

    name: str
    films: Mapping[str, Place]

    def __post_init__(self) -> None:
        _refuse_crossing(self.films.items())

    def of(self, cohort: Cohort, split: Split) -> Cohort:
        """Return the cohort's films of one split, in the cohort's order; checked first.

        Raises:
            LeakError: see `check`.
            DatasetError: see `check`; or when the split has no film, as nothing can be fitted to
                or measured on it.
        """
        self.check(cohort)
        part = cohort.select(lambda record: self.films[record.image_id].split is split)
        if not part.records:
            raise DatasetError(
                f"split '{split}' of {self.name} must have a film; none of the {len(cohort):,} "
                f"films of {cohort.dataset} is in it. Use more patients or another split"
            )
        return part

    def check(self, cohort: Cohort) -> None:
        """Refuse a cohort that this table does not describe. Every stage calls this first.

        Raises:
            LeakError: when a patient, as the cohort names patients, is in two splits.
            DatasetError: when films are not in the table, or are another patient's there.
        """
        missing = [name for name in cohort.image_ids() if name not in self.films]
        if missing:
            raise DatasetError(
                f"split {self.name} must place every film; {len(missing):,} of {len(cohort):,} "
                f"films of {cohort.dataset} are not in it, first: {', '.join(missing[:3])}. "
                "Split the dataset again"
            )
        _refuse_crossing(
            (r.image_id, Place(r.patient_id, self.films[r.image_id].split)) for r in cohort.records
        )
        renamed = [r for r in cohort.records if r.patient_id != self.films[r.image_id].patient_id]
        if renamed:
            first = renamed[0]
            raise DatasetError(
                f"{cohort.dataset} and split {self.name} must agree on patients; they differ for "
                f"{len(renamed):,} films, first: {first.image_id} is of patient {first.patient_id} "
                f"and of {self.films[first.image_id].patient_id}. Split the dataset again"
            )

    def sha256(self, split: Split) -> str:
        """Return the hash of one split's film names, sorted, one per line.

        The official test list of NIH ChestX-ray14, complete, has 3d0c44b6…d226.
        """
        return digest(name for name, place in self.films.items() if place.split is split)

    def patients_sha256(self, split: Split) -> str:
        """Return the hash of one split's patients, sorted, one per line."""
        return digest(self.patients(split))

    def patients(self, split: Split) -> frozenset[str]:
        """Return the patients of one split."""
        return frozenset(place.patient_id for place in self.films.values() if place.split is split)

    def write(self, path: Path) -> Path:
        """Write the table as CSV, a row for each film, sorted by name; return the path.

        Columns: image_id, patient_id, split, and the table's name on every row, so that a copy of
        the file identifies itself.
        """
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(_COLUMNS)
        rows.writerows(
            (image_id, place.patient_id, place.split.value, self.name)
            for image_id, place in sorted(self.films.items())
        )
        path.write_bytes(out.getvalue().encode("utf-8"))
        return path

    @classmethod
    def read(cls, path: Path) -> SplitTable:
        """Read a table that `write` wrote, or a user's own CSV of image_id, patient_id and split.

        A table without the column `table` is named after its file.

        Raises:
            LeakError: when a patient is in more than one split.
            DatasetError: when the file is missing or is not such a table.
        """
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"no split could be read from {path}: {error}") from error
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        absent = [name for name in _COLUMNS[:3] if name not in (rows.fieldnames or ())]
        if absent:
            raise DatasetError(
                f"{path.name} must have the columns {', '.join(_COLUMNS[:3])}; "
                f"it lacks {', '.join(absent)}"
            )
        films: dict[str, Place] = {}
        names: set[str] = set()
        try:
            for row in rows:
                image_id, place = _placed(row, f"{path.name} line {rows.line_num}")
                if image_id in films:
                    raise DatasetError(
                        f"{path.name} line {rows.line_num}: film {image_id} is listed twice"
                    )
                films[image_id] = place
                names.add(row.get("table") or path.stem)
        except csv.Error as error:
            raise DatasetError(f"{path.name} line {rows.line_num}: {error}") from error
        named = (place.patient_id for film, place in films.items() if place.patient_id != film)
        refuse_destroyed(named, path.name)
        if len(names) != 1:
            found = ", ".join(sorted(names)) or "none"
            raise DatasetError(f"{path.name} must hold the films of one split table; got {found}")
        return cls(names.pop(), films)


def _refuse_crossing(films_placed: Iterable[tuple[str, Place]]) -> None:
    splits: dict[str, set[Split]] = {}
    films: dict[str, int] = {}
    spelled: dict[str, str] = {}
    for film, place in films_placed:
        # a film that is its own patient is as different from others as films are
        patient = film if place.patient_id == film else canonical(place.patient_id)
        if not patient:
            continue
        splits.setdefault(patient, set()).add(place.split)
        films[patient] = films.get(patient, 0) + 1
        spelled.setdefault(patient, place.patient_id)
    crossing = [patient for patient, uses in splits.items() if len(uses) > 1]
    if not crossing:
        return
    met = {use for patient in crossing for use in splits[patient]}
    *others, last = [split.value for split in Split if split in met]
    where = "both" if len(others) == 1 else "more than one of"
    count = sum(films[patient] for patient in crossing)
    who = "1 patient" if len(crossing) == 1 else f"{len(crossing):,} patients"
    raise LeakError(
        f"patients must not cross splits: {who} ({count:,} films) "
        f"{'is' if len(crossing) == 1 else 'are'} in {where} {', '.join(others)} and {last}, "
        f"first: {', '.join(first_names(spelled[p] for p in crossing))}. "
        "Give all films of a patient one split"
    )


def _placed(row: Mapping[str, str | None], where: str) -> tuple[str, Place]:
    image_id, patient_id, word = (row[name] for name in _COLUMNS[:3])
    if not image_id or not patient_id or not word:
        raise DatasetError(f"{where}: image_id, patient_id and split must all be given")
    if word not in tuple(Split):
        known = [split.value for split in Split]
        raise DatasetError(
            f"{where}: a split must be one of {', '.join(known)}; got '{word}'."
            f"{suggestion(word, known)}"
        )
    return image_id, Place(patient_id, Split(word))
