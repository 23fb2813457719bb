"""Results of two bundles read, paired by the films' bytes, and brought beside labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.manifest import Manifest
from hilum.bundle.triage import read_rule
from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.documents.rule_out import RULE_OUT, RuleOut, TriageWay
from hilum.domain.errors import LeakError, UsageError, counted
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.upgrade.measure import PairedFilms
from hilum.evaluation.upgrade.paired import MeanChange
from hilum.files.sealed import read_seal, read_sealed
from hilum.report.batch.results_jsonl import RESULTS, result_lines
from hilum.splits import SeenPatients

__all__ = [
    "LoadedSide",
    "UpgradeSide",
    "labeled_films",
    "map_overlap",
    "pair",
    "reasons",
    "triage_ways",
]

_SEEN = "seen_patients.txt"
_MOST_MAPS = 400
"""Pairs of heatmaps that are compared: more would change the mean's third digit."""
_SIDE = 64
"""Pixels of a side on which two heatmaps are compared; the network's own has some 7 to 16."""


@dataclass(frozen=True, eq=False)
class UpgradeSide:
    """A bundle and its results of the films.

    Attributes:
        root: the bundle's folder.
        results: the folder of a finished batch of it.
        seconds: a film, where they were scored now.
    """

    root: Path
    results: Path
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class _Row:
    """What is kept of one result: a batch of many films need not lie in memory whole."""

    input: str
    image_id: str
    patient: str
    codes: tuple[str, ...]
    view: ViewPosition
    sex: Sex
    age_years: float | None
    scores: NDArray[np.float64] | None
    calls: NDArray[np.int8] | None
    way: TriageWay | None
    maps: dict[str, str]
    film: str

    @classmethod
    def of(cls, result: ImageResult, labels: Sequence[str]) -> _Row:
        found = result.findings
        scores = calls = None
        if found is not None:
            scores = np.array([found[name].probability for name in labels])
            states = (found[name].positive for name in labels)
            calls = np.array([-1 if state is None else int(state) for state in states], np.int8)
        return cls(
            input=result.input,
            image_id=result.image_id,
            patient=result.patient,
            codes=tuple(code.value for code in result.codes),
            view=result.view,
            sex=result.sex,
            age_years=result.age_years,
            scores=scores,
            calls=calls,
            way=None if result.triage is None else result.triage.way,
            maps=dict(result.maps),
            film=result.film or "",
        )


@dataclass(frozen=True, eq=False)
class LoadedSide:
    """A bundle's facts, and its rows by the hash of the film.

    Attributes:
        side: where they came from.
        manifest, rule, id: of the bundle.
        precision: that its films were scored in; empty without films.
        rows: film to its row; an unreadable film goes by its name.
        copies: rows of films that were there already.
    """

    side: UpgradeSide
    manifest: Manifest
    rule: RuleOut | None
    id: str
    precision: str
    rows: dict[str, _Row]
    copies: int

    @classmethod
    def load(cls, side: UpgradeSide) -> LoadedSide:
        """Read a bundle's facts and its results.

        Raises:
            BundleError: for a bundle that is edited, or with a rule of a different one.
            UsageError: for results of a different bundle, or with thresholds given by hand.
        """
        manifest = read_sealed(Manifest, side.root / "bundle.json")
        own = read_seal(side.root / "bundle.json")[:12]
        rule = None
        if RULE_OUT in manifest.files:
            rule = read_rule(side.root / RULE_OUT, manifest.calibration)
        rows: dict[str, _Row] = {}
        copies, precision = 0, ""
        for _, result in result_lines(side.results / RESULTS):
            _refuse_foreign(result, own, side)
            precision = result.precision
            copies += (key := result.sha256 or result.input) in rows
            rows.setdefault(key, _Row.of(result, manifest.labels))
        return cls(side, manifest, rule, own, precision, rows, copies)

    def scored(self, key: str) -> bool:
        """Return whether a film has scores."""
        return self.rows[key].scores is not None

    def columns(
        self, keys: Sequence[str], labels: LabelSet
    ) -> tuple[Probabilities, NDArray[np.int8]]:
        """Return (N, L) probabilities and calls of scored films, in the order of some labels."""
        at = [self.manifest.labels.index(name) for name in labels]
        rows = [self.rows[key] for key in keys]
        scores = np.stack([row.scores for row in rows if row.scores is not None])
        calls = np.stack([row.calls for row in rows if row.calls is not None])
        return Probabilities(scores[:, at], labels), calls[:, at]


