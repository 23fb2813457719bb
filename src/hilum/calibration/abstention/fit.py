"""A rule-out rule from films of the calibrate split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.abstention.bounds import miss_bound, units_of
from hilum.calibration.abstention.predictive import NpvGoal, npv_threshold
from hilum.calibration.abstention.request import RuleRequest, units_needed
from hilum.calibration.abstention.scores import rule_score, stratum_of
from hilum.calibration.abstention.thresholds import (
    Cut,
    Goal,
    RuleFilms,
    coverage_threshold,
    flag_threshold,
    rule_out_threshold,
)
from hilum.domain.documents import SplitFacts
from hilum.domain.documents.rule_out import ANY, MissUnit, RuleOut, StratumRule, target_words
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort
from hilum.domain.scores import Probabilities

__all__ = [
    "RuleSource",
    "films_for",
    "fit_rule",
    "labeled_for",
    "strata",
]

UNKNOWN_STRATUM = "unknown"
"""Name of the films whose stratum is not known: they are referred."""


@dataclass(frozen=True)
class RuleSource:
    """What a rule is fitted on and bound to.

    Attributes:
        model: name of the network or table.
        bond: hash that the rule is bound to.
        findings: findings with calibrated probabilities, which make the score of `any`.
        population: dataset of the patients.
        split: name of the films.
        date: day of the fit, YYYY-MM-DD.
        called: (N,) films with a finding at or above its operating point, which are never ruled
            out; None where there are no operating points.
        notes: what the user should know, a line each.
    """

    model: str
    bond: str
    findings: tuple[str, ...]
    population: str
    split: str
    date: str
    called: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = field(default=())


def strata(cohort: Cohort, within: Sequence[str]) -> NDArray[np.str_]:
    """Return (N,) the stratum of each film; `unknown` where an attribute is missing."""
    names = [stratum_of(within, r.view, r.sex, r.age_years) for r in cohort.records]
    return np.array([UNKNOWN_STRATUM if name is None else name for name in names], np.str_)


def labeled_for(cohort: Cohort, target: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which films are labeled for a target, and which have it; both (N,).

    For `any` a film with one positive label has a finding, and one with all labels negative has
    none; the others are not known.
    """
    states = cohort.states()
    if target != ANY:
        own = states[:, cohort.labels.index(target)]
        positive = own == LabelState.POSITIVE
        return positive | (own == LabelState.NEGATIVE), positive
    used = (states == LabelState.POSITIVE) | (states == LabelState.NEGATIVE)
    columns = used.any(axis=0)  # a finding that the dataset does not label says nothing
    positive = (states == LabelState.POSITIVE).any(axis=1)
    negative = (states[:, columns] == LabelState.NEGATIVE).all(axis=1) & columns.any()
    return positive | negative, positive


def films_for(
    probabilities: Probabilities,
    cohort: Cohort,
    target: str,
    findings: Sequence[str],
    called: NDArray[np.bool_] | None,
) -> tuple[RuleFilms, NDArray[np.bool_]]:
    """Return the films that are labeled for a target, and which of the cohort's (N,) they are.

    Args:
        probabilities: (N, L) calibrated.
        cohort: the N films.
        target: a finding, or `any`.
        findings: what makes the score of `any`.
        called: (N,) films with a finding at or above its operating point, whose score is 1.
    """
    known, positive = labeled_for(cohort, target)
    scores = rule_score(probabilities, target, findings)
    if called is not None:
        scores = np.where(called, 1.0, scores)
    _, patients = np.unique(cohort.patients(), return_inverse=True)
    return RuleFilms(scores, positive, patients).where(known), known


def fit_rule(
    probabilities: Probabilities, cohort: Cohort, request: RuleRequest, source: RuleSource
) -> RuleOut:
    """Choose the thresholds of a rule, or say why there are none.

    Rules of several findings or strata share the error equally. Holm's correction would give no
    more: it frees an error where a sequence ends with all its thresholds accepted, and the
    boldest one rules out every film, so no sequence does.

    Args:
        probabilities: (N, L) calibrated.
        cohort: the N films, which neither trained nor are tested.
        request: what to bound.
        source: what the rule is bound to.

    Raises:
        DatasetError: when no rule at all can be fitted: too few positives, by name.
        UsageError: for a finding that the model does not have.
    """
    _refuse_unknown(probabilities, request, source)
    films_of = {target: _films(probabilities, cohort, target, source) for target in request.of}
    groups = strata(cohort, request.within)
    used = sorted(set(groups.tolist()) - {UNKNOWN_STRATUM})
    rooms = {
        (target, stratum): films.where((groups == stratum)[known])
        for target, (films, known) in films_of.items()
        for stratum in used
    }
    error = 1.0 - request.confidence
    prevalence = {
        name: request.prevalence.get(name, float(films_of[name][0].positive.mean()))
        for name in request.of
    }
    request = replace(request, prevalence=prevalence if request.npv is not None else {})
    family = _family(rooms, request)
    rules = tuple(
        _rule(target, stratum, films, request, family) for (target, stratum), films in rooms.items()
    )
    if all(rule.threshold is None for rule in rules):
        raise DatasetError(_refusal(rules, request))
    return RuleOut(
        model=source.model,
        bond=source.bond,
        miss=request.miss,
        npv=request.npv,
        npv_prevalence=dict(request.prevalence),
        coverage=request.coverage,
        confidence=request.confidence,
        unit=request.unit,
        of=request.of,
        findings=source.findings,
        within=request.within,
        ppv=request.ppv,
        family=family,
        positives_needed=max(units_needed(request, name, error / family) for name in request.of),
        population=source.population,
        prevalence={name: float(films_of[name][0].positive.mean()) for name in request.of},
        fitted_on=SplitFacts.of(source.split, cohort),
        date=source.date,
        rules=rules,
        notes=(*source.notes, *_notes(films_of, groups, len(cohort))),
    )


