"""How far days stray by chance: days drawn as whole patients, and streams of such days.

A day is some patients with all their films. For each channel a patient adds a residual: the sum
over the patient's films of weight times (value - center). The day's number is

    z = sum of residuals / (spread * sqrt(patients)),

about standard normal for many patients, and far from it for what is rare. So limits are not taken
from a normal table: days are drawn, each channel's tail is measured, and one limit for the largest
of all channels is set so that the share of drawn days above it is the requested one. The reference
is a sample too: its error is drawn as well, and all days of a stream share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.watch import WatchTails

__all__ = [
    "CLIP",
    "SIZES",
    "DayLimits",
    "DrawnDays",
    "SlowLimits",
    "SlowSums",
    "Tails",
    "allowance_of",
    "day_limits",
    "drawn_days",
    "limits_for",
    "slow_limits",
    "spreads",
    "z_of",
]

SIZES = (15, 30, 60, 120, 240, 480)
"""Patients a day that limits are measured for; those of a day between two lie between theirs."""
_ALLOWANCE, _OF_REFERENCE = 0.5, 1.5
"""What a day may stray, in z, before a cumulative sum grows: half the shift that is sought, and so
many standard errors of the reference, which would else add up from day to day."""
CLIP = 4.0
"""Largest z that a single day adds to a cumulative sum: one odd day is the daily test's matter."""
REFERENCES = 200
"""Drawn references, each with the error that the reference itself may have."""
_FEWEST = 2.0 / 3.0
"""Smallest standard error of a day's sum, in films: with less, two films of a rare kind alarm."""
_TAIL = 0.01
_LEAST_AT, _LEAST_SCALE = 1.5, 0.25
_BLOCK = 2_000_000
"""Numbers in memory at once."""
_HALVINGS = 11
_SETTLING = 30
"""Days after which a sum that began at 0 strays as far as it will: they count for no limit."""

Numbers = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Tails:
    """Tails of each channel's number, by which channels become comparable.

    Beyond `at`, which 1 % of days exceed, the share falls by a factor of e each `scale`.

    Attributes:
        up_at, up_scale, down_at, down_scale: (J,) of large and of small numbers.
    """

    up_at: Numbers
    up_scale: Numbers
    down_at: Numbers
    down_scale: Numbers

    @classmethod
    def measured(cls, ups: Singles, downs: Singles) -> Self:
        """Measure the upper tails of (D, J) drawn numbers, and of what stands for small ones."""
        return cls(*_tail(ups), *_tail(downs))

    @classmethod
    def read(cls, document: WatchTails) -> Self:
        """Return the tails of a document."""
        return cls(*(np.array(values) for values in document.model_dump().values()))

    def document(self) -> WatchTails:
        """Return the tails as a document."""
        ends = (tuple(np.round(end, 4).tolist()) for end in self.all())
        return WatchTails.model_validate(dict(zip(WatchTails.model_fields, ends, strict=True)))

    def all(self) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Return the four arrays, in the order of the fields."""
        return self.up_at, self.up_scale, self.down_at, self.down_scale

    def scores(self, ups: NDArray[np.floating], downs: NDArray[np.floating]) -> Numbers:
        """Return how rare numbers are, about -log10 of the share of days beyond.

        >>> tails = Tails(*(np.array([x]) for x in (2.0, 0.5, 2.0, 0.5)))
        >>> z = np.array([[0.0], [2.0], [-2.0]])
        >>> tails.scores(z, -z)[:, 0].tolist()
        [0.0, 2.0, 2.0]
        """
        return np.maximum(
            _score(ups, self.up_at, self.up_scale), _score(downs, self.down_at, self.down_scale)
        )

    def ends(self, limit: float) -> tuple[Singles, Singles]:
        """Return the numbers at which each channel's score is a limit, of both tails."""
        pairs = ((self.up_at, self.up_scale), (self.down_at, self.down_scale))
        up, down = (
            at + (limit - 2) * scale * np.log(10) if limit >= 2 else at * limit / 2
            for at, scale in pairs
        )
        return up.astype(np.float32), down.astype(np.float32)


@dataclass(frozen=True, eq=False)
class DayLimits:
    """Limits of the daily test for one size of day.

    Attributes:
        patients: the size.
        tails: of each channel.
        limit: of the largest score of all channels.
    """

    patients: int
    tails: Tails
    limit: float


@dataclass(frozen=True, eq=False)
class SlowLimits:
    """Limits of the cumulative sums.

    Attributes:
        tails: of each channel's two sums.
        limit: of the largest score of all channels.
        allowance: of the sums.
    """

    tails: Tails
    limit: float
    allowance: float


