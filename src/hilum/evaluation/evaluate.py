"""From probabilities and labels to evaluation.json, every number with its interval."""

from __future__ import annotations

import zlib

import numpy as np

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort, digest
from hilum.domain.result import (
    ConstantPredictor,
    Evaluation,
    ExpectedCalibrationError,
    FindingEvaluation,
    Interval,
    PointEvaluation,
    SplitFacts,
    SummaryEvaluation,
)
from hilum.domain.scores import OperatingPoint, Probabilities
from hilum.evaluation.entries import SPECIFICITY, Entries, Measure
from hilum.evaluation.numbers import (
    CONSTANT_MACRO,
    CONSTANT_MICRO,
    MACRO,
    MICRO,
    Numbers,
    ScoredSplit,
    point_row,
)
from hilum.evaluation.request import EvaluationRequest
from hilum.metrics.reliability import ece_null_95

__all__ = ["evaluate"]

_INTERVAL = (
    "95 % percentile interval of {:,} patient bootstrap resamples; "
    "a macro number is the mean of the findings present in the resample"
)
_UNCOUNTED = "no finding has both positive and negative films"


def evaluate(
    probabilities: Probabilities, cohort: Cohort, request: EvaluationRequest
) -> Evaluation:
    """All numbers of a model on one split.

    Only films labelled positive or negative count for a finding; uncertain and unlabelled ones do
    not. Macro means count the findings that have both. Intervals draw patients, not films, and
    hold the model, its calibrator and its thresholds fixed: they do not tell how another training
    would have gone, nor how another hospital's patients would score.

    Args:
        probabilities: (N, L), a row for each record of the cohort, in its order.
        cohort: the split: films, patients, labels.
        request: what was fixed before.

    Raises:
        DatasetError: without films, or when rows and records differ in number.
        UsageError: for a finding that the cohort does not label, or without a prevalence.
    """
    films = len(probabilities.values)
    if films != len(cohort) or films == 0:
        raise DatasetError(
            f"{request.split}: scores must have a row for each film, and there must be one; "
            f"got {films} rows for {len(cohort)} films"
        )
    split = _scored(probabilities, cohort, request)
    numbers = Numbers.of(split, request.resamples, np.random.default_rng(request.seed))
    return Evaluation(
        model=request.model,
        split=SplitFacts(
            name=request.split,
            sha256=digest(cohort.image_ids()),
            images=films,
            patients=len(set(split.patients)),
        ),
        labels=probabilities.labels.name,
        interval=_INTERVAL.format(request.resamples),
        seed=request.seed,
        resamples=request.resamples,
        precision=request.precision,
        provenance=dict(request.provenance),
        notes=request.notes,
        findings={name: _finding(name, split, numbers, request) for name in probabilities.labels},
        macro=_summary(MACRO, split, numbers),
        micro=_summary(MICRO, split, numbers),
        constant_predictor=_constant(numbers, request),
    )


def _scored(
    probabilities: Probabilities, cohort: Cohort, request: EvaluationRequest
) -> ScoredSplit:
    """The labelled entries of each finding, matched by name."""
    states = cohort.states()
    entries: dict[str, Entries] = {}
    for name in probabilities.labels:
        state = states[:, cohort.labels.index(name)]
        known = np.flatnonzero((state == LabelState.POSITIVE) | (state == LabelState.NEGATIVE))
        positives = state[known] == LabelState.POSITIVE
        constant = _prevalence(name, positives.mean() if len(known) else 0.0, request)
        entries[name] = Entries(
            films=known,
            positives=positives,
            probabilities=probabilities.of(name)[known],
            constants=np.full(len(known), constant),
        )
    for point in request.operating_points:
        probabilities.labels.index(point.finding)
    return ScoredSplit(cohort.patients(), entries, request.operating_points)


