"""Evaluation of anybody's predictions against a dataset's labels.

A table brings neither calibrate films nor thresholds, so whatever must be fitted is fitted by
patient cross-fitting on the very films: five folds, each film met by a calibrator and by thresholds
that were fitted without its patient. The thresholds reach `evaluate` film by film, as
`EvaluationRequest.film_thresholds`; what is printed is the threshold of all films.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.cross_fitting import cross_fit
from hilum.calibration.curves import logits_of
from hilum.calibration.prevalence import moves, shift_prevalence
from hilum.datasets import open_dataset
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents.audit import Leak, LeakVerdict
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import UsageError
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import FOLDS, Cohort, digest, patient_folds, prevalences
from hilum.domain.scores import Probabilities
from hilum.evaluation.effect import effect_of_calibration
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import (
    EvaluationRequest,
    Thresholds,
    Unit,
    cross_fitted,
    read_thresholds,
)
from hilum.files.parquet import table_sha256
from hilum.predictions.label_errors import LabelErrors
from hilum.predictions.levels import Combine, Level, at_level, films_behind
from hilum.predictions.read import Predictions, normalized_findings, read_predictions
from hilum.report.evaluation.write import TOP, write_effect, write_evaluation
from hilum.splits import certify, recognize, refuse_leak
from hilum.stages.calibrate import GOALS
from hilum.stages.evaluate import LEDGER, count_look
from hilum.stages.films import training_films

__all__ = ["EvaluatedPredictions", "PredictionsRequest", "evaluate_predictions"]


@dataclass(frozen=True)
class PredictionsRequest:
    """Options for evaluating a table of predictions.

    Attributes:
        policy: what counts as what among the labels.
        level: what a row of the evaluation is; None for what the table names.
        combine: how probabilities of a study's or patient's films become one.
        calibrate: the calibrator to cross-fit first; None to take the probabilities as they are.
        prevalences: share of films with a finding where the model will be used, by finding.
        thresholds: a file of thresholds that were fixed before; None to cross-fit them.
        trained_on: what the model was trained on: films, a split table, a run or a bundle.
        resamples, seed: of the intervals; the seed also deals the folds.
        top: films of each kind to list for each finding.
        label_errors: how often labels are right, of some findings.
    """

    policy: LabelPolicy = field(default_factory=LabelPolicy)
    level: Level | None = None
    combine: Combine = Combine.MAX
    calibrate: str | None = None
    prevalences: Mapping[str, float] = field(default_factory=dict[str, float])
    thresholds: Path | None = None
    trained_on: Path | None = None
    resamples: int = 2000
    seed: int = 0
    top: int = TOP
    label_errors: tuple[LabelErrors, ...] = ()


@dataclass(frozen=True, eq=False)
class EvaluatedPredictions:
    """Result of an evaluation: the numbers, the table as read, and the films scored.

    Attributes:
        evaluation: as written to evaluation.json.
        read: the table as it was matched, before levels and calibration.
        probabilities: (N, L) as evaluated.
        cohort: the films, studies or patients evaluated.
    """

    evaluation: Evaluation
    read: Predictions
    probabilities: Probabilities
    cohort: Cohort


def evaluate_predictions(
    table: Path, labels: Path, out: Path, request: PredictionsRequest
) -> EvaluatedPredictions:
    """Match a table with labels, evaluate it, and write everything into a folder.

    Two calls with the same input write the same bytes, but for the ledger and the number of the
    look that it counts.

    Args:
        table: the predictions, as CSV.
        labels: a dataset's folder, or one of its tables.
        out: where `write_evaluation` writes, and the ledger stands.
        request: what to do.

    Raises:
        DatasetError: when table and labels do not fit together.
        LeakError: when an evaluated film or patient trained the model.
        UsageError: for uncertain labels without a policy, or a level that the table does not have.
    """
    dataset = open_dataset(labels)
    read = read_predictions(table, settle(dataset, request.policy))
    leak = _leak(read.cohort, dataset, request.trained_on)
    level = _level(read.level, request.level, table)
    probabilities, cohort = at_level(read.probabilities, read.cohort, level, request.combine)
    states = cohort.states()[:, cohort.labels.columns(probabilities.labels)]
    given = probabilities
    probabilities, folds, fitted = _fitted(given, cohort, states, request)
    thresholds = _thresholds(probabilities, states, folds, request)
    out.mkdir(parents=True, exist_ok=True)
    split_sha256, read_sha256 = digest(cohort.image_ids()), table_sha256(table)
    evaluation = evaluate(
        probabilities,
        cohort,
        EvaluationRequest(
            model=table.name,
            split=_split_name(cohort, table),
            operating_points=thresholds.points,
            chosen_on=thresholds.chosen_on,
            film_thresholds=thresholds.by_film(),
            resamples=request.resamples,
            seed=request.seed,
            provenance={
                "predictions_sha256": read_sha256,
                "records_sha256": cohort.sha256(),
            },
            notes=(*cohort.notes, *read.notes, _leak_note(leak), *fitted),
            level=level.value,
            policy=request.policy.in_words(),
            look=count_look(out / LEDGER, split_sha256, {"predictions_sha256": read_sha256}),
            intervals_by=Unit.FILMS if NO_PATIENTS in cohort.notes else Unit.PATIENTS,
            label_errors=request.label_errors,
        ),
    ).model_copy(update={"leak": leak})
    write_evaluation(evaluation, probabilities, cohort, out, thresholds, request.top)
    done = EvaluatedPredictions(evaluation, read, probabilities, cohort)
    if request.calibrate is not None:
        _write_effect(request.calibrate, given, done, out)
    return done


def _write_effect(method: str, given: Probabilities, done: EvaluatedPredictions, out: Path) -> None:
    """Write the effect of cross-fitted calibration on the table's own probabilities."""
    effect = effect_of_calibration(
        ("the table's own probabilities", given),
        (f"{method}, cross-fitted by patient", done.probabilities),
        done.cohort,
        done.evaluation,
    )
    write_effect(effect, given, done.probabilities, done.cohort, out)