@dataclass(frozen=True, eq=False)
class DrawnDays:
    """Days of drawn patients, and errors of drawn references.

    Attributes:
        numbers: (D, J) numbers of the days.
        stratum: (D,) which kind of day each is, such as a weekday.
        errors: (S, R, J) what the error of each drawn reference adds, by kind of day.
        ratios: (S, R, J) the factor that the error of its spread makes.
    """

    numbers: Singles
    stratum: NDArray[np.intp]
    errors: Singles
    ratios: Singles

    def seen_by(self, rows: NDArray[np.intp], references: NDArray[np.intp]) -> Singles:
        """Return (n, J) numbers of days as drawn references see them."""
        place = (self.stratum[rows], references)
        return (self.numbers[rows] + self.errors[place]) * self.ratios[place]


class SlowSums:
    """Cumulative sums of each channel, upward and downward.

    Args:
        shape: (J,), or (R, J) for several streams.
        allowance: what a day may stray, in z, before a sum grows.
    """

    def __init__(self, shape: tuple[int, ...], allowance: float) -> None:
        self._allowance = np.float32(allowance)
        self.up = np.zeros(shape, np.float32)
        self.down = np.zeros(shape, np.float32)

    def add(self, z: NDArray[np.floating]) -> None:
        """Add a day; no sum is ever below 0.

        >>> sums = SlowSums((1,), 0.5)
        >>> sums.add(np.array([2.0]))
        >>> float(sums.up[0]), float(sums.down[0])
        (1.5, 0.0)
        """
        kept = np.clip(z, -CLIP, CLIP).astype(np.float32)
        zero = np.float32(0.0)
        self.up = np.maximum(self.up + kept - self._allowance, zero)
        self.down = np.maximum(self.down - kept - self._allowance, zero)


def spreads(residuals: Numbers) -> Numbers:
    """Return (J,) root mean squares of (M, J) residuals, which have mean 0."""
    return np.sqrt(np.mean(residuals**2, axis=0))


def z_of(sums: Numbers, patients: Numbers | int, spread: Numbers) -> Numbers:
    """Return the numbers of days: (D, J) from sums of residuals.

    Args:
        sums: (D, J).
        patients: of each day, or (D, 1) of the days.
        spread: (J,) of a patient.
    """
    return sums / np.maximum(spread * np.sqrt(patients), _FEWEST)


