"""One patient, many spellings of the id: what counts as one, as nobody's, and as destroyed.

Spreadsheets and data frames write patient 12 as `12`, `12.0`, `0012` or `P12`. A leak guard that
compares spellings finds nobody again, so ids are compared by `canonical`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hilum.domain.errors import DatasetError
from hilum.domain.record import Cohort, Record

__all__ = [
    "PATIENT_RULES",
    "PatientRule",
    "canonical",
    "identities",
    "is_destroyed",
    "is_nobody",
    "refuse_destroyed",
    "reworded",
    "rule_of_film",
    "spellings",
    "unify_patients",
]

_NOBODY = frozenset(
    (
        *("", "nan", "none", "null", "<na>", "na", "n/a", "#n/a", "nat", "-", "?", "unknown"),
        *("anonymous", "anonymized", "anonymised"),
    )
)
"""Words for a missing id, folded: pandas, R, spreadsheets and anonymizers write these."""
_NUMBER = re.compile(r"0*([0-9]+)(?:[.,]0+)?")
_EXPONENT = re.compile(r"[0-9]+(?:[.,][0-9]+)?e\+[0-9]+|[0-9][.,][0-9]+e-?[0-9]+", re.IGNORECASE)
_WHOLE_FLOAT = re.compile(r"0*([0-9]{16,})[.,]0+")
_SUFFIX = re.compile(r"\.(png|jpe?g|dcm|dicom|tiff?|bmp)$")
_PREFIXED = re.compile(r"(?:patient|pat|pid|p|subject|subj|id)[ _-]?([0-9]+)(?:[.,]0+)?")
_WORDED = re.compile(r"([a-z]*[ _-]?)([0-9]+)")
_WIDEST = 12
"""Digits to which ids are padded with zeros when they are looked for among hashes."""


@dataclass(frozen=True)
class PatientRule:
    """Spelling of a public dataset's patients, and what the name of its films tells of them.

    Attributes:
        dataset: name of the reader.
        film: pattern of its film names, in lower case without image suffix; a group `patient`
            where the name tells the patient.
        own: format of the patient's number in the dataset's own spelling.
        renames: whether ids are written in that spelling when a dataset is read.
    """

    dataset: str
    film: re.Pattern[str]
    own: str = "{}"
    renames: bool = True

    def patient_of(self, film: str) -> str | None:
        """Return the canonical patient that a film's name tells; None where it tells none.

        >>> PATIENT_RULES["nih"].patient_of("images_001/00000012_003.png")
        '12'
        """
        match = self.film.search(_bare(film))
        number = match.groupdict().get("patient") if match else None
        return None if number is None else canonical(number, self.dataset)

    def fits(self, film: str) -> bool:
        """Return whether a film is named as this dataset names films."""
        return self.film.search(_bare(film)) is not None


PATIENT_RULES = {
    rule.dataset: rule
    for rule in (
        PatientRule("nih", re.compile(r"(?:^|/)(?P<patient>[0-9]{8})_[0-9]{3}$")),
        PatientRule(
            "chexpert",
            re.compile(r"(?:^|/)patient(?P<patient>[0-9]+)/study[0-9]+/view[0-9]+_\w+$"),
            own="patient{:0>5}",
        ),
        PatientRule(
            "mimic",
            re.compile(
                r"(?:^|/)(?:p(?P<patient>[0-9]{8})/s[0-9]{8}/)?[0-9a-f]{8}(?:-[0-9a-f]{8}){4}$"
            ),
        ),
        PatientRule("padchest", re.compile(r"(?:^|/)[0-9]{25,}_[\w-]+$"), renames=False),
    )
}
"""Rule of each dataset that names its patients, by the name of its reader."""


def rule_of_film(film: str) -> PatientRule | None:
    """Return the rule of the dataset that names films like this one; None for any other name.

    >>> rule = rule_of_film("train/patient00012/study1/view1_frontal.jpg")
    >>> rule.dataset if rule else None
    'chexpert'
    """
    return next((rule for rule in PATIENT_RULES.values() if rule.fits(film)), None)


def canonical(patient: str, dataset: str = "") -> str:
    """Return the form of an id by which patients are compared, "" for nobody's.

    Blanks around it, case, leading zeros and a fraction of zeros do not count. A word in front of
    the number counts, except in a dataset with a rule, whose patients are numbers.

    Args:
        patient: the id as it is spelled.
        dataset: name of the reader, or of the population, whose ids these are.

    >>> {canonical(spelling) for spelling in ("12", "12.0", " 0012", '="0012"')}
    {'12'}
    >>> canonical("P12"), canonical("P12", "nih"), canonical("patient00012", "chexpert")
    ('p12', '12', '12')
    """
    return _canonical(patient, dataset.removeprefix("drawn-") in PATIENT_RULES)


@lru_cache(maxsize=1 << 18)
def _canonical(patient: str, ruled: bool) -> str:
    text = unicodedata.normalize("NFKC", patient).strip(" \t\r\n\ufeff\u200b'\"=").casefold()
    if text in _NOBODY:
        return ""
    match = _NUMBER.fullmatch(text) or (_PREFIXED.fullmatch(text) if ruled else None)
    return text if match is None else match[1].lstrip("0") or "0"


def identities(film: str, patient: str, population: str) -> frozenset[tuple[str, str]]:
    """Return what is known of a film's patient, by the film's name and by the id beside it.

    Args:
        film: the film's name.
        patient: its patient as spelled; the film's own name, or blank, where it is not known.
        population: name of the reader or population whose films these are; "" or "table" for films
            of unknown origin, of which their names tell the dataset.

    Returns:
        Pairs of dataset and canonical id; the dataset is "" for a table of one's own.

    >>> sorted(identities("00000012_003.png", "P12", "table"))
    [('nih', '12')]
    >>> sorted(identities("a.png", "P12", "table")), sorted(identities("a.png", "a.png", "table"))
    ([('', 'p12')], [])
    """
    base = population.removeprefix("drawn-")
    own = base in ("", "table")
    rule = PATIENT_RULES.get(base) or (rule_of_film(film) if own else None)
    found: list[tuple[str, str]] = []
    if rule is not None and (named := rule.patient_of(film)):
        found.append((rule.dataset, named))
    if patient != film and not is_nobody(patient):
        dataset = rule.dataset if rule is not None else "" if own else base
        found.append((dataset, canonical(patient, dataset)))
    return frozenset(found)


def is_nobody(patient: str) -> bool:
    """Return whether an id is blank or a word for a missing id, such as `nan`.

    >>> is_nobody(" "), is_nobody("NaN"), is_nobody("0")
    (True, True, False)
    """
    return canonical(patient) == ""


def is_destroyed(patient: str) -> bool:
    """Return whether a spreadsheet or data frame has cut digits off an id.

    That is exponent notation, or a whole number with a fraction and more digits than a float holds.

    >>> is_destroyed("1.23E+15"), is_destroyed("12345678901234568.0"), is_destroyed("12E4")
    (True, True, False)
    """
    text = patient.strip()
    if _EXPONENT.fullmatch(text):
        return True
    match = _WHOLE_FLOAT.fullmatch(text)
    return match is not None and int(match[1]) >= 2**53


def refuse_destroyed(patients: Iterable[str], source: str) -> None:
    """Refuse ids that a spreadsheet has destroyed: several patients would be one.

    Args:
        patients: the id of each film.
        source: name of the table or dataset, for the message.

    Raises:
        DatasetError: with the number of films and the first id.

    >>> refuse_destroyed(["1.23E+15"], "labels.csv")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.DatasetError: patient ids must have all their digits; 1 film of labels.csv
    has one that a spreadsheet cut short, first: '1.23E+15'. Export the id column as text
    """
    lost = [patient for patient in patients if is_destroyed(patient)]
    if lost:
        films = "1 film" if len(lost) == 1 else f"{len(lost):,} films"
        verb = "has" if len(lost) == 1 else "have"
        raise DatasetError(
            f"patient ids must have all their digits; {films} of {source} {verb} one that a "
            f"spreadsheet cut short, first: '{lost[0]}'. Export the id column as text"
        )


def spellings(patient: str, dataset: str) -> Iterator[str]:
    """Give the ways in which a dataset may have spelled a patient, to look among its hashes.

    Args:
        patient: the id in any spelling.
        dataset: name of the reader, or of the population, whose hashes these are.

    >>> list(spellings("P12", "nih"))[:3], list(spellings("12.0", "chexpert"))[:3]
    (['12', 'P12', '012'], ['patient00012', '12.0', '012'])
    """
    base = dataset.removeprefix("drawn-")
    folded = canonical(patient, base)
    if not folded:
        return
    rule = PATIENT_RULES.get(base)
    if rule is not None and rule.renames:
        found = [rule.own.format(folded), patient]
    else:
        found = [folded, patient, patient.strip(), folded.upper(), folded.capitalize()]
        found += [f"{folded}.0"] if folded.isdecimal() else []
    if folded.isdecimal():
        found += [folded.zfill(width) for width in range(len(folded) + 1, _WIDEST + 1)]
    yield from dict.fromkeys(found)


def reworded(patient: str) -> list[str]:
    """Return a number with words that tables write before it; a worded id without its word.

    >>> reworded("P012"), reworded("12")[:3]
    (['12'], ['P12', 'P012', 'P0012'])
    """
    match = _WORDED.fullmatch(canonical(patient))
    if match is None:
        return []
    number = match[2].lstrip("0") or "0"
    if match[1]:
        return [number]
    padded = [f"P{number.zfill(width)}" for width in range(len(number), 7)]
    return [*padded, f"Pat{number}", f"Patient{number}", f"patient{number:0>5}"]


def unify_patients(cohort: Cohort) -> Cohort:
    """Return the cohort with one spelling for each patient, and notes of what was made one.

    The shortest spelling counts, so a patient with one spelling keeps it; datasets with a rule get
    their own. A film whose id is nobody's is its own patient. A film named as its own patient, as
    where a table has no patients, stays as it is.

    Raises:
        DatasetError: for ids that a spreadsheet has destroyed.

    >>> from hilum.domain.findings import LabelSet
    >>> films = (Record("a", "3.0", ()), Record("b", "3", ()), Record("c", "nan", ()))
    >>> one = unify_patients(Cohort("table", LabelSet("none", ()), films))
    >>> one.patients().tolist(), len(one.notes)
    (['3', '3', 'c'], 2)
    """
    named = [r.patient_id for r in cohort.records if r.patient_id != r.image_id]
    refuse_destroyed(named, cohort.dataset)
    written: dict[str, set[str]] = {}
    for patient in set(named):
        written.setdefault(canonical(patient, cohort.dataset), set()).add(patient)
    nobody = written.pop("", set[str]())
    rule = PATIENT_RULES.get(cohort.dataset)
    chosen: dict[str, str] = {}
    for folded, spelled in written.items():
        best = min(spelled, key=lambda text: (len(text), text))
        if rule is not None and rule.renames and folded.isdecimal():
            best = rule.own.format(folded)
        chosen |= dict.fromkeys(spelled, best)
    if not nobody and all(patient == best for patient, best in chosen.items()):
        return cohort
    notes = tuple(_unify_notes(written, chosen, sum(map(is_nobody, named))))
    return replace(
        cohort,
        records=tuple(_renamed(record, chosen, nobody) for record in cohort.records),
        notes=(*cohort.notes, *notes),
    )


def _unify_notes(
    written: dict[str, set[str]], chosen: dict[str, str], nameless: int
) -> Iterator[str]:
    several = [sorted(spelled) for spelled in written.values() if len(spelled) > 1]
    alone = sum(
        len(spelled) == 1 and chosen[next(iter(spelled))] not in spelled
        for spelled in written.values()
    )
    if several:
        first = min(several)
        yield (
            "patient ids folded, since they differ only by case, zeros or '.0': "
            f"{len(several):,} patients, first: {' = '.join(first)}"
        )
    if alone:
        yield f"patient ids written in the dataset's own way: {alone:,} patients"
    if nameless:
        yield (
            "films whose patient id is blank or a word such as nan, each taken as its own "
            f"patient: {nameless:,}"
        )


def _renamed(record: Record, chosen: dict[str, str], nobody: set[str]) -> Record:
    if record.patient_id == record.image_id:
        return record
    if record.patient_id in nobody:
        return replace(record, patient_id=record.image_id)
    best = chosen[record.patient_id]
    return record if best == record.patient_id else replace(record, patient_id=best)


def _bare(film: str) -> str:
    return _SUFFIX.sub("", film.strip().replace("\\", "/").casefold())
