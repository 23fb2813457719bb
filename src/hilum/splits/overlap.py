"""Overlap of patients between training films and the films of a different use.

Patients are compared by `canonical`, not by spelling; those of a run or bundle also by hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.documents.audit import Leak, LeakVerdict
from hilum.domain.errors import BundleError, LeakError
from hilum.domain.film_names import FilmNames
from hilum.domain.patient_ids import canonical, identities, reworded, spellings
from hilum.domain.record import digest
from hilum.files.sealed import file_sha256

__all__ = [
    "Overlap",
    "SeenPatients",
    "certificate",
    "check_disjoint",
    "first_names",
    "overlap_of",
    "percent",
    "refuse_leak",
    "same_content",
    "same_names",
]

_TITLE = "# hilum seen patients"
_DIGITS = 16
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class Overlap:
    """Number of films and patients of one use, and of those that belong to training patients.

    Attributes:
        films, patients: number of all films and patients of the use.
        leaking_films, leaking_patients: number of these that belong to training patients.
        first: the first few leaking patients.
    """

    films: int
    patients: int
    leaking_films: int
    leaking_patients: int
    first: tuple[str, ...]

    def sentence(self, use: str = "evaluation") -> str:
        """Return the shares that leak in words, or that none does.

        >>> overlap_of(["1"], ["2", "3"]).sentence()
        '0 of 2 evaluation films and 0 of 2 evaluation patients belong to training patients'
        """
        if not self.leaking_films:
            return (
                f"0 of {self.films:,} {use} films and 0 of {self.patients:,} {use} patients "
                "belong to training patients"
            )
        return (
            f"{percent(self.leaking_films, self.films)} of the {use} films "
            f"({self.leaking_films:,} of {self.films:,}) and "
            f"{percent(self.leaking_patients, self.patients)} of the {use} patients "
            f"({self.leaking_patients:,} of {self.patients:,}) belong to training patients, "
            f"first: {', '.join(self.first)}"
        )


def overlap_of(training: Iterable[str], patients: Iterable[str]) -> Overlap:
    """Count the films of a use whose patients are training patients too, however spelled.

    A film whose patient is nobody's, such as `nan`, is a patient of its own.

    Args:
        training: patients of the training films, in any order.
        patients: the patient of each film of the other use, one entry per film.
    """
    films = list(patients)
    folded = [canonical(patient) for patient in films]
    trained = {canonical(patient) for patient in training} - {""}
    leaking = trained.intersection(folded)
    spelled = dict(zip(reversed(folded), reversed(films), strict=True))
    return Overlap(
        films=len(films),
        patients=len(set(folded) - {""}) + folded.count(""),
        leaking_films=sum(patient in leaking for patient in folded),
        leaking_patients=len(leaking),
        first=first_names(spelled[patient] for patient in leaking),
    )


def check_disjoint(
    training: Iterable[str], patients: Iterable[str], use: str = "evaluation"
) -> None:
    """Refuse films of patients that a model was trained on.

    Args:
        training: patients of the training films, in any order.
        patients: the patient of each film of the other use, one entry per film.
        use: name of the other use in the message.

    Raises:
        LeakError: with the share of films and of patients that leak.

    >>> check_disjoint(["1", "2"], ["2", "2", "3"])
    Traceback (most recent call last):
    ...
    hilum.domain.errors.LeakError: patients must not cross splits: 66.7 % of the evaluation films
    (2 of 3) and 50.0 % of the evaluation patients (1 of 2) belong to training patients, first: 2.
    Use films of other patients
    """
    found = overlap_of(training, patients)
    if found.leaking_films:
        raise LeakError(
            f"patients must not cross splits: {found.sentence(use)}. Use films of other patients"
        )


def same_names(training: Collection[str], films: Sequence[str]) -> tuple[frozenset[str], int]:
    """Return the films that a training film names, by the rules of predictions.

    Names that agree only in the last parts of their paths count where no name agrees as a whole,
    if these parts tell the films of either side apart, and name no two patients.

    Args:
        training: names of the training films.
        films: names of the films of another use.

    Returns:
        The films that are on both sides, and the number of training names that fit several.

    >>> same_names(["images/2.PNG", "3"], ["1.png", "2.png"])
    (frozenset({'2.png'}), 0)
    """
    names = FilmNames(films)
    whole: set[str] = set()
    partial: set[str] = set()
    many = 0
    for film in training:
        found = names.find(film)
        many += found.many
        if found.row is not None:
            (partial if found.parts else whole).add(films[found.row])
    if partial and not whole:
        listed = list(training)
        back = FilmNames(listed)
        partial = {
            film
            for film in partial
            if (row := back.find(film).row) is not None and not _two_patients(film, listed[row])
        }
    return frozenset(whole or partial), many


def _two_patients(film: str, other: str) -> bool:
    """Return whether the names of two films tell two different patients."""
    one, two = identities(film, "", ""), identities(other, "", "")
    return bool(one and two) and one.isdisjoint(two)


def same_content(training: Iterable[Path], films: Mapping[str, Path]) -> frozenset[str]:
    """Return the names of the films whose file has the same bytes as a training film's.

    Files are hashed only where size and the last 4 KiB agree, so that most are not read.

    Args:
        training: files of the training films.
        films: name to file of the films of another use.
    """
    here = [(name, path) for name, path in films.items() if path.is_file()]
    sizes = {path.stat().st_size for _, path in here}
    listed = {path for path in training if path.is_file() and path.stat().st_size in sizes}
    ends: dict[bytes, set[str]] = {}
    for path in listed:
        ends.setdefault(_end(path), set()).add(str(path))
    hashes: dict[bytes, set[str]] = {}
    shared: set[str] = set()
    for name, path in here:
        end = _end(path) if ends else b""
        if end in ends:
            if end not in hashes:
                hashes[end] = {file_sha256(Path(one)) for one in ends[end]}
            if file_sha256(path) in hashes[end]:
                shared.add(name)
    return frozenset(shared)


def _end(path: Path) -> bytes:
    """Return a film's size and last bytes."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        return size.to_bytes(8) + file.read()


