"""Audit of a table of predictions: remarks on the table, and a verdict on each claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hilum.auditing.claims import MACRO, MICRO, Claim
from hilum.auditing.measure import ClaimData, band_under_calibration, constant_value, measure
from hilum.auditing.order import order_remarks
from hilum.auditing.remarks import leak_remarks, score_remarks, split_name, split_remarks
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.audit import (
    Audit,
    ClaimMetric,
    ClaimResult,
    ClaimVerdict,
    Leak,
    LeakVerdict,
    Reason,
    RemarkKind,
)
from hilum.domain.record import Cohort
from hilum.predictions.read import LabeledScores, Scores
from hilum.splits import TrainingFilms, certify

__all__ = ["AuditRequest", "Evidence", "audit", "judge"]

_INTERVAL = "95 % percentile interval of {:,} {} bootstrap resamples"


@dataclass(frozen=True)
class AuditRequest:
    """Facts that an audit needs beside the scores.

    Attributes:
        predictions: name of the table.
        predictions_sha256: of its bytes.
        claims: claims made of the table; none to inspect the table only.
        training: what the model was trained on, where that is known.
        films: the films behind the scores, where a row of the table is a study.
        resamples: patient resamples behind each interval.
        seed: of resamples and draws.
    """

    predictions: str
    predictions_sha256: str
    claims: tuple[Claim, ...]
    training: TrainingFilms | None = None
    films: Cohort | None = None
    resamples: int = 2000
    seed: int = 0


def audit(scores: Scores, request: AuditRequest) -> Audit:
    """Inspect a table of predictions, and judge each claim made of it.

    Args:
        scores: the table beside the labels of its films.
        request: the claims, and what is known of the model.
    """
    leak = None
    if request.training is not None:
        leak = certify(request.training, scores.cohort, request.films)
    of_order, moved = order_remarks(scores, np.random.default_rng([request.seed, 3]))
    of_scores = tuple(score_remarks(scores))
    remarks = (
        *(leak_remarks(leak) if leak else ()),
        *split_remarks(scores.cohort, request.training),
        *of_order,
        *of_scores,
    )
    steps = (r.findings for r in of_scores if r.kind is RemarkKind.IN_SAMPLE_STEPS)
    evidence = Evidence(
        scores=scores,
        resamples=request.resamples,
        seed=request.seed,
        in_sample=frozenset(next(steps, ())),
        moved=frozenset(moved),
        leak=leak,
    )
    return Audit(
        predictions=request.predictions,
        predictions_sha256=request.predictions_sha256,
        split=SplitFacts.of(split_name(scores.cohort), scores.cohort),
        findings=scores.labels().findings,
        interval=_INTERVAL.format(request.resamples, _drawn(scores.cohort)),
        seed=request.seed,
        resamples=request.resamples,
        claims=tuple(judge(claim, evidence) for claim in request.claims),
        remarks=remarks,
        leak=leak,
        notes=(*scores.cohort.notes, *scores.notes),
    )


def _drawn(cohort: Cohort) -> str:
    """Name the unit that a resample draws."""
    return "image-level (by film)" if NO_PATIENTS in cohort.notes else "patient"


@dataclass(frozen=True, eq=False)
class Evidence:
    """Facts by which claims are judged.

    Attributes:
        scores: the table beside its labels.
        resamples: patient resamples behind each interval.
        seed: of resamples and draws; every claim sees the same resamples.
        in_sample: findings with a calibration fitted on these very rows.
        moved: findings with scores that seem to stand in another column.
        leak: films of training patients, where the training list is known.
    """

    scores: Scores
    resamples: int
    seed: int
    in_sample: frozenset[str]
    moved: frozenset[str]
    leak: Leak | None


def judge(claim: Claim, evidence: Evidence) -> ClaimResult:
    """Compute a claim's number again, compare the two, and judge what the claim proves.

    A claim that proves nothing is meaningless whether the number holds or not, and says both. It
    proves nothing when a predictor that says the same of every film does as well; when an ECE is
    smaller than even a perfectly calibrated model would show on so few films; when calibration was
    fitted on the very rows; when scores are no probabilities but the metric needs them; when
    columns are not in the order of their names; when scores are the labels themselves; or when
    training films or patients are evaluated.
    """
    parts, absent = _parts(claim, evidence.scores)
    if absent:
        return _result(claim, Interval(value=None, reason=absent), ())
    unfit = _unfit(claim, parts)
    if unfit is not None:
        reason, words = unfit
        proofs = (*_circumstances(evidence, parts), (reason, words))
        return _result(claim, Interval(value=None, reason=words), proofs, len(parts))
    of = ClaimData(evidence.scores.cohort.patients(), parts, claim.of == MICRO)
    number = measure(claim, of, evidence.resamples, np.random.default_rng(evidence.seed))
    constant = constant_value(claim, of, np.random.default_rng([evidence.seed, 1]))
    proofs = (
        *_circumstances(evidence, parts),
        *_calibration(claim, of, evidence),
        *_constant(claim, parts, constant),
    )
    return _result(claim, number, proofs, len(parts), constant)


def _parts(claim: Claim, scores: Scores) -> tuple[dict[str, LabeledScores], str]:
    """Return the findings that a claim is about, or the reason why there is none."""
    if not scores.named:
        return {}, "the columns have no names; name them with --label-order"
    if claim.of not in (MACRO, MICRO):
        if claim.of not in scores.cohort.labels:
            return {}, f"the labels do not have {claim.of}"
        if claim.of not in scores.findings:
            return {}, f"the table has no column of {claim.of}"
        entries = scores.of(claim.of)
        if not entries.both_classes:
            missing = "no film is labeled" if not len(entries.positives) else "one class only"
            return {}, f"{missing} of {claim.of}"
        return {claim.of: entries}, ""
    parts = {name: scores.of(name) for name in scores.labels()}
    counted = {name: part for name, part in parts.items() if part.both_classes}
    if not counted:
        return {}, "no finding has both positive and negative films"
    return counted, ""


def _unfit(claim: Claim, parts: dict[str, LabeledScores]) -> tuple[Reason, str] | None:
    """Return the reason why the metric cannot be computed from these scores, or None."""
    broken = [name for name, part in parts.items() if not part.finite]
    if broken:
        return Reason.NOT_FINITE, f"scores of {_some(broken)} are blank, no number or infinite"
    outside = [name for name, part in parts.items() if not part.probabilities]
    if outside and claim.metric.needs_probabilities:
        return (
            Reason.NOT_PROBABILITIES,
            f"scores of {_some(outside)} lie outside [0, 1], and {claim.metric} needs "
            "probabilities",
        )
    return None


def _circumstances(
    evidence: Evidence, parts: dict[str, LabeledScores]
) -> Iterator[tuple[Reason, str]]:
    """Give reasons that make every number of the table meaningless."""
    if evidence.leak is not None and evidence.leak.verdict is LeakVerdict.LEAK:
        yield Reason.LEAK, evidence.leak.certificate
    truth = [name for name, part in parts.items() if part.are_labels]
    if truth:
        yield Reason.TRUTH, f"the scores of {_some(truth)} equal the labels on every film"
    moved = sorted(evidence.moved & parts.keys())
    if moved:
        yield Reason.PERMUTED, f"the scores of {_some(moved)} seem to stand in other columns"


def _calibration(claim: Claim, of: ClaimData, evidence: Evidence) -> Iterator[tuple[Reason, str]]:
    if not claim.metric.of_calibration:
        return
    fitted = sorted(evidence.in_sample & of.parts.keys())
    if fitted:
        yield (
            Reason.IN_SAMPLE,
            f"scores of {_some(fitted)} are steps as high as the share of positive films on each: "
            "calibrated on these very rows",
        )
    if claim.metric is not ClaimMetric.BRIER:
        rng = np.random.default_rng([evidence.seed, 2])
        low, high = band_under_calibration(claim, of, rng)
        if claim.value + claim.half_unit < low:
            yield (
                Reason.BELOW_CHANCE,
                f"a perfectly calibrated model with these scores shows {low:.4f} to {high:.4f} on "
                "so few films, by chance alone",
            )


def _constant(
    claim: Claim, parts: dict[str, LabeledScores], constant: float
) -> Iterator[tuple[Reason, str]]:
    if all(np.ptp(part.scores) == 0.0 for part in parts.values()):
        yield Reason.CONSTANT, "the scores are a constant predictor's: the same for every film"
    elif claim.reached_by(constant):
        yield (
            Reason.CONSTANT,
            f"a predictor that says the same of every film has {constant:.4f}, so the number is no "
            "evidence that the scores tell films apart",
        )


def _result(
    claim: Claim,
    number: Interval,
    proofs: tuple[tuple[Reason, str], ...],
    counted: int = 0,
    constant: float | None = None,
) -> ClaimResult:
    agreement, words = _agreement(claim, number)
    if proofs:
        unknown = agreement is ClaimVerdict.NOT_COMPUTABLE
        reasons = [*([] if unknown else [words]), *(text for _, text in proofs)]
        words = "; ".join(dict.fromkeys(reasons))
    return ClaimResult(
        claim=claim.text,
        metric=claim.metric,
        of=claim.of,
        claimed=claim.value,
        recomputed=number,
        findings_counted=counted,
        constant=constant,
        verdict=ClaimVerdict.MEANINGLESS if proofs else agreement,
        agreement=agreement,
        reasons=tuple(dict.fromkeys(reason for reason, _ in proofs)),
        words=words,
    )


def _agreement(claim: Claim, number: Interval) -> tuple[ClaimVerdict, str]:
    """Compare a claim with its number, and say so in words."""
    if number.value is None:
        return ClaimVerdict.NOT_COMPUTABLE, number.reason
    if claim.rounds_to(number.value):
        return ClaimVerdict.REPRODUCED, "the number rounds to the claim"
    if number.low is None or number.high is None:
        return ClaimVerdict.NOT_COMPUTABLE, number.reason
    # resampling adds to calibration errors, so their interval may lie above the number itself
    low, high = min(number.low, number.value), max(number.high, number.value)
    if low - claim.half_unit <= claim.value <= high + claim.half_unit:
        return ClaimVerdict.INSIDE, "other patients of the same kind could give the claim"
    end, side = (high, "above") if claim.value > high else (low, "below")
    return (
        ClaimVerdict.OUTSIDE,
        f"the claim lies {abs(claim.value - end):.4f} {side} the interval",
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
