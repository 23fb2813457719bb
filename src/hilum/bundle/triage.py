"""Triage of one film by the bundle's rule: ruled out, flagged or referred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.bundle.manifest import Calibration
from hilum.calibration.abstention.scores import rule_score, stratum_of
from hilum.domain.documents.results import FindingResult
from hilum.domain.documents.rule_out import (
    ANY,
    FilmTriage,
    RuleOut,
    StratumRule,
    TriageWay,
    target_words,
)
from hilum.domain.errors import BundleError, ReasonCode
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.scores import Probabilities
from hilum.files.sealed import read_sealed

__all__ = ["TriageFacts", "read_rule", "refer", "triage"]


@dataclass(frozen=True)
class TriageFacts:
    """What decides about a film besides its probabilities.

    Attributes:
        codes: reasons to warn; a film with any is referred.
        as_calibrated: whether the network computed as when it was calibrated.
        view, sex, age_years: for rules with strata.
    """

    codes: tuple[ReasonCode, ...] = ()
    as_calibrated: bool = True
    view: ViewPosition = ViewPosition.UNKNOWN
    sex: Sex = Sex.UNKNOWN
    age_years: float | None = None


def read_rule(path: Path, calibration: Calibration) -> RuleOut:
    """Read the rule of exactly this network, calibrator and these operating points.

    Raises:
        BundleError: for a missing or edited file, or one of a different calibration.
    """
    rule = read_sealed(RuleOut, path)
    if rule.bond != calibration.bond:
        raise BundleError(
            f"a rule must be of this network with this calibration; {path} is of a different "
            "one. Run `hilum rule-out` again"
        )
    return rule


def refer(rule_sha256: str, reason: str) -> FilmTriage:
    """Return the triage of a film that the rule with this hash says nothing of."""
    return FilmTriage(way=TriageWay.REFER, reason=reason, rule=rule_sha256)


def triage(rule: RuleOut, findings: Mapping[str, FindingResult], film: TriageFacts) -> FilmTriage:
    """Return which way a film goes. Whatever the rule was not measured on is referred.

    Args:
        rule: the bundle's.
        findings: results at the bundle's operating points.
        film: what else decides.
    """
    if film.codes:
        return refer(rule.rule_sha256, f"the film has warnings: {', '.join(film.codes)}")
    used = [*(rule.findings if ANY in rule.of else ()), *(n for n in rule.of if n != ANY)]
    if not film.as_calibrated or not all(findings[name].calibrated for name in used):
        return refer(rule.rule_sha256, "its probabilities are not calibrated")
    stratum = stratum_of(rule.within, film.view, film.sex, film.age_years)
    if stratum is None:
        attributes = ", ".join(rule.within)
        return refer(
            rule.rule_sha256, f"the rule has strata of {attributes}; this film's is unknown"
        )
    rules = rule.for_film(stratum)
    if len(rules) < len(rule.of) or any(one.threshold is None for one in rules):
        return refer(rule.rule_sha256, "the rule has no threshold for films of this stratum")
    return _sorted_out(rule, rules, findings)


def _sorted_out(
    rule: RuleOut, rules: tuple[StratumRule, ...], findings: Mapping[str, FindingResult]
) -> FilmTriage:
    """Compare the film's scores with the thresholds."""
    labels = LabelSet("the film's findings", tuple(findings))
    values = np.array([[one.probability for one in findings.values()]])
    probabilities = Probabilities(values, labels)
    positive = [name for name, one in findings.items() if one.positive]
    scores = {
        one.finding: 1.0
        if positive
        else float(rule_score(probabilities, one.finding, rule.findings)[0])
        for one in rules
    }
    flags = [
        one
        for one in rules
        if one.flag_threshold is not None and scores[one.finding] >= one.flag_threshold
    ]
    if flags:
        return FilmTriage(
            way=TriageWay.FLAG,
            reason=_against(flags[0], scores, above=True),
            rule=rule.rule_sha256,
            guarantee=rule.flag_guarantee(flags[0]),
        )
    if positive:
        return refer(rule.rule_sha256, f"at or above the operating point: {', '.join(positive)}")
    above = [one for one in rules if scores[one.finding] >= (one.threshold or 0.0)]
    if above:
        return refer(rule.rule_sha256, _against(above[0], scores, above=True))
    return FilmTriage(
        way=TriageWay.RULE_OUT,
        reason=_against(rules[0], scores, above=False),
        rule=rule.rule_sha256,
        guarantee="; ".join(rule.guarantee(one, _may_name(rule)) for one in rules),
    )


def _may_name(rule: RuleOut) -> bool:
    """Return whether a stratum says nothing of the patient."""
    return set(rule.within) <= {"view"}


def _against(one: StratumRule, scores: Mapping[str, float], *, above: bool) -> str:
    score = scores[one.finding]
    limits = (one.threshold, one.flag_threshold)
    passed = [limit for limit in limits if limit is not None and (score >= limit) is above]
    limit = passed[-1] if above else passed[0]
    side = "at or above" if above else "below"
    return f"its score of {target_words(one.finding)} is {side} {limit:.3g}"
