"""The document that an inspection leaves: what a dataset holds and what would go wrong with it."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document
from hilum.domain.policy import LabelPolicy

__all__ = [
    "CoOccurrence",
    "Copy",
    "DatasetCard",
    "DatasetInspection",
    "FilmInspection",
    "FindingCounts",
    "Labels",
    "NoFinding",
    "OfficialLists",
    "Population",
    "Problem",
    "ProblemCode",
    "Published",
    "Severity",
    "SplitCounts",
    "SplitInspection",
    "States",
    "Unreadable",
    "Variant",
]


class Variant(StrEnum):
    """Change that makes a copy of a film look new."""

    SAME = "same"
    """Nothing that moves a pixel or turns gray around."""
    MIRRORED = "mirrored"
    """Left and right exchanged."""
    INVERTED = "inverted"
    """Black and white exchanged."""


class Severity(StrEnum):
    """Severity of a problem."""

    ERROR = "error"
    """A training or measurement on the dataset as it is would be wrong."""
    WARNING = "warning"
    """One must know it, and can go on."""


class ProblemCode(StrEnum):
    """Kind of problem. The words are stable; programs may compare them."""

    UNLABELLED_FILMS = "UNLABELLED_FILMS"
    """Films are here that no row describes."""
    ABSENT_FILMS = "ABSENT_FILMS"
    """Rows describe films that are not here."""
    UNREADABLE = "UNREADABLE"
    """Films are here that cannot be read."""
    PATIENT_LEAK = "PATIENT_LEAK"
    """Patients are on both sides of the official lists."""
    PATIENT_UNKNOWN = "PATIENT_UNKNOWN"
    """Nothing says which films belong to one patient."""
    NEAR_DUPLICATE = "NEAR_DUPLICATE"
    """Films are copies of each other. Between splits it is an error, else a warning."""
    UNCERTAIN_POLICY_MISSING = "UNCERTAIN_POLICY_MISSING"
    """There are uncertain labels, and no policy for counting them."""
    NO_FINDING_CONFLICT = "NO_FINDING_CONFLICT"
    """Films are labeled `No Finding` and a finding at once."""
    EMPTY_SPLIT = "EMPTY_SPLIT"
    """A split has no film."""
    ONE_CLASS = "ONE_CLASS"
    """A finding has no positive, or no negative, in a split. In train it is an error."""
    IMPOSSIBLE_AGE = "IMPOSSIBLE_AGE"
    """Ages that cannot be; they are taken as unknown."""


class Problem(Document):
    """One problem of the dataset, or of the request made of it."""

    level: Severity
    code: ProblemCode
    count: int
    """Count of films, pairs of films, patients, labels or findings, as the message says."""
    message: str
    """Description: what is wrong, how often, where first, and what to do."""


class DatasetCard(Document):
    """Card of the dataset as it was published."""

    name: str
    title: str
    labels: str
    licence: str
    citation: str
    url: str
    known_faults: tuple[str, ...]


class Published(Document):
    """The films and patients listed here, against those published."""

    films: int
    films_published: int | None
    """None where there is nothing to compare with."""
    patients: int
    patients_published: int | None
    complete: bool | None
    """Whether both are exactly as published; None where nothing was."""


class SplitCounts(Document):
    """Some of the films."""

    films: int
    """Listed in the table."""
    patients: int
    """Patients of the films listed."""
    used: int
    """Films left by the policy, and here, if any is."""


class SplitInspection(Document):
    """The split that a stage would make by default."""

    name: str
    groups: dict[str, SplitCounts]
    """Facts on train, tune, calibrate and test. Empty where patients cross the lists."""
    sha256: dict[str, str]
    """Hash of each split's film names."""
    leak: str | None = None
    """Reason why no split could be made."""


class OfficialLists(Document):
    """Films that the dataset's authors set aside."""

    test_films: int | None
    """None where there is no list."""
    tune_films: int | None
    patients_on_both_sides: int
    """Patients with films on a list and off it."""
    recognised: tuple[str, ...]
    """Lists of the field that the films on the lists, and those off them, are."""


class States(Document):
    """Number of films with a finding in each state."""

    positive: int
    negative: int
    uncertain: int
    unlabelled: int


