"""A rule-out rule: which films may be called below the bound, what was bounded, and its check."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Self

from pydantic import model_validator

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "ANY",
    "RULE_OUT",
    "FilmTriage",
    "MissBound",
    "MissUnit",
    "RiskCoverage",
    "RuleCheck",
    "RuleOut",
    "RuleVerdict",
    "StratumCheck",
    "StratumRule",
    "TriageWay",
    "target_words",
]

ANY = "any"
"""The target of a rule on any finding at all."""
RULE_OUT = "rule_out.json"
"""File name of the rule, in a run and in a bundle."""


def target_words(finding: str) -> str:
    """Return the target of a rule in words.

    >>> target_words("Mass"), target_words(ANY)
    ('Mass', 'any finding')
    """
    return "any finding" if finding == ANY else finding


class MissUnit(StrEnum):
    """What a miss rate is of."""

    PATIENT = "patient"
    """Mean over patients with the finding of the share of their films with it that are missed."""
    FILM = "film"
    """Share of the films with the finding that are missed."""


class TriageWay(StrEnum):
    """What a rule says of a film."""

    RULE_OUT = "rule_out"
    """The score is below the threshold with a bounded miss rate."""
    FLAG = "flag"
    """The score is at or above the threshold with a bounded positive predictive value."""
    REFER = "refer"
    """Neither, or the rule does not hold for this film."""


class FilmTriage(Document):
    """The triage of one film by the bundle's rule."""

    way: TriageWay
    reason: str
    """Why the film goes this way, in words."""
    rule: str
    """sha256 (hex) of the rule."""
    guarantee: str = ""
    """What was bounded, where the film was ruled out or flagged."""


class MissBound(Document):
    """A miss rate on the films of a fit or check, with its upper bound."""

    observed: float | None
    """None where there is no unit."""
    upper: float | None
    """The rate is below this with the rule's confidence, one-sided."""
    n: int
    """Units: patients with the finding, or films with it."""
    method: str
    """How it is bounded: exact binomial, betting, or design effect (approximate)."""


class StratumRule(Document):
    """The threshold of one finding in one stratum, or why there is none."""

    finding: str
    """A finding, or `any`."""
    stratum: str
    """Such as "PA, F"; empty for all films."""
    threshold: float | None
    """A film with a lower score is ruled out; None for a stratum that is refused."""
    flag_threshold: float | None = None
    """A film with this score or a higher one is flagged; None where none was requested or held."""
    reason: str = ""
    """Why there is no threshold; else empty."""
    films: int
    patients: int
    positive_films: int
    positive_patients: int
    ruled_out: int = 0
    """Films below the threshold, of those it was chosen on."""
    by_film: MissBound | None = None
    """Miss rate per film with the finding, of the films that the threshold was chosen on."""
    by_patient: MissBound | None = None
    """The same per patient."""


class RuleVerdict(StrEnum):
    """What other films say of a bound."""

    CONFIRMED = "confirmed"
    """These films alone bound the rate below the target, with the rule's confidence."""
    NOT_CONTRADICTED = "not contradicted"
    """These films cannot tell whether the rate is above or below the target."""
    CONTRADICTED = "contradicted"
    """These films alone show a rate above the target, with the rule's confidence."""
    NO_POSITIVES = "no positives"
    """No film with the finding."""


class StratumCheck(Document):
    """A frozen threshold on films that it was not chosen on."""

    finding: str
    stratum: str
    films: int
    patients: int
    positive_films: int
    positive_patients: int
    ruled_out: Interval
    """Share of all films that are ruled out."""
    ruled_out_negatives: Interval
    """Share of the films without the finding that are ruled out."""
    miss_by_film: Interval
    miss_by_patient: Interval
    by_film: MissBound
    by_patient: MissBound
    npv: Interval | None = None
    """Share without the finding of films ruled out, at the rule's prevalence; null for a rule with
    another target."""
    flagged: int
    flagged_positive: int
    verdict: RuleVerdict
    p_holm: float | None
    """That the miss rate is at or above the target, after Holm's correction over the rules."""


class RiskCoverage(Document):
    """Share of films with a finding among those ruled out, by the share that is ruled out."""

    finding: str
    coverage: tuple[float, ...]
    risk: tuple[Interval, ...]
    area: Interval
    """Mean risk over all coverages; smaller is better."""
    area_oracle: float
    """The same of scores that put every film without the finding first."""
    area_random: float
    """The same of scores that know nothing: the share of films with the finding."""


class RuleCheck(Document):
    """The frozen rule on test: looked at once, and the look counted."""

    split: SplitFacts
    look: int
    rules: tuple[StratumCheck, ...]
    curves: tuple[RiskCoverage, ...]
    interval: str
    seed: int
    resamples: int