def _leak(evaluated: Cohort, dataset: Cohort, place: Path | None) -> Leak | None:
    """Refuse training films and patients; return the certificate, None where nothing was named."""
    if place is None:
        return None
    leak = certify(training_films(place, dataset), evaluated, films_behind(evaluated, dataset))
    refuse_leak(leak)
    return leak


def _leak_note(leak: Leak | None) -> str:
    if leak is None:
        return "what the model was trained on was not given: a leak of patients cannot be excluded"
    if leak.verdict is LeakVerdict.NOT_CHECKED:
        return f"leak certificate: {leak.certificate}"
    return f"leak certificate: {leak.verdict}: {leak.certificate}"


def _level(named: Level, wanted: Level | None, table: Path) -> Level:
    if named is Level.STUDY and wanted is Level.FILM:
        raise UsageError(
            f"{table.name} has a row a study; --level must be study or patient, got film"
        )
    return wanted or named


def _fitted(
    probabilities: Probabilities,
    cohort: Cohort,
    states: NDArray[np.int8],
    request: PredictionsRequest,
) -> tuple[Probabilities, NDArray[np.intp] | None, tuple[str, ...]]:
    """Return probabilities calibrated and shifted as requested, each row's fold, and notes."""
    patients = cohort.patients().tolist()
    notes: list[str] = []
    folds = None
    if request.calibrate is not None:
        _refuse_normalized(probabilities)
        logits = logits_of(probabilities)
        crossed = cross_fit(request.calibrate, logits, states, patients, FOLDS, request.seed)
        folds, probabilities = crossed.fold, crossed.probabilities
        notes.append(
            f"probabilities were calibrated here by {request.calibrate}, cross-fitted by patient "
            f"in {FOLDS} folds: the numbers are of the calibrated scores, not of the table's"
        )
        notes += crossed.notes
    elif len(set(patients)) >= FOLDS:
        folds = patient_folds(patients, FOLDS, request.seed)
    if folds is None and request.thresholds is None:
        notes.append(f"no operating points: cross-fitting needs {FOLDS} patients or more")
    if request.prevalences:
        fitted = prevalences(probabilities.labels, states)
        for move in moves(probabilities.labels, fitted, request.prevalences):
            notes.append(
                f"{move.finding}: {move.note}, from that of the evaluated labeled films; "
                "calibration against these films' labels is then off on purpose"
            )
        probabilities = shift_prevalence(probabilities, fitted, request.prevalences)
    return probabilities, folds, tuple(notes)


def _refuse_normalized(probabilities: Probabilities) -> None:
    """Refuse to calibrate scores that had their threshold mapped to 0.5."""
    if piled := normalized_findings(probabilities):
        raise UsageError(
            "scores to calibrate must be probabilities, not mapped so that each threshold became "
            f"0.5; those of {', '.join(piled)} pile up just above 0.5. Undo the mapping, in "
            "torchxrayvision by op_threshs = None, or evaluate them as they are"
        )


def _thresholds(
    probabilities: Probabilities,
    states: NDArray[np.int8],
    folds: NDArray[np.intp] | None,
    request: PredictionsRequest,
) -> Thresholds:
    if request.thresholds is not None:
        return read_thresholds(request.thresholds, probabilities.labels)
    if folds is None:
        return Thresholds((), "no films")
    return cross_fitted(probabilities, states, folds, GOALS)


def _split_name(cohort: Cohort, table: Path) -> str:
    known = recognize(cohort.image_ids())
    name = f"the films of {table.name}" if known is None else known.name
    return f"{name}, synthetic films" if cohort.synthetic else name