class FindingCounts(Document):
    """One finding."""

    listed: States | None
    """Counts of the dataset's own labels, all films; None where the requested label set adds it."""
    used: States
    """Counts as training would see them: after the policy, films used."""
    positive_patients: int
    """Patients with a positive film, of the films used."""
    prevalence: float | None
    """positive / (positive + negative), of the films used; None where neither is known."""
    patient_prevalence: float | None
    """Patients with a positive film among those with a positive or negative one."""
    by_split: dict[str, States]


class CoOccurrence(Document):
    """On how many films used two findings are positive together."""

    findings: tuple[str, ...]
    films: tuple[tuple[int, ...], ...]
    """(L, L), symmetric; the diagonal counts each finding's own films."""


class NoFinding(Document):
    """Films labeled `No Finding`, of all films listed."""

    conflicts: int
    """Beside a finding: a contradiction."""
    with_support_devices: int
    """Beside support devices alone: legitimate, and no contradiction."""


class Population(Document):
    """Patients of all films listed: view, sex and age."""

    views: dict[str, SplitCounts]
    sexes: dict[str, SplitCounts]
    ages: dict[str, SplitCounts]
    """Films by decade of age."""
    age_by_sex: dict[str, dict[str, int]]
    """Decade to sex to films, where both are known."""
    impossible_ages: int
    """Films whose age cannot be, and was taken as unknown."""
    films_per_patient_mean: float
    films_per_patient_max: int
    patients_unknown: int
    """Films whose patient nothing names but the film itself."""


class Labels(Document):
    """Counts of the labels."""

    findings: dict[str, FindingCounts]
    undecided: int
    """Uncertain labels that no policy was given for; they are counted as uncertain."""
    co_occurrence: CoOccurrence
    findings_per_film: dict[int, int]
    """Number of findings to number of films used; `No Finding` is not one."""
    no_finding: NoFinding


class Unreadable(Document):
    """One film that could not be read."""

    image_id: str
    code: str
    message: str


class Copy(Document):
    """Two films that are one."""

    first: str
    second: str
    first_patient: str
    second_patient: str
    first_split: str | None
    second_split: str | None
    variant: Variant
    exact: bool
    """The two files have the same bytes."""
    distance: int
    """Bits of 256 in which the perceptual hashes differ."""
    correlation: float
    """Correlation of the registered pixels."""
    detail: float
    """Correlation of the registered details."""


class FilmInspection(Document):
    """Facts on the film files themselves."""

    here: int
    """Films listed that are here."""
    missing: int
    """Films listed that are not."""
    without_row: int
    without_row_first: tuple[str, ...]
    """The first of the films that no row describes, relative to the dataset's folder."""
    asked: int
    """Films that were to be read: all here, or a sample of them; 0 where none was."""
    read: int
    unreadable: dict[str, int]
    """Reason code to films."""
    unreadable_first: tuple[Unreadable, ...]
    remarks: dict[str, int]
    """Reason code to films that were read with a remark."""
    candidates: int
    """Pairs that look alike by their hashes."""
    copies: tuple[Copy, ...]
    """Enough pairs to tie together every group of copies; the closest first."""


class DatasetInspection(Document):
    """Result of `hilum check`. Counts are of films unless they say otherwise.

    Two sets of films are counted: all that are *listed* in the dataset's table, with labels as they
    stand there, and those *used*: what the label policy leaves of them, and of these the films that
    are here, if any is here.
    """

    schema_version: int = 1
    hilum: str
    """Version that inspected."""
    root: str
    card: DatasetCard
    synthetic: bool
    """The films were drawn, not taken."""
    policy: LabelPolicy
    published: Published
    listed: int
    used: int
    used_patients: int
    records_sha256: str
    """SHA-256 of films, patients and labels as listed."""
    split: SplitInspection
    official: OfficialLists
    population: Population
    labels: Labels
    films: FilmInspection
    mappings: tuple[str, ...]
    """Spellings of the dataset that are read as a finding of another name."""
    notes: tuple[str, ...]
    """Other notes of the reader."""
    policy_notes: tuple[str, ...]
    """Changes made by the policy."""
    problems: tuple[Problem, ...] = ()
    """Errors first."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found that would make training or measuring wrong."""
        return all(problem.level is not Severity.ERROR for problem in self.problems)
