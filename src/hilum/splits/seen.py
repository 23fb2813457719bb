"""The patients that a model has seen, as hashes that may travel with its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import BundleError
from hilum.domain.record import digest
from hilum.splits.overlap import check_disjoint

__all__ = ["SeenPatients"]

_TITLE = "# hilum seen patients"
_DIGITS = 16


@dataclass(frozen=True)
class SeenPatients:
    """Patients that trained, tuned or calibrated a model, by 64-bit hash.

    A later evaluation checks whether one of its patients is among them, while no list of names
    has to leave the lab. Two patients of 100,000 share a hash by chance once in a billion sets.
    A hash is not de-identification: anybody with the names can find out who is in the set. Publish
    it for public datasets only.

    Attributes:
        hashes: dataset to the hashes of its patients: the first 16 hex digits of
            `sha256(dataset, tab, patient)`.

    >>> seen = SeenPatients.of("nih", ["1", "2"])
    >>> seen.refuse_overlap("nih", ["2", "3"], "test")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.LeakError: patients must not cross splits: 50.0 % of the test films
    (1 of 2) and 50.0 % of the test patients (1 of 2) belong to training patients, first: 2.
    Use films of other patients
    >>> seen.refuse_overlap("chexpert", ["2", "3"], "test")
    """

    hashes: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, dataset: str, patients: Iterable[str]) -> SeenPatients:
        """Return the set of some patients of one dataset."""
        return cls({dataset: frozenset(_hashed(dataset, patient) for patient in set(patients))})

    def __len__(self) -> int:
        return sum(map(len, self.hashes.values()))

    def union(self, other: SeenPatients) -> SeenPatients:
        """Return the patients of either set: those seen by a model that was trained twice."""
        datasets = [*self.hashes, *other.hashes]
        nobody: frozenset[str] = frozenset()
        return SeenPatients(
            {
                dataset: self.hashes.get(dataset, nobody) | other.hashes.get(dataset, nobody)
                for dataset in sorted(set(datasets))
            }
        )

    def among(self, dataset: str, patients: Iterable[str]) -> frozenset[str]:
        """Return the patients that are in the set."""
        known = self.hashes.get(dataset, frozenset())
        return frozenset(p for p in set(patients) if _hashed(dataset, p) in known)

    def refuse_overlap(self, dataset: str, patients: Iterable[str], use: str) -> None:
        """Refuse films of patients in the set.

        Args:
            dataset: the dataset of the patients, `Cohort.population`, such as "nih".
            patients: the patient of each film, one entry per film.
            use: use of the films in the message.

        Raises:
            LeakError: with the share of films and of patients that leak.
        """
        films = list(patients)
        check_disjoint(self.among(dataset, films), films, use)

    @property
    def sha256(self) -> str:
        """Hash of the hashes, sorted, one per line."""
        return digest(line for hashes in self.hashes.values() for line in hashes)

    def write(self, path: Path) -> Path:
        """Write the set as text, a header for each dataset and a line for each patient."""
        lines: list[str] = []
        for dataset, hashes in sorted(self.hashes.items()):
            lines += [f"{_TITLE} of {dataset}: {len(hashes)}", *sorted(hashes)]
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
        return path

    @classmethod
    def read(cls, path: Path) -> SeenPatients:
        """Read what `write` wrote.

        Raises:
            BundleError: for a file that is missing, truncated or of a different format.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"no seen patients could be read from {path}: {error}") from error
        hashes: dict[str, set[str]] = {}
        counts: dict[str, str] = {}
        own: set[str] | None = None
        for number, line in enumerate(lines, start=1):
            if line.startswith(f"{_TITLE} of "):
                dataset, _, counts_text = line.removeprefix(f"{_TITLE} of ").rpartition(": ")
                own = hashes.setdefault(dataset, set())
                counts[dataset] = counts_text
            elif own is None or len(line) != _DIGITS or set(line) - set("0123456789abcdef"):
                raise BundleError(
                    f"{path} line {number} must be a hash of {_DIGITS} hex digits below a line "
                    f"'{_TITLE} of DATASET: COUNT'; got '{line[:40]}'. Restore the file"
                )
            else:
                own.add(line)
        for dataset, found in hashes.items():
            if counts[dataset] != str(len(found)):
                raise BundleError(
                    f"{path} must hold {counts[dataset]} patients of {dataset}, as it says; it has "
                    f"{len(found)}. Restore the file"
                )
        return cls({dataset: frozenset(found) for dataset, found in hashes.items()})


def _hashed(dataset: str, patient: str) -> str:
    key = f"{dataset}\t{patient}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(key).hexdigest()[:_DIGITS]
