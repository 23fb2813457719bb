"""Numbers of one finding, and the verdict on its calibration."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hilum.domain.documents import Interval
from hilum.domain.documents.evaluation import (
    BrierParts,
    CalibrationEvaluation,
    ExpectedCalibrationError,
    FindingEvaluation,
    NetBenefitEvaluation,
    PointEvaluation,
)
from hilum.domain.record import Cohort
from hilum.domain.scores import OperatingPoint
from hilum.evaluation.entries import ACTED_AT, LEVELS, Entries, Measure, at
from hilum.evaluation.numbers import Numbers, ScoredSplit, point_row
from hilum.evaluation.request import EvaluationRequest
from hilum.evaluation.subgroups import within_views
from hilum.metrics.corp import corp_resampled
from hilum.metrics.decision import net_benefit
from hilum.metrics.delong import delong
from hilum.metrics.delong import interval as delong_interval
from hilum.metrics.recalibration import slope_and_intercept
from hilum.metrics.reliability import ece_null_95
from hilum.metrics.resampling import interval, patient_resamples

__all__ = ["BRIER_RESAMPLES", "FindingData", "calibration_verdict", "evaluate_finding", "levels"]

BRIER_RESAMPLES = 200
"""Resamples behind the parts of the Brier score: each is an isotonic regression of all films."""


@dataclass(frozen=True, eq=False)
class FindingData:
    """Data that every finding's numbers are computed from.

    Attributes:
        cohort: the films.
        split: their entries.
        numbers: measured and resampled.
        known: finding to its entries as the metadata score them, or why they cannot.
        request: what was fixed before.
    """

    cohort: Cohort
    split: ScoredSplit
    numbers: Numbers
    known: Mapping[str, Entries | str]
    request: EvaluationRequest


def evaluate_finding(name: str, facts: FindingData) -> FindingEvaluation:
    """Compute all numbers of one finding.

    Args:
        name: the finding.
        facts: of the split.
    """
    split, entries = facts.split, facts.split.entries[name]

    def number(measure: str) -> Interval:
        return facts.numbers.interval(name, measure, entries.missing)

    # a generator of its own, so that the band does not depend on which findings stand beside it
    rng = np.random.default_rng([facts.request.seed, zlib.crc32(name.encode())])
    ece = ExpectedCalibrationError(
        equal_mass=number(Measure.ECE_EQUAL_MASS),
        equal_width=number(Measure.ECE_EQUAL_WIDTH),
        null_95=ece_null_95(entries.probabilities, rng),
        debiased_l2=number(Measure.DEBIASED_L2),
    )
    metadata = facts.known[name]
    return FindingEvaluation(
        n=len(entries.films),
        positives=int(entries.positives.sum()),
        positive_patients=len(np.unique(entries.patients[entries.positives])),
        auroc=number(Measure.AUROC),
        auroc_delong=_area(entries),
        average_precision=number(Measure.AVERAGE_PRECISION),
        sensitivity_at_specificity=levels(Measure.SENSITIVITY_AT_SPECIFICITY, number),
        specificity_at_sensitivity=levels(Measure.SPECIFICITY_AT_SENSITIVITY, number),
        brier=number(Measure.BRIER),
        brier_skill=number(Measure.BRIER_SKILL),
        brier_parts=_brier_parts(entries, facts),
        log_loss=number(Measure.LOG_LOSS),
        ece=ece,
        calibration=_calibration(name, entries, facts, ece),
        operating_points={
            point.name: _point(point, facts) for point in split.points if point.finding == name
        },
        net_benefit=_net_benefits(entries, number),
        within_view=within_views(facts.cohort, entries),
        metadata_baseline=(
            Interval(value=None, reason=metadata) if isinstance(metadata, str) else _area(metadata)
        ),
    )


def levels(measure: Measure, number: Callable[[str], Interval]) -> dict[str, Interval]:
    """Return a measure at each of `LEVELS`, by the level in words such as "0.80"."""
    return {f"{level:.2f}": number(at(measure, level)) for level in LEVELS}


def _area(entries: Entries) -> Interval:
    """Compute the AUROC with its interval by DeLong's formula for clusters."""
    return delong_interval(
        delong(entries.positives, entries.probabilities[None], entries.patients), 0
    )


