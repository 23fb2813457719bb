"""Films and patients that a model was trained on, and the certificate of what others share.

A certificate has three answers: a leak, none found in what was compared, and not checked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hilum.domain.documents.audit import Leak, LeakVerdict
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.patient_ids import canonical, identities, refuse_destroyed, reworded
from hilum.domain.record import Cohort, Record, Split, digest
from hilum.files.lines import NameList, read_names, text_lines
from hilum.splits.known import recognize
from hilum.splits.overlap import (
    SeenPatients,
    certificate,
    first_names,
    overlap_of,
    percent,
    same_content,
    same_names,
)
from hilum.splits.table import SplitTable

__all__ = ["TrainingFilms", "certify", "read_training_films"]

_SPLIT_FILE = "split.csv"
_SEEN_FILE = "seen_patients.txt"
_FILM_COLUMNS = (
    *("imageindex", "imageid", "image", "imagename", "film", "filename", "file", "filepath"),
    *("path", "imagepath", "dicomid", "sopinstanceuid"),
)
"""Folded names of the column that names the film in a training list with a header."""
_PATIENT_COLUMNS = ("patientid", "patient", "subjectid", "subject")
# films and patients in common, under different names
_SAME_FILMS = (frozenset(("nih", "rsna", "siim")), frozenset(("vindr", "vinbigdata")))
_NO_SEEN = SeenPatients({})

_Id = tuple[str, str]
"""Dataset that a patient is of, "" for a table of one's own, and the canonical id."""


@dataclass(frozen=True)
class TrainingFilms:
    """Films that trained, tuned or calibrated a model, and their patients.

    Attributes:
        source: file and splits that were read, in words.
        films: names of the films; none of a bundle, which does not carry them.
        patients: their patients, as far as they are known.
        unknown: films whose patient is not known, since the labels do not list them.
        ids: patients with the dataset that each is of, where the source tells it.
        by_labels: whether the evaluated labels spelled the patients.
        seen: hashes of the patients, as a run or bundle carries them.
        files: training films that are here, by name, to be compared by content.
    """

    source: str
    films: frozenset[str]
    patients: frozenset[str]
    unknown: int
    ids: frozenset[_Id] = field(default=frozenset(), compare=False)
    by_labels: bool = field(default=True, compare=False)
    seen: SeenPatients = field(default=_NO_SEEN, compare=False)
    files: Mapping[str, Path] = field(default_factory=dict[str, Path], compare=False)


def read_training_films(place: Path, cohort: Cohort) -> TrainingFilms:
    """Read the films that a model was trained on.

    Args:
        place: a list of films, one per line (further columns, after a blank or a comma, are
            ignored), or a table with a column of films; a split table, of which every split but
            test counts; a run folder that has one; or a bundle, which has its patients as hashes.
        cohort: the dataset, which gives the patient of each listed film.

    Raises:
        UsageError: for a file that does not exist.
        DatasetError: for a list that names no film, or none of the cohort; or for patient ids that
            a spreadsheet has destroyed.
        LeakError: for a split table with a patient in two splits.
    """
    path = place / _SPLIT_FILE if place.is_dir() else place
    if not path.is_file() and (place / _SEEN_FILE).is_file():
        return _of_seen(SeenPatients.read(place / _SEEN_FILE), cohort, place.name)
    if not path.is_file():
        raise UsageError(
            f"training films must be a list, a split table, a run, or a bundle that carries "
            f"{_SEEN_FILE}; there is no {path}"
        )
    if place.is_dir() or _is_split_table(path):
        found = _of_table(SplitTable.read(path), path.name, cohort)
        seen = place / _SEEN_FILE
        found = _with_seen(found, SeenPatients.read(seen), cohort) if seen.is_file() else found
    else:
        found = _of_list(read_names(path, _FILM_COLUMNS, _PATIENT_COLUMNS), cohort, path.name)
    here = {r.image_id: r.path for r in cohort.records if r.path is not None}
    return replace(found, files={film: here[film] for film in found.films & here.keys()})