class RuleOut(Document):
    """rule_out.json: thresholds frozen on calibrate, what they bound, and the check on test."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    bond: str
    """Hash of network, preprocessing, precision, calibrator and thresholds; for a table, of it."""
    miss: float | None
    """Miss rate that is bounded, in (0, 1); null for a rule with another target."""
    npv: float | None = None
    """Negative predictive value that is bounded; null for a rule with another target."""
    npv_prevalence: dict[str, float] = {}
    """Share of films with each of `of` at which the predictive value is bounded."""
    coverage: float | None = None
    """Share of films to rule out, fixed before labels are seen; null for another target."""
    confidence: float
    unit: MissUnit
    of: tuple[str, ...]
    """Findings bounded, or `any`; a film is ruled out where all of them rule it out."""
    findings: tuple[str, ...]
    """Findings whose probabilities make the score of `any`: 1 - prod(1 - p)."""
    within: tuple[str, ...] = ()
    """Attributes of the strata: view, sex, age."""
    ppv: float | None = None
    """Positive predictive value that is bounded for flagged films; None: nothing is flagged."""
    family: int
    """Rules that share the error: each is fitted with (1 - confidence) / family."""
    positives_needed: int
    """Independent positives without a miss that the bound needs, in each rule."""
    population: str
    prevalence: dict[str, float]
    """Share of films with each of `of`, on the films that the rule was fitted on."""
    fitted_on: SplitFacts
    date: str
    """Day of the fit, YYYY-MM-DD; not part of the hash."""
    rules: tuple[StratumRule, ...]
    notes: tuple[str, ...] = ()
    rule_sha256: str = ""
    """sha256 (hex) of everything above that decides about films or says what is bounded."""
    check: RuleCheck | None = None

    @model_validator(mode="after")
    def _bound(self) -> Self:
        if not self.rule_sha256:
            object.__setattr__(self, "rule_sha256", self._hash())
        if self.rule_sha256 != self._hash():
            raise ValueError("a rule must be as it was frozen; its hash is of a different one")
        return self

    def _hash(self) -> str:
        loose = {"notice", "notes", "date", "rule_sha256", "check"}
        # a rule of a miss rate keeps the hash that it had before there were other targets
        loose |= {"npv", "npv_prevalence"} if self.npv is None else set()
        loose |= {"coverage"} if self.coverage is None else set()
        return hashlib.sha256(self.model_dump_json(exclude=loose).encode()).hexdigest()

    def for_film(self, stratum: str) -> tuple[StratumRule, ...]:
        """Return the rule of each finding in a film's stratum; none for an unknown stratum."""
        return tuple(rule for rule in self.rules if rule.stratum == stratum)

    @property
    def target(self) -> str:
        """What is bounded or fixed, in words."""
        if self.npv is not None:
            shares = ", ".join(
                f"{share:.2%}"
                if len(self.npv_prevalence) == 1
                else f"{target_words(name)} {share:.2%}"
                for name, share in self.npv_prevalence.items()
            )
            return f"NPV at least {self.npv:.2%} at a prevalence of {shares}"
        if self.coverage is not None:
            return f"{self.coverage:.1%} of films ruled out, their miss rate bounded"
        return f"miss rate at most {self.miss or 0.0:.2%}"

    @property
    def option(self) -> str:
        """The option of `hilum rule-out` that asks for such a rule."""
        if self.npv is not None:
            pairs = (f" --prevalence '{n}={p:g}'" for n, p in self.npv_prevalence.items())
            return f"--npv {self.npv:g}{''.join(pairs)}"
        if self.coverage is not None:
            return f"--coverage {self.coverage:g}"
        return f"--miss {self.miss or 0.0:g}"

    def own_bound(self, rule: StratumRule) -> MissBound | None:
        """Return the miss rate of the unit that the rule is for, on the films of the fit."""
        return rule.by_patient if self.unit is MissUnit.PATIENT else rule.by_film

    def limit(self, rule: StratumRule) -> float | None:
        """Return the miss rate that one threshold bounds; None where it bounds the NPV."""
        if self.npv is not None:
            return None
        own = self.own_bound(rule)
        return self.miss if self.coverage is None else (None if own is None else own.upper)

    def guarantee(self, rule: StratumRule, named: bool = True) -> str:
        """Return what one threshold bounds: unit, target, confidence, population, n, date.

        Args:
            rule: of this document.
            named: whether to name the stratum, which may say the sex and age of a patient.
        """
        units = f"{self.unit.value}s with {target_words(rule.finding)}"
        rate = (
            f"of {units}, the mean share of films ruled out"
            if self.unit is MissUnit.PATIENT
            else f"of {units}, the share ruled out"
        )
        own = self.own_bound(rule)
        approximate = ", approximately" if own and own.method == "design effect" else ""
        n = rule.positive_patients if self.unit is MissUnit.PATIENT else rule.positive_films
        where = f", {rule.stratum if named else 'its stratum'}" if rule.stratum else ""
        if self.npv is not None:
            share = self.npv_prevalence.get(rule.finding, 0.0)
            return (
                f"of films ruled out, at least {self.npv:.2%} are without "
                f"{target_words(rule.finding)} with {self.confidence:.0%} confidence{approximate}, "
                f"where the prevalence is {share:.2%} and {self.unit.value}s count alike "
                f"(labels of {self.population}{where}, n = {n:,} with it, {self.date})"
            )
        return (
            f"{rate} is at most {self.limit(rule) or 0.0:.2%} with {self.confidence:.0%} confidence"
            f"{approximate} (labels of {self.population}{where}, n = {n:,}, {self.date})"
        )

    def flag_guarantee(self, rule: StratumRule) -> str:
        """Return what a flag bounds, with the prevalence that it holds at."""
        prevalence = self.prevalence.get(rule.finding, 0.0)
        return (
            f"of flagged {self.unit.value}s, at least {self.ppv or 0.0:.0%} have "
            f"{target_words(rule.finding)} with {self.confidence:.0%} confidence, where the "
            f"prevalence is {prevalence:.1%} (labels of {self.population}, {self.date}); void once "
            "`hilum watch` finds that it moved"
        )