def _brier_parts(entries: Entries, facts: FindingData) -> BrierParts:
    people, resamples = facts.split.people, min(BRIER_RESAMPLES, facts.request.resamples)
    rng = np.random.default_rng(facts.request.seed)
    y, p = entries.positives, entries.probabilities
    values = corp_resampled(y, p, np.ones((1, len(y)), np.int32))
    # the resamples that the other numbers begin with
    drawn = [
        corp_resampled(y, p, times[:, entries.patients])
        for times in patient_resamples(people, resamples, rng)
    ]
    parts = [
        interval(float(value[0]), np.concatenate(part), entries.missing)
        for value, part in zip(values, zip(*drawn, strict=True), strict=True)
    ]
    if resamples < facts.request.resamples:
        reason = f"interval of the first {resamples} resamples"
        parts = [
            part if part.low is None else part.model_copy(update={"reason": reason})
            for part in parts
        ]
    return BrierParts(miscalibration=parts[0], discrimination=parts[1], uncertainty=parts[2])


def _calibration(
    name: str, entries: Entries, facts: FindingData, ece: ExpectedCalibrationError
) -> CalibrationEvaluation:
    line = slope_and_intercept(entries.positives, entries.probabilities, entries.patients)
    absent = "every probability is 0" if len(entries.films) else entries.missing
    o_e = facts.numbers.interval(name, Measure.O_E, absent)
    return CalibrationEvaluation(
        slope=line.slope,
        intercept=line.intercept,
        o_e=o_e,
        verdict=calibration_verdict(line.slope, o_e, ece),
    )


def _point(point: OperatingPoint, facts: FindingData) -> PointEvaluation:
    entries = facts.split.entries[point.finding]
    called = entries.probabilities >= facts.split.cut(point, entries)

    def number(measure: Measure, absent: str) -> Interval:
        return facts.numbers.interval(point_row(point), measure, point.reason or absent)

    none, all_ = "no film reaches the threshold", "every film reaches the threshold"
    return PointEvaluation(
        threshold=point.threshold,
        target=point.target.value,
        goal=point.goal,
        chosen_on=facts.request.chosen_on,
        sensitivity=number(Measure.SENSITIVITY, entries.missing),
        specificity=number(Measure.SPECIFICITY, entries.missing),
        ppv=number(Measure.PPV, entries.missing if called.any() else none),
        npv=number(Measure.NPV, entries.missing if not called.all() else all_),
        f1=number(Measure.F1, entries.missing),
    )


def _net_benefits(
    entries: Entries, number: Callable[[str], Interval]
) -> dict[str, NetBenefitEvaluation]:
    known = len(entries.films) > 0
    everyone = net_benefit(entries.positives, entries.probabilities, np.array(ACTED_AT)).treat_all
    return {
        f"{t:.2f}": NetBenefitEvaluation(
            model=number(at(Measure.NET_BENEFIT, t)), treat_all=float(all_) if known else None
        )
        for t, all_ in zip(ACTED_AT, everyone, strict=True)
    }


def calibration_verdict(slope: Interval, o_e: Interval, ece: ExpectedCalibrationError) -> str:
    """Say whether a finding may be called calibrated; else how far off it is.

    Calibrated only if the interval of the slope contains 1, that of O/E contains 1, and the
    equal-mass ECE is no larger than the 95th percentile that chance gives a calibrated model. Few
    films make wide intervals, so the verdict says "as far as these films can tell".

    >>> right, mass = Interval(value=1.0, low=0.9, high=1.1), Interval(value=0.01)
    >>> ece = ExpectedCalibrationError(
    ...     equal_mass=mass, equal_width=mass, null_95=0.02, debiased_l2=mass
    ... )
    >>> calibration_verdict(right, right, ece)
    'calibrated, as far as these films can tell'
    >>> calibration_verdict(Interval(value=0.5, low=0.4, high=0.6), right, ece)
    'not calibrated: too extreme (slope 0.50 [0.40, 0.60])'
    """
    for number in (slope, o_e, ece.equal_mass):
        if number.value is None:
            return f"not known: {number.reason}"
    if slope.low is None or o_e.low is None:
        return f"not known: {slope.reason if slope.low is None else o_e.reason}"
    faults: list[str] = []
    if side := _side(slope):
        word = "too extreme" if side < 0 else "too timid"
        faults.append(f"{word} (slope {slope.short(2)})")
    if side := _side(o_e):
        word = "too high" if side < 0 else "too low"
        faults.append(f"{word} on average (O/E {o_e.short(2)})")
    mass, chance = ece.equal_mass.value or 0.0, ece.null_95 or 0.0
    if mass > chance:
        faults.append(f"ECE {mass:.4f} where chance explains {chance:.4f}")
    if faults:
        return "not calibrated: " + "; ".join(faults)
    return "calibrated, as far as these films can tell"


def _side(number: Interval) -> int:
    """Return -1 where the interval lies below 1, 1 where above, 0 where it contains 1."""
    if number.low is None or number.high is None:
        return 0
    return int(number.low > 1.0) - int(number.high < 1.0)