def percent(part: int, whole: int) -> str:
    """Return a share as a percentage.

    >>> percent(1, 3)
    '33.3 %'
    """
    return f"{100 * part / whole:.1f} %"


def first_names(names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Return the first few names; shorter ones first, so that numbers are in numeric order.

    >>> first_names(["11", "9", "100", "10"])
    ('9', '10', '11')
    """
    return tuple(sorted(names, key=lambda name: (len(name), name))[:count])


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

    def without(self, patients: Iterable[str]) -> SeenPatients:
        """Return the set less some patients, as their dataset spells them."""
        names = set(patients)
        rest = {
            dataset: hashes - {_hashed(dataset, patient) for patient in names}
            for dataset, hashes in self.hashes.items()
        }
        return SeenPatients({dataset: hashes for dataset, hashes in rest.items() if hashes})

    def among(self, dataset: str, patients: Iterable[str]) -> frozenset[str]:
        """Return the patients that are in the set, in any spelling the dataset may have had."""
        known = self.hashes.get(dataset, frozenset())
        if not known:
            return frozenset()
        return frozenset(
            patient
            for patient in set(patients)
            if any(_hashed(dataset, text) in known for text in spellings(patient, dataset))
        )

    def nearly(self, dataset: str, patients: Collection[str]) -> frozenset[str]:
        """Return the patients that would be in the set with another word before their number."""
        others = set(patients) - self.among(dataset, patients)
        return frozenset(p for p in others if self.among(dataset, reworded(p)))

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


def certificate(leak: Leak, summary: str, source: str) -> str:
    """Put a certificate into words.

    Args:
        leak: verdict, counts, and what was and was not compared.
        summary: the shares that leak, or that none does, in words.
        source: the training films, in words.
    """
    if leak.verdict is LeakVerdict.NOT_CHECKED:
        found = ", ".join(leak.compared) or "nothing"
        return f"not checked: {'; '.join(leak.unchecked)} ({source}). Compared, no match: {found}"
    sides = f"{leak.shared_films:,} films are on both sides"
    if not leak.training_films and not leak.shared_films:
        sides = "films were not compared, since a bundle does not carry their names"
    words = f"{summary} ({source})"
    if leak.leaking_films or not leak.shared_films:
        words += f"; {sides}"
    if leak.verdict is LeakVerdict.NONE_FOUND:
        return f"{words}; compared: {', '.join(leak.compared)}"
    if leak.films_unknown:
        words += (
            f". The labels do not tell the patients of {leak.films_unknown:,} of "
            f"{leak.training_films:,} training films, so more may leak"
        )
    return words


def refuse_leak(leak: Leak) -> None:
    """Refuse an evaluation on films or patients that trained the model.

    Raises:
        LeakError: where the certificate's answer is a leak; with its words.
    """
    if leak.verdict is LeakVerdict.LEAK:
        what = "patients" if leak.leaking_films else "films"
        raise LeakError(
            f"{what} must not cross splits: {leak.certificate}. Use films of other patients"
        )