def _refuse_foreign(result: ImageResult, own: str, side: UpgradeSide) -> None:
    if result.bundle != own:
        raise UsageError(
            f"results must be of the bundle that they are named for; {side.results} is of "
            f"{result.bundle}, and {side.root} is {own}. Predict the films with it"
        )
    if result.threshold_source is ThresholdSource.HAND:
        raise UsageError(
            f"calls must be at each bundle's own operating points; {side.results} has thresholds "
            "given by hand. Predict without --threshold"
        )


def pair(old: LoadedSide, new: LoadedSide, truth: Cohort | None) -> tuple[PairedFilms, list[str]]:
    """Return the films that both bundles scored, beside their labels, and notes on what was left.

    Args:
        old: the bundle that serves.
        new: the one that may replace it.
        truth: films with their labels, settled; None to compare without.

    Raises:
        UsageError: for bundles without a film or finding in common.
        LeakError: when a bundle has seen the patient of every labeled film.
    """
    keys = [k for k in old.rows if k in new.rows and old.scored(k) and new.scored(k)]
    shared = tuple(name for name in old.manifest.labels if name in new.manifest.labels)
    if not keys or not shared:
        raise UsageError(
            f"two bundles need films and findings in common; {len(keys)} films are scored by "
            f"both, and {len(shared)} findings are in both. Score the same films with both"
        )
    labels = LabelSet(f"{len(shared)} findings of both", shared)
    rows = [new.rows[key] for key in keys]
    cohort, notes = labeled_films(rows, labels, truth, (old.side.root, new.side.root))
    before, old_calls = old.columns(keys, labels)
    after, new_calls = new.columns(keys, labels)
    pictures = tuple(row.film for row in rows)
    return PairedFilms(cohort, before, after, old_calls, new_calls, keys, pictures), notes


def labeled_films(
    rows: Sequence[_Row], labels: LabelSet, truth: Cohort | None, bundles: tuple[Path, Path]
) -> tuple[Cohort, list[str]]:
    """Return a record of each film, with the labels that may be used, and notes.

    A film is found among the labels by its path. Labels of patients that a bundle has seen are
    not used: numbers of them would favor it.
    """
    names = None if truth is None else FilmNames(truth.image_ids())
    found = [None if names is None else names.find(row.input).row for row in rows]
    seen = _seen(truth, found, bundles)
    records: list[Record] = []
    for number, (row, at) in enumerate(zip(rows, found, strict=True)):
        if truth is None or at is None:
            records.append(_unlabeled(row, number, labels))
            continue
        record = truth.records[at]
        hidden = record.patient_id in seen
        states = tuple(
            LabelState.UNLABELLED
            if hidden or name not in truth.labels
            else record.states[truth.labels.index(name)]
            for name in labels
        )
        records.append(replace(record, image_id=row.image_id, states=states, votes=(), boxes=()))
    notes: list[str] = []
    if truth is not None:
        notes = _label_notes(truth, found, seen, bundles)
        if all(state is LabelState.UNLABELLED for one in records for state in one.states):
            raise LeakError(
                f"labels must be of films that were scored, and of patients that no bundle has "
                f"seen; {counted(sum(at is not None for at in found), 'film')} of {len(rows):,} "
                f"have a row, and {len(seen):,} patients were seen. Use films of other patients"
            )
    elif all(not row.patient for row in rows):
        notes.append("patients are not known: each film counts as a patient")
    name = "results" if truth is None else truth.dataset
    synthetic = truth is not None and truth.synthetic
    return Cohort(name, labels, tuple(records), synthetic=synthetic), notes


