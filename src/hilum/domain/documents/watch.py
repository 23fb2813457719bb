"""A reference of what a bundle sees, and a check of later films against it. No labels are used."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document, Interval
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "WATCH",
    "WATCH_REFERENCE",
    "AlarmKind",
    "DayVerdict",
    "EstimatedPerformance",
    "QuantityKind",
    "WatchAlarm",
    "WatchCheck",
    "WatchDay",
    "WatchLimits",
    "WatchReference",
    "WatchState",
    "WatchStratum",
    "WatchTails",
    "WatchedChannel",
    "WatchedQuantity",
]

WATCH_REFERENCE = "watch_reference.json"
"""File name of a reference."""
WATCH = "watch.json"
"""File name of a check."""


class QuantityKind(StrEnum):
    """What a watched quantity is of a film."""

    NUMBER = "number"
    WORD = "word"
    FLAG = "flag"


class WatchedQuantity(Document):
    """One watched quantity with its distribution in the reference, films of one patient together.

    A number has a histogram: `shares` below the first of `edges`, at it, between it and the second,
    and so on. A word has its `categories`, of which rare ones are one, and their shares. A flag has
    one share.
    """

    name: str
    kind: QuantityKind
    known: float
    """Share of the films of which it is known."""
    mean: float | None = None
    """Mean of a number; else None."""
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    """Shares of the films of which it is known."""


class WatchedChannel(Document):
    """One aspect of a quantity, as a number in [0, 1] of each film, with a limit of its own.

    Aspects of a number: `level`, its rank in the reference; `spread`, the distance of that rank
    from the middle; `low` and `high`, whether it is beyond nearly all of the reference; and of a
    finding's logit `expected`, its probability. Of a word: each category. Of a flag: `share`.
    """

    quantity: str
    aspect: str


class WatchTails(Document):
    """Where each channel's tails begin, exceeded by 1 % of drawn days, and how fast they fall."""

    up_at: tuple[float, ...]
    up_scale: tuple[float, ...]
    down_at: tuple[float, ...]
    down_scale: tuple[float, ...]


class WatchLimits(Document):
    """Limits of the daily test for days of some patients."""

    patients: int
    tails: WatchTails
    limit: float
    """Limit of the largest score of all channels; a score is about -log10 of a share of days."""


class WatchStratum(Document):
    """Centers of the channels on some days: all, or those of a weekday."""

    name: str
    """`all`, or a weekday such as "Mon"."""
    films: int
    patients: int
    centers: tuple[float, ...]
    spreads: tuple[float, ...]
    """Root mean square of what one patient adds to a day's sum."""


class WatchReference(Document):
    """watch_reference.json: sums, histograms and limits. No film and no patient is in it."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    bundle: str
    """Short id of the bundle that scored the films."""
    bond: str
    """Hash of network, preprocessing, precision, calibrator and thresholds."""
    precision: str
    rule_sha256: str = ""
    """Hash of the bundle's rule-out rule; empty where it has none."""
    gate_sha256: str = ""
    """Hash of the rules of the bundle's gate; empty in references of an older hilum."""
    films: int
    patients: int
    sites: tuple[str, ...] = ()
    """Sites with enough patients; empty where none is known."""
    first_day: str = ""
    last_day: str = ""
    """Days of the first and last film, YYYY-MM-DD; empty where no dates are known."""
    date: str
    """Day of the fit."""
    seed: int
    false_alarms: float
    """Alarms a day of undisturbed films that the limits allow, of all quantities together."""
    day_patients: int
    """Patients of a typical day."""
    quantities: tuple[WatchedQuantity, ...]
    channels: tuple[WatchedChannel, ...]
    strata: tuple[WatchStratum, ...]
    daily: tuple[WatchLimits, ...]
    slow: WatchTails
    slow_limit: float
    """Limit of the largest score of the cumulative sums."""
    slow_allowance: float
    """What a day may stray, in standard errors, before a cumulative sum grows."""
    held_back: Interval
    """Share of days of patients who had no part in the limits that alarmed."""
    held_back_days: int
    """Days that no two share a patient; the deal was repeated, each time with as many."""
    performance: tuple[EstimatedPerformance, ...] = ()
    not_watched: tuple[str, ...]
    """What is not in the results, and so is not watched."""
    notes: tuple[str, ...] = ()


class AlarmKind(StrEnum):
    """The test that alarmed."""

    DAILY = "daily"
    """This day alone is beyond what drawn days are."""
    SLOW = "slow"
    """The days since together are."""


class DayVerdict(StrEnum):
    """Outcome of a day."""

    QUIET = "no alarm"
    ALARM = "alarm"
    TOO_FEW = "too few patients"
    """Its films count with those of the next day."""


class WatchDay(Document):
    """One day, or one lot of films."""

    name: str
    films: int
    patients: int
    verdict: DayVerdict
    with_earlier: int = 0
    """Films of earlier days that were too small, which count here."""
    score: float | None = None
    limit: float | None = None
    slow_score: float | None = None
    slow_limit: float | None = None


class WatchAlarm(Document):
    """What moved, by how much, since when, and what that does to calibration and rules."""

    day: str
    kind: AlarmKind
    since: str
    """First day of the change as this test sees it."""
    quantity: str
    aspect: str
    score: float
    limit: float
    reference: float
    now: float
    """The same number on the films since."""
    words: str
    """What moved, in a sentence."""
    effect: str
    """What it does to calibration and rules."""
    films: tuple[str, ...] = ()
    """Films that show it best; none where what is gone cannot be shown."""


class EstimatedPerformance(Document):
    """Performance on films without labels, as it would be if the probabilities were right.

    It follows from the probabilities alone (CBPE): it holds if they are calibrated on these films
    and findings look as they did. It cannot see that either has changed.
    """

    finding: str
    films: int
    patients: int
    prevalence: Interval
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    auroc: Interval


class WatchState(Document):
    """Where the slow test stands after the last day, so that a later check can go on from here."""

    day: str
    """Last day that was held against the limits."""
    up: tuple[float, ...]
    """Cumulative sum of each channel, upward."""
    down: tuple[float, ...]
    """Cumulative sum of each channel, downward."""
    since_up: tuple[str, ...]
    """Day on which each sum began to grow; empty where it is 0."""
    since_down: tuple[str, ...]


class WatchCheck(Document):
    """watch.json: later films against a reference."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    reference_sha256: str
    """Seal of the reference."""
    model: str
    bundle: str
    bond: str
    films: int
    patients: int
    false_alarms: float
    days: tuple[WatchDay, ...]
    alarms: tuple[WatchAlarm, ...]
    rule_void: bool
    """Whether a rule-out rule no longer holds: then refer every film."""
    rule_sha256: str = ""
    performance: tuple[EstimatedPerformance, ...]
    quantities: tuple[WatchedQuantity, ...]
    """Distributions over all films of the check, in the reference's bins."""
    reference_quantities: tuple[WatchedQuantity, ...]
    state: WatchState | None = None
    """Where the slow test stands; None in a check of an older hilum, or without a counted day."""
    notes: tuple[str, ...] = ()