def _prevalence(finding: str, own: float, request: EvaluationRequest) -> float:
    if request.prevalences is None:
        return float(own)
    if finding not in request.prevalences:
        raise UsageError(
            f"the constant predictor needs the prevalence of every finding; "
            f"{request.prevalence_from} gives none of {finding}"
        )
    return request.prevalences[finding]


def _finding(
    name: str, split: ScoredSplit, numbers: Numbers, request: EvaluationRequest
) -> FindingEvaluation:
    entries = split.entries[name]
    positive_films = entries.films[entries.positives]

    def number(measure: Measure) -> Interval:
        return numbers.interval(name, measure, entries.missing)

    # a generator of its own, so that the band does not depend on which findings stand beside it
    rng = np.random.default_rng([request.seed, zlib.crc32(name.encode())])
    return FindingEvaluation(
        n=len(entries.films),
        positives=len(positive_films),
        positive_patients=len(set(split.patients[positive_films])),
        auroc=number(Measure.AUROC),
        average_precision=number(Measure.AVERAGE_PRECISION),
        sensitivity_at_specificity={
            f"{SPECIFICITY:.2f}": number(Measure.SENSITIVITY_AT_SPECIFICITY)
        },
        brier=number(Measure.BRIER),
        brier_skill=number(Measure.BRIER_SKILL),
        log_loss=number(Measure.LOG_LOSS),
        ece=ExpectedCalibrationError(
            equal_mass=number(Measure.ECE_EQUAL_MASS),
            equal_width=number(Measure.ECE_EQUAL_WIDTH),
            null_95=ece_null_95(entries.probabilities, rng),
        ),
        operating_points={
            point.target.value: _point(point, entries, numbers)
            for point in split.points
            if point.finding == name
        },
    )


def _point(point: OperatingPoint, entries: Entries, numbers: Numbers) -> PointEvaluation:
    row = point_row(point)
    called = bool((entries.probabilities >= (point.threshold or 0.0)).any())
    ppv_missing = entries.missing if called else "no film reaches the threshold"
    return PointEvaluation(
        threshold=point.threshold,
        target=point.target.value,
        sensitivity=numbers.interval(row, Measure.SENSITIVITY, point.reason or entries.missing),
        specificity=numbers.interval(row, Measure.SPECIFICITY, point.reason or entries.missing),
        ppv=numbers.interval(row, Measure.PPV, point.reason or ppv_missing),
    )


def _summary(row: str, split: ScoredSplit, numbers: Numbers) -> SummaryEvaluation:
    def number(measure: Measure) -> Interval:
        return numbers.interval(row, measure, _UNCOUNTED)

    return SummaryEvaluation(
        auroc=number(Measure.AUROC),
        average_precision=number(Measure.AVERAGE_PRECISION),
        sensitivity_at_specificity={
            f"{SPECIFICITY:.2f}": number(Measure.SENSITIVITY_AT_SPECIFICITY)
        },
        brier=number(Measure.BRIER),
        ece_equal_mass=number(Measure.ECE_EQUAL_MASS),
        ece_equal_width=number(Measure.ECE_EQUAL_WIDTH),
        findings_counted=len(split.counted),
        findings_total=len(split.entries),
    )


def _constant(numbers: Numbers, request: EvaluationRequest) -> ConstantPredictor:
    def number(row: str, measure: Measure) -> Interval:
        return numbers.interval(row, measure, _UNCOUNTED)

    return ConstantPredictor(
        prevalence_from=request.prevalence_from,
        auroc=number(CONSTANT_MACRO, Measure.AUROC),
        average_precision=number(CONSTANT_MACRO, Measure.AVERAGE_PRECISION),
        brier=number(CONSTANT_MACRO, Measure.BRIER),
        ece_equal_mass=number(CONSTANT_MACRO, Measure.ECE_EQUAL_MASS),
        ece_equal_width=number(CONSTANT_MACRO, Measure.ECE_EQUAL_WIDTH),
        micro_auroc=number(CONSTANT_MICRO, Measure.AUROC),
    )
