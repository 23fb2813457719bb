"""Evaluation of probabilities against labels: every number with its interval."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.evaluation import (
    ConstantPredictor,
    Evaluation,
    MacroEvaluation,
    MetadataBaseline,
    SummaryEvaluation,
)
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.evaluation.entries import Entries, Measure
from hilum.evaluation.finding import FindingData, evaluate_finding, levels
from hilum.evaluation.label_noise import label_noise
from hilum.evaluation.numbers import (
    CONSTANT_MACRO,
    CONSTANT_MICRO,
    GAIN,
    MACRO,
    MICRO,
    OWN_POINTS,
    SHARED,
    Numbers,
    ScoredSplit,
)
from hilum.evaluation.request import EvaluationRequest, Unit
from hilum.evaluation.subgroups import Metadata, mean_auroc, subgroups

__all__ = ["evaluate"]

_INTERVAL = {
    Unit.PATIENTS: "95 % percentile interval of {:,} patient bootstrap resamples",
    Unit.FILMS: (
        "95 % percentile interval of {:,} image-level bootstrap resamples, too narrow where films "
        "are of one patient: patient ids are not known"
    ),
}
_MACRO = "; a macro number is the mean of the findings present in the resample"
_UNCOUNTED = "no finding has both positive and negative films"
_UNCALLED = "no finding has an operating point"


def evaluate(
    probabilities: Probabilities, cohort: Cohort, request: EvaluationRequest
) -> Evaluation:
    """Compute all numbers of a model on one split.

    Only films labeled positive or negative count for a finding; uncertain and unlabeled ones do
    not. Macro means count the findings that have both. Intervals draw patients, not films, and
    hold the model, its calibrator and its thresholds fixed: they do not tell how a new training
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
    metadata = Metadata.of(cohort, split.patients, request.seed)
    known = {name: metadata.scored(entries) for name, entries in split.entries.items()}
    facts = FindingData(cohort, split, numbers, known, request)
    return Evaluation(
        model=request.model,
        split=SplitFacts.of(request.split, cohort),
        labels=probabilities.labels.name,
        level=request.level,
        policy=dict(request.policy),
        look=request.look,
        interval=_INTERVAL[Unit(request.intervals_by)].format(request.resamples) + _MACRO,
        seed=request.seed,
        resamples=request.resamples,
        precision=request.precision,
        provenance=dict(request.provenance),
        notes=request.notes,
        findings={name: evaluate_finding(name, facts) for name in probabilities.labels},
        macro=_macro(split, numbers),
        micro=_summary(MICRO, split, numbers),
        constant_predictor=_constant(numbers, request),
        metadata_baseline=MetadataBaseline(
            features=metadata.features,
            auroc=_baseline(known.values()),
        ),
        subgroups=subgroups(cohort, split),
        label_noise=label_noise(
            probabilities,
            cohort,
            split,
            request.label_errors,
            (request.resamples, request.seed),
        ),
    )


def _scored(
    probabilities: Probabilities, cohort: Cohort, request: EvaluationRequest
) -> ScoredSplit:
    """Return the labeled entries of each finding, matched by name."""
    by_film = request.intervals_by == Unit.FILMS
    patients = np.array(cohort.image_ids()) if by_film else cohort.patients()
    number = _numbered(patients)
    states = cohort.states()
    entries: dict[str, Entries] = {}
    for name in probabilities.labels:
        known, positives = labeled(states[:, cohort.labels.index(name)])
        constant = _prevalence(name, positives.mean() if len(known) else 0.0, request)
        entries[name] = Entries(
            films=known,
            patients=number[known],
            positives=positives,
            probabilities=probabilities.of(name)[known],
            constants=np.full(len(known), constant),
        )
    for point in request.operating_points:
        probabilities.labels.index(point.finding)
    return ScoredSplit(
        patients,
        entries,
        request.operating_points,
        request.film_thresholds,
        request.shared_threshold,
    )


def _numbered(patients: np.ndarray) -> np.ndarray:
    """Return (N,) each film's patient as a number, in the order patients first appear."""
    _, first, inverse = np.unique(patients, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.intp)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse]


def _prevalence(finding: str, own: float, request: EvaluationRequest) -> float:
    if request.prevalences is None:
        return float(own)
    if finding not in request.prevalences:
        raise UsageError(
            f"the constant predictor needs the prevalence of every finding; "
            f"{request.prevalence_from} gives none of {finding}"
        )
    return request.prevalences[finding]


def _summary(row: str, split: ScoredSplit, numbers: Numbers) -> SummaryEvaluation:
    def number(measure: str) -> Interval:
        return numbers.interval(row, measure, _UNCOUNTED)

    return SummaryEvaluation(
        auroc=number(Measure.AUROC),
        average_precision=number(Measure.AVERAGE_PRECISION),
        sensitivity_at_specificity=levels(Measure.SENSITIVITY_AT_SPECIFICITY, number),
        specificity_at_sensitivity=levels(Measure.SPECIFICITY_AT_SENSITIVITY, number),
        brier=number(Measure.BRIER),
        ece_equal_mass=number(Measure.ECE_EQUAL_MASS),
        ece_equal_width=number(Measure.ECE_EQUAL_WIDTH),
        findings_counted=len(split.counted),
        findings_total=len(split.entries),
    )


def _macro(split: ScoredSplit, numbers: Numbers) -> MacroEvaluation:
    summary = _summary(MACRO, split, numbers)
    absent = _UNCALLED if split.counted else _UNCOUNTED
    return MacroEvaluation(
        **{name: getattr(summary, name) for name in SummaryEvaluation.model_fields},
        f1=numbers.interval(OWN_POINTS, Measure.F1, absent),
        shared_threshold=split.shared_threshold,
        f1_shared=numbers.interval(SHARED, Measure.F1, absent),
        threshold_gain=numbers.interval(GAIN, Measure.F1, absent),
    )


def _baseline(known: Iterable[Entries | str]) -> Interval:
    """Compute the macro AUROC of the metadata, over the findings they could score."""
    every = list(known)
    absent = next((reason for reason in every if isinstance(reason, str)), "")
    return mean_auroc([entries for entries in every if isinstance(entries, Entries)], absent)


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
