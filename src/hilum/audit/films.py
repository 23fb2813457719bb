"""Which films were evaluated: a list that is known, and films of training patients or not."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.domain.documents.audit import Leak, Remark, RemarkKind
from hilum.domain.errors import LeakError
from hilum.domain.record import Cohort, digest
from hilum.splits import (
    KnownSplit,
    TrainingFilms,
    overlap_of,
    recognise,
    refuse_other_family,
)

__all__ = ["leak_of", "leak_remarks", "split_name", "split_remarks"]


def leak_of(training: TrainingFilms, cohort: Cohort) -> Leak:
    """How far the evaluated films are of training patients, with a certificate in words.

    Args:
        training: what the model was trained on.
        cohort: the evaluated films.
    """
    found = overlap_of(training.patients, cohort.patients().tolist())
    shared = len(training.films.intersection(cohort.image_ids()))
    known = recognise(training.films)
    source = training.source if known is None else f"{training.source}: {known.name}"
    words = f"{found.sentence()} ({source}); {shared:,} films are on both sides"
    if training.unknown:
        words += (
            f". The labels do not tell the patients of {training.unknown:,} of "
            f"{len(training.films):,} training films, so more may leak"
        )
    return Leak(
        training=training.source,
        training_films=len(training.films),
        training_patients=len(training.patients),
        training_patients_sha256=digest(training.patients),
        patients_sha256=digest(set(cohort.patients().tolist())),
        films_unknown=training.unknown,
        shared_films=shared,
        leaking_films=found.leaking_films,
        leaking_patients=found.leaking_patients,
        certificate=words,
    )


def leak_remarks(leak: Leak) -> Iterator[Remark]:
    """The leak, or that there is none, in a line."""
    kind = RemarkKind.LEAK if leak.leaking_films else RemarkKind.NO_LEAK_FOUND
    yield Remark(kind=kind, words=leak.certificate)


def split_name(cohort: Cohort) -> str:
    """What to call the evaluated films: the known list that they are, or what they came from."""
    known = recognise(cohort.image_ids())
    return "films of the table" if known is None else known.name


def split_remarks(cohort: Cohort, training: TrainingFilms | None) -> Iterator[Remark]:
    """Known and official lists that the films belong to, and families that do not go together."""
    known = recognise(cohort.image_ids())
    if known is not None:
        yield Remark(
            kind=RemarkKind.KNOWN_SPLIT,
            words=f"the films are exactly {known.name} ({known.source}), by their hash",
        )
    else:
        yield from _official(cohort)
    if known is not None and training is not None:
        yield from _other_family(known, training)


def _official(cohort: Cohort) -> Iterator[Remark]:
    """How many films are on the lists that the dataset's authors set aside."""
    names = set(cohort.image_ids())
    for listed, use in ((cohort.official_test, "test"), (cohort.official_tune, "tune")):
        if listed is None:
            continue
        inside = len(names & listed)
        if inside == len(names):
            share = "all" if inside == len(listed) else f"{inside:,} of the {len(listed):,}"
            words = f"the films are {share} films of the dataset's official {use} list"
        elif inside:
            words = (
                f"{inside:,} of {len(names):,} films are on the dataset's official {use} list, "
                "the others are not: a mixture that no published number was measured on"
            )
        else:
            words = f"no film is on the dataset's official {use} list"
        yield Remark(kind=RemarkKind.OFFICIAL_SPLIT, words=words)


def _other_family(known: KnownSplit, training: TrainingFilms) -> Iterator[Remark]:
    trained = recognise(training.films)
    if trained is None:
        return
    try:
        refuse_other_family(trained, known)
    except LeakError as refusal:
        yield Remark(kind=RemarkKind.OTHER_FAMILY, words=str(refusal))
