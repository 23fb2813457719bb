"""Later films against a reference, day by day: what moved, by how much, and since when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.watch import (
    AlarmKind,
    DayVerdict,
    WatchAlarm,
    WatchCheck,
    WatchDay,
    WatchReference,
    WatchState,
    WatchStratum,
)
from hilum.domain.errors import UsageError
from hilum.monitoring.channels import channel_values, channels_of, counted_by, distribution
from hilum.monitoring.days import (
    SIZES,
    DayLimits,
    SlowLimits,
    SlowSums,
    Tails,
    limits_for,
    z_of,
)
from hilum.monitoring.films import WatchedFilms
from hilum.monitoring.performance import ASSUMPTION, estimated_performance
from hilum.monitoring.reference import weekday_of
from hilum.monitoring.words import Change, effect_of, words_of_change

__all__ = ["CheckedDay", "check_films", "days_of"]

_NAMED = 12
"""Channels that one day names, the rarest first; what moves one moves its neighbors."""
_SHOWN = 5
"""Films that an alarm names."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CheckedDay:
    """A day and the rows of its films.

    Attributes:
        name: a date, or a lot of films.
        rows: (n,) of the films.
    """

    name: str
    rows: NDArray[np.intp]


def days_of(films: WatchedFilms, every: int | None, before: int = 0) -> list[CheckedDay]:
    """Return films by day: by date, by lots of so many films, or all as one day.

    A lot has whole patients: it ends once it has the films, and a patient who comes back counts
    with the first lot.

    Args:
        films: in the order of their results.
        every: films of a lot; None for dates, and without dates for one day.
        before: films that were counted before these, from which lots are numbered on.
    """
    if every is None:
        return [
            CheckedDay(name or "all films", np.flatnonzero(films.days == name))
            for name in np.unique(films.days).tolist()
        ]
    order = np.argsort(
        np.unique(films.patients, return_index=True)[1][films.patients], kind="stable"
    )
    counts = np.bincount(films.patients)
    lots: list[CheckedDay] = []
    first = last = 0
    while last < len(order):
        last += int(counts[films.patients[order[last]]])
        if last - first >= every or last == len(order):
            lots.append(
                CheckedDay(f"films {before + first + 1}-{before + last}", order[first:last])
            )
            first = last
    return lots


def check_films(
    films: WatchedFilms,
    days: Sequence[CheckedDay],
    reference: WatchReference,
    reference_sha256: str,
    state: WatchState | None = None,
) -> WatchCheck:
    """Hold days of films against a reference.

    Args:
        films: scored by the reference's bundle.
        days: of these films, in order of time.
        reference: of an earlier period.
        reference_sha256: its seal.
        state: of the check before, from which the slow test goes on; None to begin.

    Raises:
        UsageError: when no day has enough patients, even with those before it, or the films are
            all of one site where the reference has several.
    """
    if films.patient_count < SIZES[0]:
        raise UsageError(
            f"a day needs {SIZES[0]} patients or more; these films are of "
            f"{films.patient_count}. Check more films at a time"
        )
    if channels_of(reference.quantities) != reference.channels:
        raise UsageError(
            "a reference must watch what this hilum watches; its channels are of an older one. "
            "Fit it again with `hilum watch fit`"
        )
    _refuse_one_site(films, reference)
    watch = _Watch(films, reference, state)
    checked = [watch.day(day) for day in days]
    alarms = tuple(watch.alarms)
    notes = [ASSUMPTION]
    few = sum(day.verdict is DayVerdict.TOO_FEW for day in checked)
    if few:
        notes.append(
            f"{few} of {len(checked)} days had fewer than {SIZES[0]} patients; their films count "
            "with the next day"
        )
    notes.append("an alarm says that films or scores changed; it does not say that accuracy fell")
    return WatchCheck(
        reference_sha256=reference_sha256,
        model=reference.model,
        bundle=reference.bundle,
        bond=reference.bond,
        films=len(films),
        patients=films.patient_count,
        false_alarms=reference.false_alarms,
        days=tuple(checked),
        alarms=alarms,
        rule_void=bool(alarms) and bool(reference.rule_sha256),
        rule_sha256=reference.rule_sha256,
        performance=estimated_performance(films, reference.seed),
        quantities=tuple(distribution(one, films) for one in reference.quantities),
        reference_quantities=reference.quantities,
        state=watch.state(),
        notes=(*notes, *(f"not watched: {one}" for one in reference.not_watched)),
    )


