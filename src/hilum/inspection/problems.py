"""The verdict: what of an inspection would make training or measuring wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hilum.domain.documents.inspection import (
    Copy,
    DatasetInspection,
    FindingCounts,
    Problem,
    ProblemCode,
    Severity,
)
from hilum.domain.policy import Conflict
from hilum.domain.record import Split

__all__ = ["problems_of"]

_FIRST = 5


def problems_of(inspection: DatasetInspection, allow_unlabelled: bool) -> tuple[Problem, ...]:
    """Return all problems of an inspection, errors first.

    Args:
        inspection: everything that was counted.
        allow_unlabelled: films without a row were expected, and are a warning only.
    """
    found = [
        *_rows_and_films(inspection, allow_unlabelled),
        *_patients(inspection),
        *_copies(inspection.films.copies),
        *_labels(inspection),
        *_splits(inspection),
    ]
    return tuple(sorted(found, key=lambda problem: problem.level is not Severity.ERROR))


def _rows_and_films(found: DatasetInspection, allow_unlabelled: bool) -> Iterator[Problem]:
    films = found.films
    if films.without_row:
        yield Problem(
            level=Severity.WARNING if allow_unlabelled else Severity.ERROR,
            code=ProblemCode.UNLABELLED_FILMS,
            count=films.without_row,
            message=f"{_count(films.without_row, 'film')} here that no row describes: "
            f"{_first(films.without_row_first, films.without_row)}. Is a part of the table "
            "missing? If not, --allow-unlabelled goes on without them",
        )
    if films.missing:
        yield Problem(
            level=Severity.WARNING,
            code=ProblemCode.ABSENT_FILMS,
            count=films.missing,
            message=f"{films.missing:,} of {found.listed:,} films listed are not here; "
            + ("only labels were checked" if not films.here else "they neither train nor score"),
        )
    if films.unreadable:
        count = sum(films.unreadable.values())
        reasons = ", ".join(f"{code} {number:,}" for code, number in films.unreadable.items())
        names = [film.image_id for film in films.unreadable_first]
        yield Problem(
            level=Severity.ERROR,
            code=ProblemCode.UNREADABLE,
            count=count,
            message=f"{_count(count, 'film')} that cannot be read ({reasons}): "
            f"{_first(names, count)}. Fetch them again, or leave them out with --exclude",
        )


def _patients(found: DatasetInspection) -> Iterator[Problem]:
    nameless, ageless = found.population.patients_unknown, found.population.impossible_ages
    if found.split.leak is not None:
        yield Problem(
            level=Severity.ERROR,
            code=ProblemCode.PATIENT_LEAK,
            count=found.official.patients_on_both_sides,
            message=found.split.leak,
        )
    if nameless:
        yield Problem(
            level=Severity.WARNING,
            code=ProblemCode.PATIENT_UNKNOWN,
            count=nameless,
            message=f"{_count(nameless, 'film')} whose patient is not named: two "
            "films of one patient cannot be kept together, and intervals are by film",
        )
    if ageless:
        yield Problem(
            level=Severity.WARNING,
            code=ProblemCode.IMPOSSIBLE_AGE,
            count=ageless,
            message=f"{_count(ageless, 'film')} with an age that cannot be; it is "
            "taken as unknown and counts in no age group",
        )


def _copies(copies: Sequence[Copy]) -> Iterator[Problem]:
    inside = [copy for copy in copies if copy.first_patient == copy.second_patient]
    between = [copy for copy in copies if copy.first_patient != copy.second_patient]
    across = [copy for copy in between if copy.first_split != copy.second_split]
    within = [copy for copy in between if copy.first_split == copy.second_split]
    for level, some, text in (
        (
            Severity.ERROR,
            across,
            "of different patients in different splits are one film: what is trained on is also "
            "tested on. Leave one of each out with --exclude",
        ),
        (Severity.WARNING, within, "of different patients in one split are one film"),
        (Severity.WARNING, inside, "of one patient are one film"),
    ):
        if some:
            exact = sum(copy.exact for copy in some)
            pairs = [
                f"{copy.first} ({copy.first_split}) and {copy.second} ({copy.second_split})"
                if some is across
                else f"{copy.first} and {copy.second}"
                for copy in some
            ]
            yield Problem(
                level=level,
                code=ProblemCode.NEAR_DUPLICATE,
                count=len(some),
                message=f"{_count(len(some), 'pair')} of films {text}; {exact:,} byte for byte: "
                f"{_first(pairs, len(pairs))}",
            )


def _labels(found: DatasetInspection) -> Iterator[Problem]:
    if found.labels.undecided:
        yield Problem(
            level=Severity.ERROR,
            code=ProblemCode.UNCERTAIN_POLICY_MISSING,
            count=found.labels.undecided,
            message=f"{_count(found.labels.undecided, 'uncertain label')}, and no policy for "
            "them. Use --uncertain ignore, positive, negative or soft",
        )
    conflicts, treated = found.labels.no_finding.conflicts, found.policy.no_finding
    if conflicts:
        result = {
            Conflict.DROP: "they are left out",
            Conflict.TRUST_FINDINGS: "No Finding is read as negative there",
            Conflict.KEEP: "both labels stay, and contradict each other in training",
        }[treated]
        yield Problem(
            level=Severity.ERROR if treated is Conflict.KEEP else Severity.WARNING,
            code=ProblemCode.NO_FINDING_CONFLICT,
            count=conflicts,
            message=f"{_count(conflicts, 'film')} labeled No Finding and a finding at once; "
            f"{result} (--no-finding {treated})",
        )


def _splits(found: DatasetInspection) -> Iterator[Problem]:
    for split, group in found.split.groups.items():
        if not group.used:
            yield Problem(
                level=Severity.ERROR,
                code=ProblemCode.EMPTY_SPLIT,
                count=group.films,
                message=f"split {split} of {found.split.name} has no film to use "
                f"({group.films:,} listed). Use more patients or another split",
            )
            continue
        trained = split == Split.TRAIN.value
        for lacking in ("positive", "negative"):
            names = _lacking(found.labels.findings, split, lacking)
            if names:
                yield Problem(
                    level=Severity.ERROR if trained else Severity.WARNING,
                    code=ProblemCode.ONE_CLASS,
                    count=len(names),
                    message=f"{split} has no {lacking} film of {_first(names, len(names))}: "
                    + (_UNLEARNED if trained else "their numbers will be null"),
                )


_UNLEARNED = (
    "they cannot be learned. Leave them out by --label-set, or say --blank negative where a label "
    "that is not mentioned means no"
)


def _lacking(findings: Mapping[str, FindingCounts], split: str, state: str) -> list[str]:
    return [name for name, f in findings.items() if not getattr(f.by_split[split], state)]


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _first(names: Sequence[str], count: int) -> str:
    return ", ".join([*names[:_FIRST], *(["…"] if count > _FIRST else [])])