def _unlabeled(row: _Row, number: int, labels: LabelSet) -> Record:
    return Record(
        image_id=row.image_id,
        # blanks keep these apart from the names of a dataset's patients
        patient_id=f"  {row.patient}" if row.patient else f"  film {number}",
        states=(LabelState.UNLABELLED,) * len(labels),
        view=row.view,
        sex=row.sex,
        age_years=row.age_years,
    )


def _seen(
    truth: Cohort | None, found: Sequence[int | None], bundles: tuple[Path, Path]
) -> frozenset[str]:
    """Return the labeled patients that a bundle has seen, as the labels spell them."""
    if truth is None:
        return frozenset()
    patients = {truth.records[at].patient_id for at in found if at is not None}
    known = [SeenPatients.read(root / _SEEN) for root in bundles if (root / _SEEN).is_file()]
    return frozenset[str]().union(*(one.among(truth.population, patients) for one in known))


def _label_notes(
    truth: Cohort, found: Sequence[int | None], seen: frozenset[str], bundles: tuple[Path, Path]
) -> list[str]:
    notes: list[str] = []
    if missing := sum(at is None for at in found):
        notes.append(f"{missing:,} of {len(found):,} films have no row among the labels")
    if seen:
        films = sum(at is not None and truth.records[at].patient_id in seen for at in found)
        notes.append(
            f"the labels of {counted(films, 'film')} of {counted(len(seen), 'patient')} are not "
            "used: a bundle has seen them"
        )
    notes += [
        f"{root.name} does not say which patients it has seen: its numbers may be of training "
        "patients"
        for root in bundles
        if not (root / _SEEN).is_file()
    ]
    return [*notes, *truth.notes]


def map_overlap(
    old: LoadedSide, new: LoadedSide, films: PairedFilms
) -> tuple[MeanChange | None, int]:
    """Return the mean overlap of heatmaps that both bundles drew, and how many were compared.

    The overlap of two maps is `sum(min(a, b))` of maps that each sum to 1. Its standard error is
    by patient.
    """
    pairs: list[tuple[int, Path, Path]] = []
    for row, key in enumerate(films.keys):
        mine, theirs = old.rows[key].maps, new.rows[key].maps
        pairs += [
            (row, old.side.results / mine[name], new.side.results / theirs[name])
            for name in mine
            if name in theirs
        ]
    step = max(1, math.ceil(len(pairs) / _MOST_MAPS))
    patients, values, owners = films.patients(), list[float](), list[int]()
    for row, before, after in pairs[::step]:
        overlap = _overlap(before, after)
        if overlap is not None:
            values.append(overlap)
            owners.append(int(patients[row]))
    people = len(set(owners))
    if not values:
        return None, 0
    mean = float(np.mean(values))
    added = np.bincount(owners, (np.array(values) - mean) / len(values))
    error = math.sqrt(people / max(people - 1, 1) * float((added**2).sum()))
    return MeanChange(mean, error), len(values)


def _overlap(old: Path, new: Path) -> float | None:
    """Return how much of two maps lies in one place; None where one is missing or empty."""
    from PIL import Image

    shares: list[NDArray[np.float64]] = []
    for path in (old, new):
        try:
            with Image.open(path) as image:
                levels = Image.fromarray(np.asarray(image, np.uint8))
        except OSError:
            return None
        weights = np.asarray(levels.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float64)
        if not weights.any():
            return None
        shares.append(weights / weights.sum())
    return float(np.minimum(*shares).sum())


def triage_ways(side: LoadedSide, keys: Sequence[str]) -> NDArray[np.bool_] | None:
    """Return (N,) which films a bundle rules out; None without a rule."""
    ways = [side.rows[key].way for key in keys]
    if side.rule is None or any(way is None for way in ways):
        return None
    return np.array([way is TriageWay.RULE_OUT for way in ways])


def reasons(old: LoadedSide, new: LoadedSide) -> dict[str, int]:
    """Count the reason codes of films that the old bundle scores and the new one does not."""
    lost = (k for k in old.rows if k in new.rows and old.scored(k) and not new.scored(k))
    return dict(sorted(Counter(code for key in lost for code in new.rows[key].codes).items()))
