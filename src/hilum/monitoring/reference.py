"""A reference: what days of a bundle's films look like, and how far they stray by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.watch import (
    WatchedQuantity,
    WatchLimits,
    WatchReference,
    WatchStratum,
)
from hilum.domain.errors import UsageError
from hilum.monitoring.channels import (
    OTHER,
    PatientSums,
    channel_values,
    channels_of,
    counted_by,
    quantities_of,
)
from hilum.monitoring.days import (
    SIZES,
    DayLimits,
    SlowLimits,
    SlowSums,
    allowance_of,
    day_limits,
    drawn_days,
    slow_limits,
    spreads,
    z_of,
)
from hilum.monitoring.films import CORRECTED, WatchedFilms
from hilum.monitoring.performance import estimated_performance

__all__ = [
    "ALL_DAYS",
    "WEEKDAYS",
    "ReferenceRequest",
    "alarmed_days",
    "fit_reference",
    "weekday_of",
]

ALL_DAYS = "all"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FEWEST_PATIENTS = 200
_RAREST, _OFTENEST = 0.001, 0.2
_WEEKS = 8
_NOT_WATCHED = (
    "bits of the file and time a film: results do not hold them",
    "pooled features (Mahalanobis, MMD): results hold no embeddings",
)
_NO_READINGS = "agreement with readers: no readings were given"

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ReferenceRequest:
    """What a reference is fitted for.

    Attributes:
        date: day of the fit, YYYY-MM-DD.
        false_alarms: alarms a day that undisturbed films may raise, of all quantities together.
        every: films of a day where no dates are known.
        seed: of the drawn days.
        drawn: days to draw of each size; with 20,000, what one of a thousand exceeds rests on
            twenty of them.
        deals: deals of patients into halves, to try the rate on patients held back.
        model, bundle, bond, precision, rule_sha256, gate_sha256: of the bundle that scored the
            films.

    Raises:
        UsageError: for a rate or size that cannot be.
    """

    date: str
    false_alarms: float = 0.01
    every: int = 200
    seed: int = 0
    drawn: int = 20_000
    deals: int = 4
    model: str = ""
    bundle: str = ""
    bond: str = ""
    precision: str = ""
    rule_sha256: str = ""
    gate_sha256: str = ""

    def __post_init__(self) -> None:
        if not _RAREST <= self.false_alarms <= _OFTENEST:
            raise UsageError(
                f"false alarms must be between 1/1000 and 1/5 a day; got {self.false_alarms:g} "
                "(--false-alarms). Use a rate such as 1/100d"
            )
        if self.every < 1:
            raise UsageError(f"a day must have a film or more; got {self.every} (--every)")


def fit_reference(
    films: WatchedFilms,
    request: ReferenceRequest,
    advance: Callable[[str, int, int], None] | None = None,
) -> WatchReference:
    """Fit a reference: distributions, and limits with a chosen rate of false alarms.

    Half of the rate goes to the daily test, half to the cumulative sums. The rate is then tried on
    patients held back: the limits of one half of the patients on days of the other half, both
    ways, as many times as there are deals.

    Args:
        films: of an undisturbed period.
        request: whose films, and the rate.
        advance: called with (what, done, total).

    Raises:
        UsageError: for too few patients.
    """
    patients = films.patient_count
    if patients < FEWEST_PATIENTS:
        raise UsageError(
            f"a reference needs {FEWEST_PATIENTS} patients or more; these results have "
            f"{patients}. Predict more films, or give results of a longer time"
        )
    rng = np.random.default_rng(request.seed)
    quantities = quantities_of(films)
    values = channel_values(films, quantities)
    names, strata = _strata(films, values)
    typical = _typical(films, request)
    sizes = sorted({size for size in SIZES if size <= patients // 4} | {typical})
    residuals = [sums.residuals(sums.centers) for sums in strata]
    limits, slow = _limits(residuals, sizes, typical, request, rng, advance)
    share, days = _held_back(strata[0], typical, request, rng)
    return WatchReference(
        model=request.model,
        bundle=request.bundle,
        bond=request.bond,
        precision=request.precision,
        rule_sha256=request.rule_sha256,
        gate_sha256=request.gate_sha256,
        films=len(films),
        patients=patients,
        sites=_sites(quantities),
        first_day=min(films.days.tolist()),
        last_day=max(films.days.tolist()),
        date=request.date,
        seed=request.seed,
        false_alarms=request.false_alarms,
        day_patients=typical,
        quantities=quantities,
        channels=channels_of(quantities),
        strata=tuple(
            _stratum(name, films, sums, rows)
            for (name, rows), sums in zip(names, strata, strict=True)
        ),
        daily=tuple(
            WatchLimits(patients=one.patients, tails=one.tails.document(), limit=one.limit)
            for one in limits
        ),
        slow=slow.tails.document(),
        slow_limit=slow.limit,
        slow_allowance=slow.allowance,
        held_back=share,
        held_back_days=days,
        performance=estimated_performance(films, request.seed),
        not_watched=_NOT_WATCHED if CORRECTED in films.flags else (*_NOT_WATCHED, _NO_READINGS),
        notes=_notes(films, names),
    )


def _limits(
    residuals: Sequence[Numbers],
    sizes: Sequence[int],
    typical: int,
    request: ReferenceRequest,
    rng: np.random.Generator,
    advance: Callable[[str, int, int], None] | None,
) -> tuple[list[DayLimits], SlowLimits]:
    """Return the daily limits of each size of day, and the slow ones of a typical day."""
    half = request.false_alarms / 2
    fewest = min(len(one) for one in residuals)
    limits: list[DayLimits] = []
    slow: SlowLimits | None = None
    for done, size in enumerate(sizes):
        if advance is not None:
            advance("drawing days", done, len(sizes))
        drawn = drawn_days(residuals, size, request.drawn, rng)
        limits.append(day_limits(drawn, size, half))
        if size == typical:
            slow = slow_limits(drawn, half, allowance_of(typical, fewest), rng)
    if slow is None:
        raise AssertionError("the typical size is one of the sizes")
    return limits, slow


def weekday_of(day: str) -> str:
    """Return the weekday of a day.

    >>> weekday_of("2026-11-30")
    'Mon'
    """
    return WEEKDAYS[int((np.datetime64(day, "D").astype(int) + 3) % 7)]


def _sites(quantities: Sequence[WatchedQuantity]) -> tuple[str, ...]:
    found = [one.categories for one in quantities if one.name == "site"]
    return tuple(name for name in found[0] if name != OTHER) if found else ()


def _strata(
    films: WatchedFilms, values: Numbers
) -> tuple[list[tuple[str, NDArray[np.intp]]], list[PatientSums]]:
    """Return the kinds of day with their films, and what their patients add.

    Weekdays are kinds of their own where there are eight weeks and enough patients of each.
    """
    everything = np.arange(len(films))
    kinds = [(ALL_DAYS, everything)]
    dated = bool((films.days != "").all())
    if dated:
        weekday = np.array([weekday_of(day) for day in films.days])
        span = np.datetime64(max(films.days.tolist())) - np.datetime64(min(films.days.tolist()))
        own = [(name, np.flatnonzero(weekday == name)) for name in WEEKDAYS]
        own = [(name, rows) for name, rows in own if rows.size]
        many = all(np.unique(films.patients[rows]).size >= FEWEST_PATIENTS for _, rows in own)
        if span >= np.timedelta64(7 * _WEEKS - 1, "D") and many and len(own) > 1:
            kinds = own
    sums: list[PatientSums] = []
    for _, rows in kinds:
        _, patients = np.unique(films.patients[rows], return_inverse=True)
        sums.append(counted_by(values[rows], patients.astype(np.intp)))
    return kinds, sums


def _stratum(
    name: str, films: WatchedFilms, sums: PatientSums, rows: NDArray[np.intp]
) -> WatchStratum:
    centers = sums.centers
    return WatchStratum(
        name=name,
        films=int(rows.size),
        patients=int(np.unique(films.patients[rows]).size),
        centers=tuple(np.round(centers, 6).tolist()),
        spreads=tuple(np.round(spreads(sums.residuals(centers)), 6).tolist()),
    )


def _typical(films: WatchedFilms, request: ReferenceRequest) -> int:
    """Return the patients of a typical day: of the median day, or of so many films."""
    patients = films.patient_count
    if (films.days != "").all():
        seen = {*zip(films.days.tolist(), films.patients.tolist(), strict=True)}
        _, counts = np.unique([day for day, _ in seen], return_counts=True)
        typical = int(np.median(counts))
    else:
        typical = round(request.every * patients / len(films))
    return int(np.clip(typical, SIZES[0], patients // 4))


def _held_back(
    sums: PatientSums, size: int, request: ReferenceRequest, rng: np.random.Generator
) -> tuple[Interval, int]:
    """Return the share of alarmed days of patients that the limits were not made of.

    The interval is that of as many days as one deal has: the deals share their patients.
    """
    count, rate = len(sums.values), request.false_alarms
    alarms = days = 0
    for _ in range(request.deals):
        order = rng.permutation(count)
        halves = (order[: count // 2], order[count // 2 :])
        for own, other in (halves, halves[::-1]):
            fitted = sums.of(own)
            centers = fitted.centers
            residuals = fitted.residuals(centers)
            drawn = drawn_days([residuals], size, request.drawn // 4, rng)
            daily = day_limits(drawn, size, rate / 2)
            slow = slow_limits(drawn, rate / 2, allowance_of(size, len(own)), rng)
            many = len(other) // size
            apart = sums.of(other[: many * size]).residuals(centers)
            z = z_of(apart.reshape(many, size, -1).sum(axis=1), size, spreads(residuals))
            alarms += len(alarmed_days(z, daily, slow))
            days += many
    n = max(days // request.deals, 1)
    return _binomial(alarms / request.deals, n), n


def alarmed_days(z: Numbers, daily: DayLimits, slow: SlowLimits) -> list[int]:
    """Return the days of a stream on which either test alarms; the sums begin anew after theirs.

    Args:
        z: (days, channels) of the stream, in its order.
        daily: limits of one day of that size.
        slow: limits of the sums of such days.
    """
    sums = SlowSums(z.shape[1:], slow.allowance)
    early = daily.tails.scores(z, -z).max(axis=1) > daily.limit
    found: list[int] = []
    for day, now in enumerate(z):
        sums.add(now)
        late = slow.tails.scores(sums.up, sums.down).max() > slow.limit
        if late:
            sums = SlowSums(z.shape[1:], slow.allowance)
        if late or early[day]:
            found.append(day)
    return found


def _binomial(events: float, n: int) -> Interval:
    """Return a share with its exact binomial interval."""
    from scipy.special import betaincinv

    low = float(betaincinv(events, n - events + 1, 0.025)) if events else 0.0
    high = float(betaincinv(events + 1, n - events, 0.975)) if events < n else 1.0
    return Interval(value=events / n, low=low, high=high)


def _notes(films: WatchedFilms, kinds: Sequence[tuple[str, NDArray[np.intp]]]) -> tuple[str, ...]:
    notes = [
        "logits are those of the calibrated probabilities: results hold no others",
        "a day is drawn as whole patients with all their films; films of one patient are weighted "
        "down",
    ]
    if len(kinds) > 1:
        notes.append("each weekday has its own centers: " + ", ".join(name for name, _ in kinds))
    else:
        notes.append("weekdays are not separated: that needs dates of eight weeks or more")
    unknown = [name for name, words in films.words.items() if not (words != "").any()]
    if unknown:
        notes.append(f"not known of any film: {', '.join(unknown)}")
    grays = [values for name, values in films.numbers.items() if name.startswith("gray ")]
    if all(np.isnan(values).all() for values in grays):
        notes.append("gray levels are not watched: these results are of an older hilum")
    return tuple(notes)