def _is_split_table(path: Path) -> bool:
    with text_lines(path, wide=True) as lines:
        header = (next(lines, "")).split(",")
    return {"image_id", "patient_id", "split"} <= {name.strip().strip('"') for name in header}


def _of_table(table: SplitTable, name: str, cohort: Cohort) -> TrainingFilms:
    seen = {film: place for film, place in table.films.items() if place.split is not Split.TEST}
    if not seen:
        raise DatasetError(
            f"{name} must place a film in train, tune or calibrate; all are for test"
        )
    *others, last = [s.value for s in Split if any(place.split is s for place in seen.values())]
    uses = f"{', '.join(others)} and {last}" if others else last
    ids = {film: identities(film, place.patient_id, "") for film, place in seen.items()}
    # a film that both sides know of the same patient proves that both spell patients alike
    agreed = (
        canonical(record.patient_id) == canonical(table.films[record.image_id].patient_id)
        for record in cohort.records
        if record.image_id in table.films and record.patient_id != record.image_id
    )
    return TrainingFilms(
        source=f"{uses} of {name}",
        films=frozenset(seen),
        patients=frozenset(place.patient_id for place in seen.values()),
        unknown=sum(not own for own in ids.values()),
        ids=frozenset[_Id]().union(*ids.values()),
        by_labels=any(agreed),
    )


def _of_seen(seen: SeenPatients, cohort: Cohort, name: str) -> TrainingFilms:
    """Return the patients only: a bundle does not carry the names of films."""
    patients = seen.among(cohort.population, cohort.patients().tolist())
    source = f"{len(seen):,} patients that {name} has seen"
    return TrainingFilms(source, frozenset(), patients, unknown=0, seen=seen)


def _with_seen(found: TrainingFilms, seen: SeenPatients, cohort: Cohort) -> TrainingFilms:
    """Add the patients of the weights that the run started from."""
    more = seen.among(cohort.population, cohort.patients().tolist())
    return replace(found, patients=found.patients | more, seen=seen)


def _of_list(entries: NameList, cohort: Cohort, name: str) -> TrainingFilms:
    names = FilmNames(cohort.image_ids())
    records = {record.image_id: record for record in cohort.records}
    listed: dict[str, str] = {}
    for (_, words), patient in zip(entries.names, entries.beside, strict=True):
        listed[_film(words, names, cohort)] = patient
    known = listed.keys() & records.keys()
    refuse_destroyed(listed.values(), name)
    ids: dict[str, frozenset[_Id]] = {}
    for film, patient in listed.items():
        own = records[film].patient_id if film in known else patient
        ids[film] = identities(film, own, cohort.population)
    if not known and not any(ids.values()):
        some = ", ".join(first_names(listed)) or "nothing"
        raise DatasetError(
            f"{name} must list films of {cohort.dataset}, one a line; the labels have none of its "
            f"{len(listed):,} lines, first: {some}. Give the labels of the whole dataset"
        )
    return TrainingFilms(
        source=name,
        films=frozenset(listed),
        patients=frozenset(records[film].patient_id for film in known),
        unknown=sum(not own for own in ids.values()),
        ids=frozenset[_Id]().union(*ids.values()),
    )


def _film(line: str, names: FilmNames, cohort: Cohort) -> str:
    """Find the film named by the whole line, else by its part before a blank or a comma."""
    whole = line.strip()
    field = whole.replace(",", " ").split()[0] if whole.strip(", ") else whole
    for candidate in (whole, field, field.strip('"')):
        found = names.find(candidate)
        # films that match by a part of the path may be different films of the same name
        if found.row is not None and not found.parts:
            return cohort.records[found.row].image_id
    return field