def _refuse_one_site(films: WatchedFilms, reference: WatchReference) -> None:
    sites = films.words.get("site")
    if len(reference.sites) < 2:
        return
    if sites is None or not (sites != "").any():
        raise UsageError(
            f"the reference tells {len(reference.sites)} sites apart; these films name none. Give "
            "their table with --films"
        )
    named = np.unique(sites[sites != ""]).tolist()
    if len(named) == 1:
        raise UsageError(
            f"a reference of {len(reference.sites)} sites must be held against films of several; "
            f"these are all of {named[0]}. Fit a reference of that site"
        )


class _Watch:
    """The state of a check from day to day."""

    def __init__(
        self, films: WatchedFilms, reference: WatchReference, state: WatchState | None
    ) -> None:
        self._films = films
        self._reference = reference
        self._values = channel_values(films, reference.quantities)
        self._strata = {one.name: one for one in reference.strata}
        self._daily = [
            DayLimits(one.patients, Tails.read(one.tails), one.limit) for one in reference.daily
        ]
        self._slow = SlowLimits(
            Tails.read(reference.slow), reference.slow_limit, reference.slow_allowance
        )
        width = len(reference.channels)
        self._sums = SlowSums((width,), self._slow.allowance)
        self._since = {end: [""] * width for end in ("up", "down")}
        if state is not None:
            self._sums.up = np.array(state.up, np.float32)
            self._sums.down = np.array(state.down, np.float32)
            self._since = {"up": list(state.since_up), "down": list(state.since_down)}
        self._past: list[CheckedDay] = []
        self._waiting = np.zeros(0, np.intp)
        self.alarms: list[WatchAlarm] = []

    def day(self, day: CheckedDay) -> WatchDay:
        """Hold one day against the limits, and keep what it alarms of."""
        rows = np.concatenate([self._waiting, day.rows])
        _, patients = np.unique(self._films.patients[rows], return_inverse=True)
        count = int(patients.max()) + 1 if rows.size else 0
        own = int(np.unique(self._films.patients[day.rows]).size)
        if count < SIZES[0]:
            self._waiting = rows
            return WatchDay(
                name=day.name, films=day.rows.size, patients=own, verdict=DayVerdict.TOO_FEW
            )
        earlier, self._waiting = self._waiting.size, np.zeros(0, np.intp)
        stratum = self._stratum(day.name)
        centers, spread = np.array(stratum.centers), np.array(stratum.spreads)
        sums = counted_by(self._values[rows], patients.astype(np.intp))
        z = z_of(sums.residuals(centers).sum(axis=0), count, spread)
        self._past.append(CheckedDay(day.name, rows))
        limits = limits_for(count, self._daily)
        score = limits.tails.scores(z, -z)
        slow = self._add(z)
        found = list(self._alarms(score, slow, limits.limit, np.sign(z), centers))
        self.alarms += found
        if any(one.kind is AlarmKind.SLOW for one in found):
            self._sums = SlowSums(z.shape, self._slow.allowance)
            self._since = {end: [""] * z.size for end in ("up", "down")}
        return WatchDay(
            name=day.name,
            films=day.rows.size,
            patients=own,
            verdict=DayVerdict.ALARM if found else DayVerdict.QUIET,
            with_earlier=earlier,
            score=_rounded(score.max()),
            limit=_rounded(limits.limit),
            slow_score=_rounded(slow.max()),
            slow_limit=_rounded(self._slow.limit),
        )

    def state(self) -> WatchState | None:
        """Return where the slow test stands; None before the first day."""
        if not self._past:
            return None
        return WatchState(
            day=self._past[-1].name,
            up=tuple(np.round(self._sums.up.astype(np.float64), 4).tolist()),
            down=tuple(np.round(self._sums.down.astype(np.float64), 4).tolist()),
            since_up=tuple(self._since["up"]),
            since_down=tuple(self._since["down"]),
        )

    def _stratum(self, name: str) -> WatchStratum:
        if len(self._strata) == 1:
            return next(iter(self._strata.values()))
        weekday = weekday_of(name) if name[:1].isdigit() else ""
        if weekday not in self._strata:
            raise UsageError(
                f"the reference has {', '.join(self._strata)} apart; {name} is none of them. Give "
                "the films' dates with --films, or fit a reference that has such days"
            )
        return self._strata[weekday]

    def _add(self, z: Numbers) -> Numbers:
        """Add a day to the cumulative sums; return the scores."""
        self._sums.add(z)
        today = self._past[-1].name
        for end, sums in (("up", self._sums.up), ("down", self._sums.down)):
            self._since[end] = [
                (begun or today) if above else ""
                for begun, above in zip(self._since[end], (sums > 0).tolist(), strict=True)
            ]
        return self._slow.tails.scores(self._sums.up, self._sums.down)

    def _alarms(
        self,
        score: Numbers,
        slow: Numbers,
        limit: float,
        sign: Numbers,
        centers: Numbers,
    ) -> Iterator[WatchAlarm]:
        today = self._past[-1].name
        rising = self._sums.up >= self._sums.down
        since = [
            up if way else down
            for way, up, down in zip(
                rising.tolist(), self._since["up"], self._since["down"], strict=True
            )
        ]
        tests = (
            (AlarmKind.DAILY, score, limit, [today] * len(score), sign),
            (AlarmKind.SLOW, slow, self._slow.limit, since, np.where(rising, 1.0, -1.0)),
        )
        for kind, scores, end, first, way in tests:
            named: set[str] = set()
            for j in np.argsort(-scores, kind="stable"):
                quantity = self._reference.channels[j].quantity
                if scores[j] <= end or len(named) >= _NAMED:
                    break
                if quantity not in named:
                    named.add(quantity)
                    begun = first[j] or today
                    yield self._alarm(
                        kind, int(j), begun, float(way[j]), (float(scores[j]), end), centers
                    )

    def _alarm(
        self,
        kind: AlarmKind,
        channel: int,
        since: str,
        way: float,
        score: tuple[float, float],
        centers: Numbers,
    ) -> WatchAlarm:
        one = self._reference.channels[channel]
        # days before this check's are not at hand: then all of it shows the change
        names = [day.name for day in self._past]
        first = names.index(since) if since in names else 0
        rows = np.concatenate([day.rows for day in self._past[first:]])
        quantity = next(q for q in self._reference.quantities if q.name == one.quantity)
        now = distribution(quantity, self._films.at(rows))
        change = Change.between(quantity, now, one.aspect)
        moved = way * (self._values[rows, channel] - centers[channel])
        order = np.argsort(-np.nan_to_num(moved), kind="stable")[:_SHOWN]
        shown = [rows[k] for k in order if np.isfinite(moved[k]) and moved[k] > 0]
        return WatchAlarm(
            day=self._past[-1].name,
            kind=kind,
            since=since,
            quantity=one.quantity,
            aspect=one.aspect,
            score=_rounded(score[0]),
            limit=_rounded(score[1]),
            reference=change.before,
            now=change.after,
            words=words_of_change(quantity, one.aspect, change),
            effect=effect_of(quantity, self._reference.rule_sha256),
            films=tuple(self._films.names[row] for row in shown),
        )


def _rounded(value: float) -> float:
    return round(float(value), 3)