def drawn_days(
    strata: Sequence[Numbers], patients: int, days: int, rng: np.random.Generator
) -> DrawnDays:
    """Draw days of whole patients, as many of each kind, and references.

    Args:
        strata: of each kind of day (M, J) residuals of its patients, centered.
        patients: of a day.
        days: to draw.
        rng: source of randomness.
    """
    each = -(-days // len(strata))
    numbers, errors, ratios = zip(
        *(_drawn(residuals, patients, each, rng) for residuals in strata), strict=True
    )
    stratum = np.repeat(np.arange(len(strata)), each)
    return DrawnDays(np.concatenate(numbers), stratum, np.stack(errors), np.stack(ratios))


def _drawn(
    residuals: Numbers, patients: int, days: int, rng: np.random.Generator
) -> tuple[Singles, Singles, Singles]:
    spread = spreads(residuals)
    scale = np.maximum(spread * np.sqrt(patients), _FEWEST)
    scaled = (residuals / scale).astype(np.float32)
    count, width = scaled.shape
    numbers = np.empty((days, width), np.float32)
    step = max(1, _BLOCK // (patients * width))
    for first in range(0, days, step):
        last = min(first + step, days)
        chosen = rng.integers(0, count, (last - first, patients))
        numbers[first:last] = scaled[chosen].sum(axis=1)
    times = rng.multinomial(count, np.full(count, 1.0 / count), REFERENCES).astype(np.float32)
    share = np.float32(patients / count)
    error = -(times @ scaled) * share
    own = scale * np.sqrt((times @ scaled**2) * share)
    return numbers, error, (scale / np.maximum(own, _FEWEST)).astype(np.float32)


def day_limits(drawn: DrawnDays, patients: int, rate: float) -> DayLimits:
    """Measure the limits of the daily test for days of a size.

    Args:
        drawn: days of that size.
        patients: the size.
        rate: share of undisturbed days that may be above the limit.
    """
    tails = Tails.measured(drawn.numbers, -drawn.numbers)
    days = len(drawn.numbers)
    step = max(1, _BLOCK // drawn.numbers.shape[1])
    largest: list[Numbers] = []
    for first in range(0, days, step):
        rows = np.arange(first, min(first + step, days))
        seen = drawn.seen_by(rows, rows % REFERENCES)
        largest.append(tails.scores(seen, -seen).max(axis=1))
    return DayLimits(patients, tails, float(np.quantile(np.concatenate(largest), 1.0 - rate)))


def limits_for(patients: int, measured: Sequence[DayLimits]) -> DayLimits:
    """Return the limits of a day, between those of the two sizes around it.

    Numbers of days are skewed by about 1 / sqrt(patients), so sizes are compared on that scale.
    Limits of the next smaller size would not do: on drawn days of 57 patients those of 30 alarmed
    on 0.0189 where 0.005 were requested, those between 30 and 60 on 0.0066.

    Args:
        patients: of the day.
        measured: in order of size; outside of them the nearest counts.

    >>> ends = [np.array([x]) for x in (2.0, 0.5, 2.0, 0.5)]
    >>> two = [DayLimits(25, Tails(*ends), 4.0), DayLimits(100, Tails(*ends), 5.0)]
    >>> [round(limits_for(n, two).limit, 2) for n in (16, 44, 400)]
    [4.0, 4.49, 5.0]
    """
    above = next((k for k, one in enumerate(measured) if one.patients >= patients), -1)
    last = measured[above]
    if above <= 0 or last.patients == patients:
        return last
    first = measured[above - 1]
    start, end, here = (n**-0.5 for n in (first.patients, last.patients, patients))
    share = (start - here) / (start - end)

    def between(one: Numbers, other: Numbers) -> Numbers:
        return one + share * (other - one)

    pairs = zip(first.tails.all(), last.tails.all(), strict=True)
    tails = Tails(*(between(one, other) for one, other in pairs))
    return DayLimits(patients, tails, first.limit + share * (last.limit - first.limit))


def allowance_of(patients: int, reference: int) -> float:
    """Return the allowance of the sums for days of some patients.

    Args:
        patients: of a day.
        reference: patients of the reference.

    >>> round(allowance_of(57, 6187), 2), round(allowance_of(144, 1183), 2)
    (0.64, 1.02)
    """
    return _ALLOWANCE + _OF_REFERENCE * (patients / reference) ** 0.5


def slow_limits(
    drawn: DrawnDays, rate: float, allowance: float, rng: np.random.Generator
) -> SlowLimits:
    """Measure the limits of the cumulative sums on streams of drawn days.

    After an alarm a stream's sums begin anew.

    Args:
        drawn: days of a typical size.
        rate: alarms a day of undisturbed streams.
        allowance: of the sums.
        rng: source of randomness.
    """
    steps = _SETTLING + int(np.clip(100.0 / (rate * REFERENCES), 120, 600))
    order = rng.integers(0, len(drawn.numbers), (steps, REFERENCES))
    references = np.arange(REFERENCES)
    seen = [drawn.seen_by(rows, references) for rows in order]
    tails = _settled(seen, allowance)
    low, high = 1.0, 12.0
    for _ in range(_HALVINGS):
        limit = (low + high) / 2
        often = _alarms(seen, SlowLimits(tails, limit, allowance)) > rate
        low, high = (limit, high) if often else (low, limit)
    return SlowLimits(tails, (low + high) / 2, allowance)


def _settled(seen: Sequence[Singles], allowance: float) -> Tails:
    """Measure the tails of sums that are never begun anew."""
    sums = SlowSums(seen[0].shape, allowance)
    ups: list[Singles] = []
    downs: list[Singles] = []
    for at, z in enumerate(seen):
        sums.add(z)
        if at >= _SETTLING and at % 3 == 0:
            ups.append(sums.up)
            downs.append(sums.down)
    return Tails.measured(np.concatenate(ups), np.concatenate(downs))


def _alarms(seen: Sequence[Singles], slow: SlowLimits) -> float:
    """Return the alarms a day of the streams at limits."""
    sums = SlowSums(seen[0].shape, slow.allowance)
    up_end, down_end = slow.tails.ends(slow.limit)
    count = 0
    for at, z in enumerate(seen):
        sums.add(z)
        alarmed = (sums.up > up_end).any(axis=1) | (sums.down > down_end).any(axis=1)
        count += int(alarmed.sum()) if at >= _SETTLING else 0
        sums.up[alarmed] = 0
        sums.down[alarmed] = 0
    return count / ((len(seen) - _SETTLING) * len(sums.up))


def _tail(values: Singles) -> tuple[Numbers, Numbers]:
    """Return where the upper tail of each column begins, and how fast it falls."""
    many = max(1, round(_TAIL * len(values)))
    largest = -np.partition(-values, many, axis=0)[: many + 1].astype(np.float64)
    at = np.maximum(largest.min(axis=0), _LEAST_AT)
    scale = np.maximum(largest - at, 0.0).mean(axis=0)
    return at, np.maximum(scale, _LEAST_SCALE)


def _score(values: NDArray[np.floating], at: Numbers, scale: Numbers) -> Numbers:
    beyond = 2.0 + (values - at) / (scale * np.log(10))
    return np.where(values > at, beyond, np.maximum(2.0 * values / at, 0.0))
