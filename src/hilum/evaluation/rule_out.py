"""A frozen rule-out rule on films that it was not chosen on, and its risk by coverage."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.abstention.bounds import miss_bound, p_value
from hilum.calibration.abstention.fit import films_for, strata
from hilum.calibration.abstention.predictive import NpvGoal, npv_broken, npv_p
from hilum.calibration.abstention.thresholds import RuleFilms
from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.rule_out import (
    MissUnit,
    RiskCoverage,
    RuleCheck,
    RuleOut,
    RuleVerdict,
    StratumCheck,
    StratumRule,
)
from hilum.domain.record import Cohort
from hilum.domain.scores import Probabilities
from hilum.metrics.comparison import holm
from hilum.metrics.resampling import Segments, interval, patient_resamples, share

__all__ = ["CheckRequest", "check_rule", "risk_coverage"]

COVERAGES = tuple(np.linspace(0.05, 1.0, 20).round(2).tolist())
"""Shares of films ruled out at which the risk is given."""
STEPS = 400
"""Steps of the ranking in which resamples are added up."""


@dataclass(frozen=True)
class CheckRequest:
    """How a check is named, counted and resampled.

    Attributes:
        split: name of the films.
        look: number of this look at them.
        resamples, seed: of the intervals by patient.
    """

    split: str
    look: int
    resamples: int = 500
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Tried:
    """One rule's films, which of them it rules out, and resampled weights of all films.

    Attributes:
        films: labeled, of the rule's stratum.
        rows: (n,) their columns of the weights.
        ruled: (n,) whether ruled out.
        weights: (R, N) float32, exact for counts.
    """

    films: RuleFilms
    rows: NDArray[np.intp]
    ruled: NDArray[np.bool_]
    weights: NDArray[np.float32]

    def share(self, part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Interval:
        """Return the share of some films that are of a part, with its interval by patient."""
        if not whole.any():
            return Interval(value=None, reason="no such film")
        columns = np.zeros((self.weights.shape[1], 2), np.float32)
        columns[self.rows] = np.column_stack((part & whole, whole))
        sums = (self.weights @ columns).astype(np.float64)
        value = float((part & whole).sum() / whole.sum())
        return interval(value, share(sums[:, 0], sums[:, 1]), "no such film")


def check_rule(
    rule: RuleOut,
    probabilities: Probabilities,
    cohort: Cohort,
    request: CheckRequest,
    called: NDArray[np.bool_] | None = None,
) -> RuleCheck:
    """Try a frozen rule on other films: both miss rates, what is ruled out, and a verdict.

    Args:
        rule: frozen.
        probabilities: (N, L) by the same calibrator.
        cohort: the N films; none of their patients may have fitted the rule.
        request: name, look and resamples.
        called: (N,) films with a finding at or above its operating point.
    """
    groups = strata(cohort, rule.within)
    rng = np.random.default_rng(request.seed)
    weights = np.concatenate(list(patient_resamples(cohort.patients(), request.resamples, rng)))
    checks: list[StratumCheck] = []
    curves: list[RiskCoverage] = []
    light = weights.astype(np.float32)
    served = [one for one in rule.rules if one.threshold is not None]
    for target in rule.of:
        films, known = films_for(probabilities, cohort, target, rule.findings, called)
        rows = np.flatnonzero(known)
        curves.append(risk_coverage(target, films, weights, rows))
        for one in (one for one in served if one.finding == target):
            inside = (groups == one.stratum)[known]
            own = films.where(inside)
            ruled = own.scores < (one.threshold or 0.0)
            tried = _Tried(own, rows[inside], ruled, light)
            checks.append(_check(rule, one, tried, len(served)))
    adjusted = holm([check.p_holm for check in checks])
    return RuleCheck(
        split=SplitFacts.of(request.split, cohort),
        look=request.look,
        rules=tuple(_judged(check, p, rule) for check, p in zip(checks, adjusted, strict=True)),
        curves=tuple(curves),
        interval="95 % percentile intervals, patients resampled; bounds one-sided",
        seed=request.seed,
        resamples=request.resamples,
    )


def risk_coverage(
    target: str, films: RuleFilms, weights: NDArray[np.int32], rows: NDArray[np.intp]
) -> RiskCoverage:
    """Return the share with the finding among the films ruled out first, by their share of all.

    Films are ruled out from the lowest score up; tied films in a fixed order. Resamples are added
    up in at most 400 steps of the ranking, and their areas moved by what that changes in the
    films' own area.

    Args:
        target: a finding, or `any`.
        films: labeled.
        weights: (R, N) how often each film stands in each resample of patients.
        rows: (n,) columns of the weights that the films are.
    """
    order = np.argsort(films.scores, kind="stable")
    positive = films.positive[order].astype(np.float64)
    n = len(positive)
    ends = np.unique(np.linspace(0, n, min(n, STEPS) + 1).astype(np.intp))[1:]
    step = Segments(rows[order], ends)
    found = Segments(rows[order], ends, positive)
    resampled = _risk(step.sums(weights), found.sums(weights))
    once = np.zeros((1, weights.shape[1]), np.int32)
    once[:, rows] = 1
    coarse = _risk(step.sums(once), found.sums(once))
    own = _risk(np.ones((1, n)), positive[None])
    oracle = _risk(np.ones((1, n)), np.sort(positive)[None])
    moved = own[1] - coarse[1]
    absent = "no film"
    return RiskCoverage(
        finding=target,
        coverage=COVERAGES,
        risk=tuple(
            interval(float(own[0][0, at]), resampled[0][:, at], absent)
            for at in range(len(COVERAGES))
        ),
        area=interval(float(own[1][0]), resampled[1] + moved, absent),
        area_oracle=float(oracle[1][0]),
        area_random=float(positive.mean()),
    )


def _risk(
    weights: NDArray[np.float64], positives: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (R, coverages) risks and (R,) areas, of weights in the order of the scores."""
    films, found = np.cumsum(weights, axis=1), np.cumsum(positives, axis=1)
    risk = share(found, films)
    wanted = np.array(COVERAGES)
    at = np.array([np.searchsorted(row, wanted * row[-1] - 1e-9) for row in films], np.intp)
    area = share(np.nansum(risk * weights, axis=1), films[:, -1])
    return np.take_along_axis(risk, at.clip(max=films.shape[1] - 1), axis=1), area