def certify(training: TrainingFilms, evaluated: Cohort, films: Cohort | None = None) -> Leak:
    """Compare evaluated films and patients with those that trained a model, and say what was done.

    Films are compared by name, and by content where files are on both sides. Patients are
    compared by `canonical` id, by what the film names of public datasets tell, and by hash. The
    answer is "none found" only where the patient of every evaluated film was compared with every
    training patient.

    Args:
        training: what the model was trained on.
        evaluated: the films, or studies, evaluated.
        films: the films of the evaluated studies; None where the evaluated records are films.
    """
    shown = evaluated if films is None else films
    by_name, many = same_names(training.films, shown.image_ids())
    here = {r.image_id: r.path for r in shown.records if r.path is not None}
    left = {name: path for name, path in here.items() if name not in by_name}
    by_content = same_content(training.files.values(), left)
    whose = _compare_patients(training, shown)
    overlap = overlap_of(whose.leaking, evaluated.patients().tolist())
    compared = (
        *((f"{len(shown):,} films by name",) if training.films else ()),
        *((f"{len(here):,} films by content",) if training.files and here else ()),
        *whose.compared,
    )
    fits = f"{many:,} training film names fit several evaluated films"
    unchecked = (*((fits,) if many else ()), *whose.unchecked)
    shared = by_name | by_content
    verdict = LeakVerdict.NOT_CHECKED if unchecked else LeakVerdict.NONE_FOUND
    if shared or overlap.leaking_films:
        verdict = LeakVerdict.LEAK
    leak = Leak(
        training=training.source,
        training_films=len(training.films),
        training_patients=len(training.patients),
        training_patients_sha256=digest(training.patients),
        patients_sha256=digest(set(evaluated.patients().tolist())),
        films_unknown=training.unknown,
        shared_films=len(shared),
        leaking_films=overlap.leaking_films,
        leaking_patients=overlap.leaking_patients,
        certificate="",
        verdict=verdict,
        compared=compared,
        unchecked=unchecked,
    )
    known, summary = recognize(training.films), overlap.sentence()
    source = training.source if known is None else f"{training.source}: {known.name}"
    if shared and not overlap.leaking_films:
        how = " and ".join(["name"] * bool(by_name) + ["content"] * bool(by_content))
        summary = (
            f"{percent(len(shared), len(shown))} of the evaluation films ({len(shared):,} of "
            f"{len(shown):,}) are training films by {how}, first: {', '.join(first_names(shared))}"
        )
    return leak.model_copy(update={"certificate": certificate(leak, summary, source)})


@dataclass(frozen=True)
class _Compared:
    """Evaluated patients, as spelled, that trained the model; and what was and was not compared."""

    leaking: frozenset[str]
    compared: tuple[str, ...]
    unchecked: tuple[str, ...]


def _compare_patients(training: TrainingFilms, evaluated: Cohort) -> _Compared:
    """Compare patients by canonical id, then those of which only hashes are known."""
    records = evaluated.records
    ids = {r.image_id: identities(r.image_id, r.patient_id, evaluated.population) for r in records}
    trained = training.ids or frozenset[_Id]().union(
        *(identities("", patient, evaluated.population) for patient in training.patients)
    )
    leaking = _by_id(records, ids, trained)
    compared: list[str] = []
    unchecked: list[str] = []
    sources = {*(dataset for dataset, _ in trained), *training.seen.hashes}
    nameless = sum(not own for own in ids.values())
    if nameless and not _apart(evaluated.dataset, sources):
        unchecked.append(
            f"the patients of {nameless:,} of {len(records):,} evaluated films are not known"
        )
    if training.unknown:
        unchecked.append(
            f"the patients of {training.unknown:,} of {len(training.films):,} training films are "
            "not known"
        )
    every = frozenset[_Id]().union(*ids.values())
    if every and trained:
        if reason := "" if training.by_labels else _incomparable(every, trained):
            unchecked.append(reason)
        else:
            compared.append(f"{len(every):,} with {len(trained):,} patients by id")
    rest = training.seen.without(training.patients) if training.films else training.seen
    for population in rest.hashes:
        found = _by_hash(rest, population, evaluated, ids)
        leaking |= found.leaking
        compared += found.compared
        unchecked += found.unchecked
    return _Compared(leaking, tuple(compared), tuple(unchecked))


