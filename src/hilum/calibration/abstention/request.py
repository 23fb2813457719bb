"""What a rule-out rule must bound, and how many positives that needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hilum.calibration.abstention.bounds import positives_needed
from hilum.calibration.abstention.predictive import NpvGoal
from hilum.domain.documents.rule_out import ANY, MissUnit, target_words
from hilum.domain.errors import UsageError

__all__ = ["RuleRequest", "needs", "units_needed"]


@dataclass(frozen=True)
class RuleRequest:
    """What a rule must bound.

    Attributes:
        miss: miss rate to stay below, in (0, 1); None for a rule with another target.
        npv: negative predictive value to bound; None for a rule with another target.
        coverage: share of films to rule out, whose miss rate is then bounded; None for another
            target.
        prevalence: share of films with each of `of` where the rule is used, for `npv`; those of
            the fitted films where it is not given.
        confidence: that it is, in (0.5, 1).
        unit: films counted alike, or patients counted alike.
        of: findings, or `any`; several share the error.
        within: attributes of strata, each with a threshold of its own; they share the error.
        ppv: predictive value to bound for flagged films; None to flag none.

    Raises:
        UsageError: for a rate, confidence or value out of range, none or two targets, or a finding
            named twice.
    """

    miss: float | None = 0.02
    confidence: float = 0.95
    unit: MissUnit = MissUnit.PATIENT
    of: tuple[str, ...] = (ANY,)
    within: tuple[str, ...] = ()
    ppv: float | None = None
    npv: float | None = None
    coverage: float | None = None
    prevalence: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for name, value, low in (
            ("miss", self.miss, 0.0),
            ("confidence", self.confidence, 0.5),
            ("ppv", self.ppv, 0.0),
            ("npv", self.npv, 0.0),
            ("coverage", self.coverage, 0.0),
            *(("prevalence", share, 0.0) for share in self.prevalence.values()),
        ):
            if value is not None and not low < value < 1.0:
                raise UsageError(
                    f"--{name} must be a share between {low:g} and 1; got {value:g}. "
                    "Use a value such as 0.02 for a miss rate, 0.95 for a confidence"
                )
        if sum(target is not None for target in (self.miss, self.npv, self.coverage)) != 1:
            raise UsageError("a rule has one target; give --miss, --npv or --coverage")
        if self.prevalence and self.npv is None:
            raise UsageError("--prevalence is of a bound on the NPV; give --npv with it")
        if loose := sorted(set(self.prevalence) - set(self.of)):
            raise UsageError(
                f"--prevalence must be of what is ruled out, {', '.join(self.of)}; got "
                f"{', '.join(loose)}"
            )
        if not self.of or len(set(self.of)) < len(self.of):
            raise UsageError(f"--of must name each finding once; got {', '.join(self.of)}")


def needs(request: RuleRequest, strata_count: int = 1) -> str:
    """Return how many positives the bound needs, before anything is computed.

    >>> needs(RuleRequest(miss=0.01))
    'a miss rate of 1.00% at 95% confidence needs 299 independent positives without a miss'
    >>> needs(RuleRequest(of=("Mass", "Edema")))
    'a miss rate of 2.00% at 95% confidence needs 183 independent positives without a miss, in
     each of 2 rules that share the error'
    """
    family = max(1, len(request.of) * strata_count)
    if request.coverage is not None:
        return (
            f"{request.coverage:.1%} of films are ruled out by their scores alone; the more "
            "positives there are, the tighter is the bound on their miss rate"
        )
    if request.npv is not None:
        return _needs_npv(request, family)
    count = positives_needed(request.miss or 0.0, (1.0 - request.confidence) / family)
    words = (
        f"a miss rate of {request.miss:.2%} at {request.confidence:.0%} confidence needs "
        f"{count:,} independent positives without a miss"
    )
    return words if family == 1 else f"{words}, in each of {family} rules that share the error"


def _needs_npv(request: RuleRequest, family: int) -> str:
    head = f"an NPV of {request.npv or 0.0:.2%} at {request.confidence:.0%} confidence needs"
    if not request.prevalence:
        return f"{head} the more positives, the more common the finding is"
    error = (1.0 - request.confidence) / family
    parts = [
        f"{NpvGoal(request.npv or 0.0, share, error, request.unit).needed:,} independent positives "
        f"without a miss for {target_words(name)} at a prevalence of {share:.2%}"
        for name, share in request.prevalence.items()
    ]
    return f"{head} {', '.join(parts)}, or more where fewer are spared"


def units_needed(request: RuleRequest, target: str, error: float) -> int:
    """Return how many independent positives one rule needs, with an error of its own."""
    if request.npv is not None:
        return NpvGoal(request.npv, request.prevalence[target], error, request.unit).needed
    return 1 if request.miss is None else positives_needed(request.miss, error)
