"""upgrade.json: a new bundle beside the old one on the same films, and the policy's verdict."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "UPGRADE",
    "CarryOver",
    "FindingChange",
    "FindingFlips",
    "FlipExample",
    "GateOutcome",
    "GateRule",
    "GateVerdict",
    "GroupChange",
    "RuleOutChange",
    "ServedChange",
    "Upgrade",
    "UpgradeBundle",
]

UPGRADE = "upgrade.json"
"""File name of the comparison."""


class GateVerdict(StrEnum):
    """Verdict of a policy on an upgrade."""

    ALLOWED = "allowed"
    """Every rule is shown to hold on these films."""
    STOPPED = "stopped"
    """A rule is shown to be broken."""
    UNDECIDED = "not enough films"
    """No rule is shown to be broken, and not all are shown to hold."""
    NO_POLICY = "no policy"
    """Nothing was decided: no policy was given."""


class GateOutcome(StrEnum):
    """Outcome of one rule."""

    HOLDS = "holds"
    """The bound at the rule's confidence is within the limit."""
    BROKEN = "broken"
    """Even the bound on the other side is beyond the limit."""
    UNDECIDED = "not enough films"
    """The limit lies between the two bounds, or there is nothing to measure on."""


class GateRule(Document):
    """One rule of the policy on one finding, subgroup or number."""

    rule: str
    """Key of the policy."""
    of: str
    """Finding, subgroup or number that it is about."""
    limit: float
    measured: float | None
    low: float | None = None
    """One-sided bounds, each with the rule's confidence; null where there is none."""
    high: float | None = None
    confidence: float | None = None
    outcome: GateOutcome
    films_needed: int | None = None
    """Films of the same kind that would decide in 80 % of cases if the measured number is the true
    one; null where the rule is decided, or no number would."""
    words: str


class FlipExample(Document):
    """A film that the two bundles call differently."""

    image_id: str
    old: float
    """Probability by the old bundle, as is the next by the new one."""
    new: float
    gained: bool
    """Whether the new bundle calls it and the old one does not."""
    truth: bool | None = None
    """What the labels say; null without a label."""
    film: str = ""
    """Its preview, relative to the new bundle's folder of results; may be empty."""


class FindingFlips(Document):
    """Films that the two bundles call differently, one finding."""

    films: int
    """Films that both bundles call, each at its own operating point."""
    uncalled: int
    """Films that only one of the two can call, for want of an operating point."""
    gained: int
    """Negative by the old bundle, positive by the new one."""
    lost: int
    """Positive by the old bundle, negative by the new one."""
    share: Interval
    """Mean over patients of the share of their films that flipped."""
    threshold_old: float | None = None
    """Operating point of the old bundle, and of the new one; null where there is none."""
    threshold_new: float | None = None
    examples: tuple[FlipExample, ...] = ()


class FindingChange(Document):
    """Changes of one finding against the labels, the new bundle less the old one."""

    n: int
    positives: int
    positive_patients: int
    found: int
    """Films with the finding that the new bundle alone calls positive."""
    missed: int
    """Films with the finding that the old bundle alone calls positive."""
    sensitivity: Interval
    """Change by patient, with its exact paired interval."""
    alarmed: int
    """Films without the finding that the new bundle alone calls positive."""
    cleared: int
    """Films without the finding that the old bundle alone calls positive."""
    specificity: Interval
    auroc_old: Interval
    auroc_new: Interval
    auroc: Interval
    """Change of the AUROC."""
    brier: Interval
    """Change of the mean squared error; below 0 is better."""
    o_e_old: Interval
    """Observed / expected positives; 1 is calibrated on average."""
    o_e_new: Interval


class GroupChange(Document):
    """Changes in one subgroup of films."""

    attribute: str
    group: str
    films: int
    patients: int
    findings_counted: int
    """Findings with 20 positive films or more here; the AUROC is their mean."""
    auroc: Interval
    flips: Interval
    """Share of films with a call that flipped, by patient."""


class RuleOutChange(Document):
    """Films ruled out by each bundle's own rule."""

    films: int
    old: int
    """Films that the old bundle rules out, as are the next by the new one and by both."""
    new: int
    both: int
    change: Interval
    """Share ruled out, the new bundle less the old one."""
    old_bound: str
    """What each rule bounds, in words; says so where the bundle has no rule."""
    new_bound: str


class ServedChange(Document):
    """What serving costs: films without a score, time and heatmaps."""

    inputs: int
    """Inputs that both bundles were given, paired by their bytes."""
    unscored_old: int
    unscored_new: int
    newly_unscored: int
    """Inputs that the old bundle scores and the new one does not."""
    reasons: dict[str, int]
    """Reason codes of those, counted."""
    seconds_old: float | None
    """Seconds a film, on this machine; null where the films were scored before."""
    seconds_new: float | None
    network_bytes_old: int
    network_bytes_new: int
    maps: int
    """Heatmaps that both bundles drew of one finding on one film."""
    overlap: Interval
    """Mean share of a heatmap's weight that both have in place: 1 for equal maps, 0 for none."""


class CarryOver(Document):
    """Something that belongs to the old bundle, and whether the new one may use it."""

    what: str
    old: str
    """Hash that it is bound to."""
    new: str
    """Hash that it would have to be bound to."""
    carries_over: bool
    words: str
    """What must be fitted anew, how, and on how many films."""


class UpgradeBundle(Document):
    """One of the two bundles."""

    name: str
    id: str
    bond: str
    """Hash of network, calibrator and operating points."""
    precision: str


class Upgrade(Document):
    """upgrade.json: two bundles on the same films."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    old: UpgradeBundle
    new: UpgradeBundle
    films: SplitFacts
    """Films that both bundles scored."""
    labels: str
    """Source of the labels; empty without."""
    synthetic: bool = False
    findings: tuple[str, ...]
    """Findings that both bundles have."""
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    flips: dict[str, FindingFlips]
    changes: dict[str, FindingChange] = {}
    macro_auroc: Interval | None = None
    """Mean change of the AUROC over findings with 20 positive films or more."""
    groups: tuple[GroupChange, ...] = ()
    rule_out: RuleOutChange | None = None
    served: ServedChange
    fit_anew: tuple[CarryOver, ...]
    rules: tuple[GateRule, ...] = ()
    policy_sha256: str = ""
    """SHA-256 of the policy file's bytes; empty without one."""
    verdict: GateVerdict
    words: str
    """The verdict in a sentence."""
    look: int | None = None
    """Number of this look at these labeled films in the ledger beside the result."""
    interval: str
    notes: tuple[str, ...] = ()
