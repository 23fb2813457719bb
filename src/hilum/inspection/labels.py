"""Counts of the labels: every finding, pairs of findings, and contradictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.inspection import CoOccurrence, FindingCounts, Labels, NoFinding, States
from hilum.domain.findings import NO_FINDING, SUPPORT_DEVICES, LabelState
from hilum.domain.policy import conflicts
from hilum.domain.record import Cohort, Split
from hilum.inspection.population import Counted

__all__ = ["co_occurrence", "findings", "findings_per_film", "labels_of", "no_finding"]


def labels_of(counted: Counted, undecided: int) -> Labels:
    """Everything that is counted of labels.

    Args:
        counted: the films.
        undecided: uncertain labels that no policy was given for.
    """
    return Labels(
        findings=findings(counted),
        undecided=undecided,
        co_occurrence=co_occurrence(counted.used),
        findings_per_film=findings_per_film(counted.used),
        no_finding=no_finding(counted.listed),
    )


def findings(counted: Counted) -> dict[str, FindingCounts]:
    """Return the counts of every finding of the films used."""
    listed, used = counted.listed.states(), counted.used.states()
    _, patient = np.unique(counted.used.patients(), return_inverse=True)
    rows = _rows_by_split(counted)
    own = counted.listed.labels
    return {
        name: _finding(
            listed[:, own.index(name)] if name in own else None, used[:, at], patient, rows
        )
        for at, name in enumerate(counted.used.labels)
    }


def _rows_by_split(counted: Counted) -> dict[str, NDArray[np.bool_]]:
    if counted.splits is None:
        return {}
    films = counted.splits.films
    uses = np.array([films[name].split.value for name in counted.used.image_ids()], np.str_)
    return {split.value: uses == split.value for split in Split}


def co_occurrence(cohort: Cohort) -> CoOccurrence:
    """On how many films each two findings are positive together."""
    # in float64, which is exact for counts and fast for hundreds of findings
    positive = (cohort.states() == LabelState.POSITIVE).astype(np.float64)
    together = (positive.T @ positive).astype(np.int64)
    return CoOccurrence(findings=cohort.labels.findings, films=tuple(map(tuple, together.tolist())))


def findings_per_film(cohort: Cohort) -> dict[int, int]:
    """Return the number of films by number of findings, without a gap; `No Finding` is not one."""
    columns = [at for at, name in enumerate(cohort.labels) if name != NO_FINDING]
    found = (cohort.states()[:, columns] == LabelState.POSITIVE).sum(axis=1)
    return dict(enumerate(np.bincount(found).tolist()))


def no_finding(cohort: Cohort) -> NoFinding:
    """Return contradictions, and what looks like one and is none."""
    if NO_FINDING not in cohort.labels:
        return NoFinding(conflicts=0, with_support_devices=0)
    clash = np.array([conflicts(record, cohort.labels) for record in cohort.records], np.bool_)
    positive = cohort.states() == LabelState.POSITIVE
    devices = np.zeros(len(cohort), np.bool_)
    if SUPPORT_DEVICES in cohort.labels:
        both = cohort.labels.columns((NO_FINDING, SUPPORT_DEVICES))
        devices = positive[:, both].all(axis=1) & ~clash
    return NoFinding(conflicts=int(clash.sum()), with_support_devices=int(devices.sum()))


def _finding(
    listed: NDArray[np.int8] | None,
    used: NDArray[np.int8],
    patient: NDArray[np.intp],
    rows: dict[str, NDArray[np.bool_]],
) -> FindingCounts:
    positive = used == LabelState.POSITIVE
    known = positive | (used == LabelState.NEGATIVE)
    positives, decided = len(np.unique(patient[positive])), len(np.unique(patient[known]))
    return FindingCounts(
        listed=None if listed is None else _states(listed),
        used=_states(used),
        positive_patients=positives,
        prevalence=float(positive.sum() / known.sum()) if decided else None,
        patient_prevalence=positives / decided if decided else None,
        by_split={split: _states(used[row]) for split, row in rows.items()},
    )


def _states(column: NDArray[np.int8]) -> States:
    counts = {state.name.lower(): int((column == state).sum()) for state in LabelState}
    return States(**counts)
