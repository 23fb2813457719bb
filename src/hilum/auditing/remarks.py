"""Remarks of an audit that need no claim: on the scores, the films and a leak of patients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.audit import Leak, LeakVerdict, Remark, RemarkKind
from hilum.domain.errors import LeakError
from hilum.domain.record import Cohort
from hilum.predictions.read import LabeledScores, Scores, piles_above_half
from hilum.splits import KnownSplit, TrainingFilms, recognize, refuse_other_family

__all__ = [
    "fitted_on_these_rows",
    "leak_remarks",
    "score_remarks",
    "split_name",
    "split_remarks",
]

_SMALLEST_TOLERANCE = 1e-7
"""Probabilities that passed through float32 differ by so much."""
_MOST_DECIMALS = 12
_FEWEST_DECIMALS = 4
_ROWS_ON_STEPS = 30


def score_remarks(scores: Scores) -> Iterator[Remark]:
    """Give everything that the values alone tell of a table, one remark for each kind."""
    columns = dict(zip(_names(scores), scores.values.T, strict=True))
    finite = {name: column for name, column in columns.items() if np.isfinite(column).all()}
    missing = [name for name in columns if name not in finite]
    if missing:
        count = int((~np.isfinite(scores.values)).any(axis=1).sum())
        yield Remark(
            kind=RemarkKind.NOT_FINITE,
            findings=tuple(missing),
            words=f"{count:,} films have a score that is blank, no number or infinite",
        )
    for kind, holds, words in _SCORE_CHECKS:
        found = tuple(name for name, column in finite.items() if holds(column))
        if found:
            yield Remark(kind=kind, findings=found, words=words)
    yield from _identical(finite)
    steps = tuple(name for name in scores.labels() if fitted_on_these_rows(scores.of(name)))
    if steps:
        yield Remark(
            kind=RemarkKind.IN_SAMPLE_STEPS,
            findings=steps,
            words="every step of the scores is as high as the share of positive films on it: "
            "calibrated on these very rows, so calibration errors measured on them are 0 by "
            "construction",
        )
    truth = tuple(name for name in scores.labels() if scores.of(name).are_labels)
    if truth:
        yield Remark(
            kind=RemarkKind.EQUAL_TO_LABELS,
            findings=truth,
            words="scores equal the labels on every labeled film: the truth, not a prediction",
        )
    if scores.repeated:
        yield Remark(
            kind=RemarkKind.REPEATED_FILMS,
            words=f"{len(scores.repeated):,} films have two rows with different scores, first: "
            f"{scores.repeated[0]}; the first row counts",
        )


def fitted_on_these_rows(entries: LabeledScores) -> bool:
    """Return whether scores are steps as high as the share of positive films on each.

    That is what isotonic regression leaves on the rows it was fitted on. Films with one score form
    a step; steps of positive or of negative films only say nothing, as clipping moves them. The
    others must agree to the table's last decimal, with four decimals or more, and there must be 30
    films on them. Scores that were fitted elsewhere do not do that by chance.
    """
    if not entries.finite or len(entries.scores) == 0:
        return False
    levels, step = np.unique(entries.scores, return_inverse=True)
    films = np.bincount(step)
    shares = np.bincount(step, weights=entries.positives) / films
    mixed = (shares > 0.0) & (shares < 1.0)
    if films[mixed].sum() < _ROWS_ON_STEPS:
        return False
    decimals = next((d for d in range(_MOST_DECIMALS) if _given_to(levels, d)), _MOST_DECIMALS)
    if decimals < _FEWEST_DECIMALS:
        return False
    tolerance = max(0.505 * 10.0**-decimals, _SMALLEST_TOLERANCE)
    return bool((np.abs(shares - levels)[mixed] <= tolerance).all())


def _given_to(values: NDArray[np.float64], decimals: int) -> bool:
    return bool((np.round(values, decimals) == values).all())


def _names(scores: Scores) -> list[str]:
    return [
        finding or column for finding, column in zip(scores.findings, scores.columns, strict=True)
    ]


def _constant(column: NDArray[np.float64]) -> bool:
    return len(column) > 1 and bool((column == column[0]).all())


def _unbounded(column: NDArray[np.float64]) -> bool:
    return bool((column < 0.0).any() or (column > 100.0).any())


def _percentages(column: NDArray[np.float64]) -> bool:
    return bool((column > 1.0).any()) and not _unbounded(column)


def _decisions(column: NDArray[np.float64]) -> bool:
    return not _constant(column) and bool(np.isin(column, (0.0, 1.0)).all())


def _pile_at_half(column: NDArray[np.float64]) -> bool:
    return not _unbounded(column) and not _percentages(column) and piles_above_half(column)


_SCORE_CHECKS: tuple[tuple[RemarkKind, Callable[[NDArray[np.float64]], bool], str], ...] = (
    (
        RemarkKind.CONSTANT_SCORES,
        _constant,
        "every film has the same score: a constant predictor",
    ),
    (
        RemarkKind.LOGITS,
        _unbounded,
        "scores lie outside [0, 1]: logits, not probabilities. They rank films, but have no "
        "calibration error and no threshold until the model's own calibrator was applied",
    ),
    (
        RemarkKind.PERCENTAGES,
        _percentages,
        "scores lie above 1: percentages, it seems, not probabilities",
    ),
    (
        RemarkKind.DECISIONS,
        _decisions,
        "scores are only 0 and 1: decisions, not probabilities",
    ),
    (
        RemarkKind.PILE_AT_HALF,
        _pile_at_half,
        "scores pile up just above 0.5, as they do when each finding's threshold was mapped to "
        "0.5 (torchxrayvision's op_threshs): such scores are not probabilities",
    ),
)


def _identical(columns: Mapping[str, NDArray[np.float64]]) -> Iterator[Remark]:
    """Find columns that are copies of another."""
    groups: dict[bytes, list[str]] = {}
    for name, column in columns.items():
        if not _constant(column):
            groups.setdefault(column.tobytes(), []).append(name)
    for names in groups.values():
        if len(names) > 1:
            yield Remark(
                kind=RemarkKind.IDENTICAL_COLUMNS,
                findings=tuple(names),
                words="columns are equal film by film: one finding's scores under several names",
            )


def leak_remarks(leak: Leak) -> Iterator[Remark]:
    """Give the leak, its absence in what was compared, or that it was not checked, as a remark."""
    yield Remark(kind=_LEAK_KINDS[leak.verdict], words=leak.certificate)


_LEAK_KINDS = {
    LeakVerdict.LEAK: RemarkKind.LEAK,
    LeakVerdict.NONE_FOUND: RemarkKind.NO_LEAK_FOUND,
    LeakVerdict.NOT_CHECKED: RemarkKind.LEAK_NOT_CHECKED,
}


def split_name(cohort: Cohort) -> str:
    """Name the evaluated films: the known list that they are, or the table."""
    known = recognize(cohort.image_ids())
    return "films of the table" if known is None else known.name


def split_remarks(cohort: Cohort, training: TrainingFilms | None) -> Iterator[Remark]:
    """Name known and official lists that the films belong to, and training lists that clash."""
    known = recognize(cohort.image_ids())
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
    """Count the films that are on the official lists of the dataset."""
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
    trained = recognize(training.films)
    if trained is None:
        return
    try:
        refuse_other_family(trained, known)
    except LeakError as refusal:
        yield Remark(kind=RemarkKind.OTHER_FAMILY, words=str(refusal))