def _refuse_unknown(probabilities: Probabilities, request: RuleRequest, source: RuleSource) -> None:
    for target in request.of:
        if target != ANY:
            _ = probabilities.labels.index(target)
        if target not in (ANY, *source.findings) or not source.findings:
            raise UsageError(
                f"a rule needs calibrated probabilities; those of {target} are a plain sigmoid. "
                "Run `hilum calibrate` with films that have the finding, and those that do not"
            )


def _films(
    probabilities: Probabilities, cohort: Cohort, target: str, source: RuleSource
) -> tuple[RuleFilms, NDArray[np.bool_]]:
    """Return the labeled films of a target to fit on, and which of the cohort's they are."""
    films, known = films_for(probabilities, cohort, target, source.findings, source.called)
    if not films.positive.any():
        raise DatasetError(
            f"a rule needs films with and without {target_words(target)}; "
            f"of {len(cohort):,} films {int(known.sum()):,} are labeled and "
            f"{int(films.positive.sum()):,} positive. Calibrate with more films"
        )
    return films, known


def _family(rooms: Mapping[tuple[str, str], RuleFilms], request: RuleRequest) -> int:
    """Return how many rules share the error: as many as have the positives they then need.

    That depends on who has a finding and on no score, so the refused ones need no share.
    """
    error = 1.0 - request.confidence
    counts = [
        (target, units_of(films.patients[films.positive], request.unit))
        for (target, _), films in rooms.items()
    ]
    enough = [
        family
        for family in range(1, len(counts) + 1)
        if sum(n >= units_needed(request, name, error / family) for name, n in counts) >= family
    ]
    return max(enough, default=1)


def _rule(
    target: str, stratum: str, films: RuleFilms, request: RuleRequest, family: int
) -> StratumRule:
    error = (1.0 - request.confidence) / family
    cut = _cut(target, films, request, error)
    flag = None
    if request.ppv is not None and cut.threshold is not None:
        goal = Goal(1.0 - request.ppv, error, request.unit)
        flag = flag_threshold(films, goal, cut.threshold)
    positive = films.positive
    ruled = np.zeros(len(positive), np.bool_)
    if cut.threshold is not None:
        ruled = films.scores < cut.threshold
    own = films.patients[positive]
    bounds = {
        unit: miss_bound(ruled[positive], own, error, unit) if len(own) else None
        for unit in MissUnit
    }
    return StratumRule(
        finding=target,
        stratum=stratum,
        threshold=cut.threshold,
        flag_threshold=flag,
        reason=cut.reason,
        films=len(positive),
        patients=len(np.unique(films.patients)),
        positive_films=int(positive.sum()),
        positive_patients=len(np.unique(own)),
        ruled_out=int(ruled.sum()),
        by_film=bounds[MissUnit.FILM],
        by_patient=bounds[MissUnit.PATIENT],
    )


def _cut(target: str, films: RuleFilms, request: RuleRequest, error: float) -> Cut:
    if request.npv is not None:
        share = request.prevalence[target]
        return npv_threshold(films, NpvGoal(request.npv, share, error, request.unit))
    if request.coverage is not None:
        return coverage_threshold(films, request.coverage)
    return rule_out_threshold(films, Goal(request.miss or 0.0, error, request.unit))


def _refusal(rules: Sequence[StratumRule], request: RuleRequest) -> str:
    """Return why no rule could be fitted, with what would be needed."""
    named = "; ".join(
        f"{rule.finding}{f' ({rule.stratum})' if rule.stratum else ''}: {rule.reason}"
        for rule in rules[:3]
    )
    more = f"; and {len(rules) - 3} more" if len(rules) > 3 else ""
    return (
        f"no threshold can be bounded: {named}{more}. {_bolder(request)}, or calibrate with more "
        "patients"
    )


def _bolder(request: RuleRequest) -> str:
    if request.npv is not None:
        return f"Allow a smaller --npv than {request.npv:g}"
    if request.coverage is not None:
        return f"Choose a --coverage other than {request.coverage:g}"
    return f"Allow a larger --miss than {request.miss:g}"


def _notes(
    films_of: Mapping[str, tuple[RuleFilms, NDArray[np.bool_]]],
    groups: NDArray[np.str_],
    total: int,
) -> list[str]:
    notes: list[str] = []
    for target, (_, known) in films_of.items():
        if left := total - int(known.sum()):
            notes.append(f"{target}: {left:,} of {total:,} films are not labeled and do not count")
    if unknown := int((groups == UNKNOWN_STRATUM).sum()):
        notes.append(f"{unknown:,} of {total:,} films have no known stratum: they are referred")
    notes.append(
        "the bound is on misses of the labels; labels mined from reports miss findings themselves"
    )
    return notes