def _check(rule: RuleOut, one: StratumRule, tried: _Tried, rules: int) -> StratumCheck:
    films, ruled, positive = tried.films, tried.ruled, tried.films.positive
    error = 1.0 - rule.confidence
    own, missed = films.patients[positive], ruled[positive]
    flagged = np.zeros(len(ruled), np.bool_)
    if one.flag_threshold is not None:
        flagged = films.scores >= one.flag_threshold
    judged = _Judged.of(rule, one, tried)
    every = np.ones(len(ruled), np.bool_)
    return StratumCheck(
        finding=one.finding,
        stratum=one.stratum,
        films=len(ruled),
        patients=len(np.unique(films.patients)),
        positive_films=int(positive.sum()),
        positive_patients=len(np.unique(own)),
        ruled_out=tried.share(ruled, every),
        ruled_out_negatives=tried.share(ruled, ~positive),
        miss_by_film=tried.share(ruled, positive),
        miss_by_patient=_share_by_patient(tried),
        by_film=miss_bound(missed, own, error, MissUnit.FILM),
        by_patient=miss_bound(missed, own, error, MissUnit.PATIENT),
        flagged=int(flagged.sum()),
        flagged_positive=int((flagged & positive).sum()),
        npv=_npv(rule, one, tried),
        verdict=judged.verdict(error / rules),
        p_holm=judged.p(error),
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """What one threshold promised, and the films that it is tried on.

    Attributes:
        films: labeled, of the rule's stratum.
        ruled: (n,) whether ruled out.
        limit: miss rate that is bounded; None where the NPV is, or nothing.
        goal: of the NPV; None where the miss rate is bounded.
        unit: of the rate.
    """

    films: RuleFilms
    ruled: NDArray[np.bool_]
    limit: float | None
    goal: NpvGoal | None
    unit: MissUnit

    @classmethod
    def of(cls, rule: RuleOut, one: StratumRule, tried: _Tried) -> _Judged:
        goal = None
        if rule.npv is not None:
            share = rule.npv_prevalence[one.finding]
            goal = NpvGoal(rule.npv, share, 1.0 - rule.confidence, rule.unit)
        return cls(tried.films, tried.ruled, rule.limit(one), goal, rule.unit)

    def p(self, error: float) -> float | None:
        """That the promise is broken; None without a positive film."""
        positive = self.films.positive
        if not positive.any():
            return None
        if self.goal is not None:
            return npv_p(self.films, self.ruled, self.goal)
        if not 0.0 < (self.limit or 0.0) < 1.0:
            return 1.0
        own = self.films.patients[positive]
        return p_value(self.ruled[positive], own, self.limit or 0.0, error, self.unit)

    def verdict(self, error: float) -> RuleVerdict:
        """Return whether these films alone show that the promise is broken."""
        positive = self.films.positive
        if not positive.any():
            return RuleVerdict.NO_POSITIVES
        if self.goal is not None:
            broken = npv_broken(self.films, self.ruled, replace(self.goal, error=error))
        elif not 0.0 < (self.limit or 0.0) < 1.0:
            broken = False
        else:
            # a rate above the target is a rate of films found below 1 less the target
            own, above = self.films.patients[positive], 1.0 - (self.limit or 0.0)
            broken = p_value(~self.ruled[positive], own, above, error, self.unit) <= error
        return RuleVerdict.CONTRADICTED if broken else RuleVerdict.NOT_CONTRADICTED


def _npv(rule: RuleOut, one: StratumRule, tried: _Tried) -> Interval | None:
    """Return the NPV at the rule's prevalence; None for a rule with another target."""
    share_with = rule.npv_prevalence.get(one.finding)
    if share_with is None:
        return None
    positive = tried.films.positive
    if not positive.any() or positive.all():
        return Interval(value=None, reason="no film of one of the two kinds")
    missed, spared = (_rate(tried, kind, rule.unit) for kind in (positive, ~positive))
    without = (1.0 - share_with) * spared
    npv = share(without, without + share_with * missed)
    return interval(float(npv[0]), npv[1:], "no film is ruled out")


def _rate(tried: _Tried, kind: NDArray[np.bool_], unit: MissUnit) -> NDArray[np.float64]:
    """Return (1 + R,) shares of one kind of films ruled out: on the films, and on resamples."""
    if unit is MissUnit.PATIENT:
        value, resampled = _mean_by_patient(tried, kind)
        return np.r_[value, resampled]
    columns = np.zeros((tried.weights.shape[1], 2), np.float32)
    columns[tried.rows] = np.column_stack((tried.ruled & kind, kind))
    sums = (tried.weights @ columns).astype(np.float64)
    return np.r_[tried.ruled[kind].mean(), share(sums[:, 0], sums[:, 1])]


def _judged(check: StratumCheck, p: float | None, rule: RuleOut) -> StratumCheck:
    """Return the check with its adjusted p-value, confirmed where that is small."""
    below = p is not None and p <= 1.0 - rule.confidence
    verdict = RuleVerdict.CONFIRMED if below else check.verdict
    return check.model_copy(update={"p_holm": p, "verdict": verdict})


def _share_by_patient(tried: _Tried) -> Interval:
    """Return the mean over patients of the share of their films with the finding missed."""
    if not tried.films.positive.any():
        return Interval(value=None, reason="no film with the finding")
    value, resampled = _mean_by_patient(tried, tried.films.positive)
    return interval(value, resampled, "no film with the finding")


def _mean_by_patient(tried: _Tried, kind: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Return the mean over patients of the share of one kind of films ruled out, and resamples."""
    ids, first, code = np.unique(tried.films.patients[kind], return_index=True, return_inverse=True)
    missed = np.bincount(code, tried.ruled[kind]) / np.bincount(code)
    weights = tried.weights[:, tried.rows[kind][first]].astype(np.float64)
    return float(missed.mean()), share(weights @ missed, weights @ np.ones(len(ids)))