def _by_id(
    records: Sequence[Record], ids: Mapping[str, frozenset[_Id]], trained: frozenset[_Id]
) -> frozenset[str]:
    """Return the patients, as spelled, whose id is a training patient's."""
    known: dict[str, set[str]] = {"": set()}
    for dataset, patient in trained:
        known.setdefault(dataset, set()).add(patient)
    anywhere = set[str]().union(*known.values())

    def trains(own: _Id) -> bool:
        dataset, patient = own
        if not dataset:
            return patient in anywhere
        return patient in known.get(dataset, ()) or patient in known[""]

    return frozenset(r.patient_id for r in records if any(map(trains, ids[r.image_id])))


def _incomparable(every: frozenset[_Id], trained: frozenset[_Id]) -> str:
    """Say why patients may be the same under ids that differ by a word in front; "" if none is."""
    own, others = ({patient for _, patient in some} for some in (every, trained))
    near = [id_ for id_ in own if not others.isdisjoint(map(canonical, reworded(id_)))]
    if not near or own & others:
        return ""
    return (
        f"the ids of {len(near):,} evaluated patients are those of training patients but for a "
        f"word before the number, first: {first_names(near, 1)[0]}"
    )


def _apart(dataset: str, others: Collection[str]) -> bool:
    """Return whether a dataset shares no patient with others, being of different hospitals."""
    bases = {other.removeprefix("drawn-") for other in others}
    if not bases or dataset == "table" or bases & {"", "table", dataset}:
        return False
    return not any(dataset in names and bases & names for names in _SAME_FILMS)


def _by_hash(
    seen: SeenPatients, population: str, evaluated: Cohort, ids: Mapping[str, frozenset[_Id]]
) -> _Compared:
    """Compare patients with the hashes of one population.

    The hashes carry the dataset's name: an id counts where the films' names or the reader say that
    it is of this dataset. Any other id that agrees may be another hospital's.
    """
    base, own = population.removeprefix("drawn-"), evaluated.dataset
    if _apart(own, [base]):
        return _Compared(frozenset(), (f"{own} and {base} are of different patients",), ())
    if own != base and "table" not in (own, base):
        words = f"{own} and {base} have films in common, under different names"
        return _Compared(frozenset(), (), (words,))
    if own == base != "table" and population != evaluated.population:
        return _Compared(frozenset(), ("drawn patients are not the dataset's",), ())
    texts: dict[str, set[str]] = {}
    for record in evaluated.records:
        known = {patient for dataset, patient in ids[record.image_id] if dataset == base}
        texts[record.image_id] = known | ({record.patient_id} if own == base else set())
    among = seen.among(population, set[str]().union(*texts.values()))
    leaking = {r.patient_id for r in evaluated.records if texts[r.image_id] & among}
    count = len(seen.hashes[population])
    others = [r.patient_id for r in evaluated.records if not texts[r.image_id]]
    near = seen.nearly(population, evaluated.patients().tolist()) if base == "table" else None
    if near and not leaking:
        words = (
            f"{len(near):,} patients would be among those of {population} but for a word before "
            f"the number, first: {first_names(near, 1)[0]}"
        )
        return _Compared(frozenset(), (), (words,))
    if not others:
        patients = len(set(evaluated.patients().tolist()))
        compared = f"{patients:,} patients with {count:,} of {population} by hash"
        return _Compared(frozenset(leaking), (compared,), ())
    chance = seen.among(population, others)
    words = (
        f"{count:,} training patients are known by the hash of their {population} id only, and "
        f"nothing tells that the ids of {len(others):,} of {len(texts):,} evaluated films are "
        f"{population} ids"
    )
    if chance:
        films = sum(patient in chance for patient in others)
        words += f" (if they are, {films:,} of these films are of training patients)"
    return _Compared(frozenset(leaking), (), (words,))
