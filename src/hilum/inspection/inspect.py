"""A dataset looked at as a whole, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from hilum.datasets import open_dataset, reader, without
from hilum.datasets.parts.disk import folder_of
from hilum.domain.documents.inspection import DatasetCard, DatasetInspection, FilmInspection
from hilum.domain.findings import LabelState, label_set
from hilum.domain.policy import LabelPolicy, Uncertain, relabel, settle
from hilum.domain.record import Cohort
from hilum.inspection.duplicates import Duplicates, find_duplicates
from hilum.inspection.films import (
    FilmPrints,
    films_without_row,
    look_at,
    sample,
    thumbnail_pool,
)
from hilum.inspection.labels import labels_of
from hilum.inspection.population import (
    Counted,
    official_lists,
    population,
    published,
    split_inspection,
    split_of,
)
from hilum.inspection.problems import problems_of
from hilum.splits import SplitTable

__all__ = ["InspectionRequest", "inspect_dataset"]

_FIRST = 20
_MAPPING = " is read as "
_UNDECIDED = "uncertain labels, policy"

Step = Callable[[str, int, int], None]


@dataclass(frozen=True)
class InspectionRequest:
    """Options of an inspection.

    Attributes:
        place: the dataset's folder, or one of its tables.
        dataset: its reader's name, where the place should not speak for itself.
        policy: what labels count as; without one for uncertain labels they are a problem.
        films: whether to read the films that are here.
        sample: how many of them; None for all.
        seed: of the sample.
        excluded: films to leave out.
        allow_unlabelled: films without a row are a warning only.
    """

    place: Path
    dataset: str | None = None
    policy: LabelPolicy = field(default_factory=LabelPolicy)
    films: bool = True
    sample: int | None = None
    seed: int = 0
    excluded: frozenset[str] = frozenset()
    allow_unlabelled: bool = False


def inspect_dataset(request: InspectionRequest, step: Step | None = None) -> DatasetInspection:
    """Count, read, compare and judge a dataset.

    The split is the one that training would make by default: official lists where there are any,
    else by the hash of the patient's name. What a reader refuses, such as an unknown label or one
    film with two labelings, is not a problem of the inspection but an error: there is no cohort.

    Args:
        request: what to look at.
        step: called with (what, done, total).

    Raises:
        DatasetError: when no dataset is recognized, or its table breaks its format.
        UsageError: for an unknown dataset or label set.
    """
    whole = open_dataset(request.place, request.dataset)
    listed = whole
    if request.excluded:
        listed = without(whole, request.excluded, "as requested")
    settled, undecided = _settled(listed, request.policy)
    # what was undecided is a problem, and was not ignored by anybody's choice
    policy_notes = tuple(
        note
        for note in settled.notes[len(listed.notes) :]
        if not (undecided and note.startswith(_UNDECIDED))
    )
    if any(record.path is not None for record in settled.records):
        settled = settled.select(lambda record: record.path is not None)
    splits, leak = split_of(listed)
    counted = Counted(listed, settled, splits)
    stray = films_without_row(whole, folder_of(request.place))
    inspection = DatasetInspection(
        hilum=version("hilum"),
        root=str(request.place),
        card=_card(listed),
        synthetic=listed.synthetic,
        policy=request.policy,
        published=published(listed, reader(listed.dataset).card),
        listed=len(listed),
        used=len(settled),
        used_patients=len(set(settled.patients().tolist())),
        records_sha256=listed.sha256(),
        split=split_inspection(counted, leak),
        official=official_lists(listed),
        population=population(counted),
        labels=labels_of(counted, undecided),
        films=_films(request, listed, splits, stray, step),
        mappings=tuple(note for note in listed.notes if _MAPPING in note),
        notes=tuple(note for note in listed.notes if _MAPPING not in note),
        policy_notes=policy_notes,
    )
    problems = problems_of(inspection, request.allow_unlabelled)
    return inspection.model_copy(update={"problems": problems})


def _settled(cohort: Cohort, policy: LabelPolicy) -> tuple[Cohort, int]:
    """Return the cohort by the policy, and how many uncertain labels no policy was given for.

    Those are left uncertain, so that everything else can still be counted.
    """
    lenient = policy.model_copy(
        update={"uncertain": policy.uncertain or Uncertain.IGNORE, "label_set": None}
    )
    settled = settle(cohort, lenient)
    undecided = 0
    if policy.uncertain is None:
        undecided = int((settled.states() == LabelState.UNCERTAIN).sum())
    if policy.label_set is not None:
        settled = relabel(settled, label_set(policy.label_set))
    return settled, undecided


def _card(cohort: Cohort) -> DatasetCard:
    card = reader(cohort.dataset).card
    return DatasetCard(
        name=card.name,
        title=card.title,
        labels=card.labels,
        licence=card.licence,
        citation=card.citation,
        url=card.url,
        known_faults=card.known_faults,
    )


def _films(
    request: InspectionRequest,
    listed: Cohort,
    splits: SplitTable | None,
    stray: list[Path],
    step: Step | None,
) -> FilmInspection:
    here = [record for record in listed.records if record.path is not None]
    chosen = sample(here, request.sample, request.seed) if request.films else []
    looks, duplicates = FilmPrints((), ()), Duplicates(0, ())
    if chosen:

        def advance(done: int, total: int) -> None:
            if step is not None:
                step("reading films", done, total)

        with thumbnail_pool(len(chosen)) as pool:
            looks = look_at(chosen, pool, advance)
            duplicates = find_duplicates(looks.read, pool, splits, step)
    return FilmInspection(
        here=len(here),
        missing=len(listed) - len(here),
        without_row=len(stray),
        without_row_first=tuple(path.as_posix() for path in stray[:_FIRST]),
        asked=len(chosen),
        read=len(looks.read),
        unreadable=looks.reasons(),
        unreadable_first=looks.unreadable[:_FIRST],
        remarks=looks.remarks(),
        candidates=duplicates.candidates,
        copies=duplicates.copies,
    )
