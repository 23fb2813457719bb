"""Two orders of one list: the same films, arrivals and reading times, drawn again and again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.worklist import FilmGroup, ListPolicy, WorklistRun
from hilum.domain.errors import UsageError
from hilum.queueing.room import poisson_arrivals, reading_times, turnarounds

__all__ = [
    "ARRIVALS_BY_HOUR",
    "EXAMPLE",
    "ListFilms",
    "Scenario",
    "example_films",
    "simulate",
]

ARRIVALS_BY_HOUR = (
    *(4.0, 3.0, 3.0, 3.0, 4.0, 6.0, 12.0, 22.0, 32.0, 36.0, 36.0, 34.0),
    *(30.0, 32.0, 34.0, 32.0, 26.0, 20.0, 16.0, 13.0, 11.0, 9.0, 7.0, 5.0),
)
"""Films in each hour of a day of the example: 430 a day, most of them from 8 to 16 h."""
_EXAMPLE = {
    # share of films, sensitivity and specificity of the call: round numbers, of no model
    "Pneumothorax": (0.02, 0.85, 0.95),
    "Effusion": (0.12, 0.85, 0.85),
    "Consolidation": (0.08, 0.75, 0.85),
}
_RULED_OUT = (0.30, 0.02)
"""Shares of films without and with a finding that the example's rule rules out."""
EXAMPLE = (
    "invented films: pneumothorax 2 %, effusion 12 %, consolidation 8 %, called with sensitivities "
    "of 0.85, 0.85 and 0.75; 30 % of the films without and 2 % of those with one are ruled out"
)
_FILMS = 20_000
_WARM_UP_DAYS = 1.0
_ALL, _NONE, _RULED = "all films", "none of these findings", "ruled out"


@dataclass(frozen=True, eq=False)
class ListFilms:
    """Films that a day's list is drawn from.

    Attributes:
        source: where they come from, in words.
        present: (N, L) whether a film counts for a finding: by its labels, or as called.
        called: (N, L) whether the model calls it.
        ruled_out: (N,) whether the rule rules it out; None without a rule.
        findings: names of the L.
        times: (N,) minutes of arrival of each film, rising; None to draw films at random.
        synthetic: whether they are drawn.
        notes: what a reader must know.
    """

    source: str
    present: NDArray[np.bool_]
    called: NDArray[np.bool_]
    ruled_out: NDArray[np.bool_] | None
    findings: tuple[str, ...]
    times: NDArray[np.float64] | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """A reading room, and how it is simulated.

    Attributes:
        policy: order of the list.
        first: findings that come first, with the priority policy; none for all.
        readers: at work day and night.
        reading_minutes: mean reading time.
        reading_spread: standard deviation of reading times over their mean.
        by_hour: films expected in each hour of the day, where arrivals are drawn.
        days: of arrivals in each run, after a day that is not measured.
        runs: repetitions, each with arrivals and reading times of its own.
        seed: of all randomness.

    Raises:
        UsageError: for a value out of range.
    """

    policy: ListPolicy = ListPolicy.RULE_OUT_LAST
    first: tuple[str, ...] = ()
    readers: int = 2
    reading_minutes: float = 4.0
    reading_spread: float = 0.8
    by_hour: Sequence[float] = field(default=ARRIVALS_BY_HOUR)
    days: float = 5.0
    runs: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.readers < 1 or self.runs < 2:
            raise UsageError(
                f"a reading room needs a reader, and two runs or more for an interval; got "
                f"{self.readers} readers and {self.runs} runs"
            )
        numbers = (self.reading_minutes, self.days, *self.by_hour)
        if not all(math.isfinite(x) for x in numbers) or min(self.reading_minutes, self.days) <= 0:
            raise UsageError(
                f"reading minutes and days must be greater than 0; got {self.reading_minutes:g} "
                f"minutes and {self.days:g} days"
            )
        if self.reading_spread < 0.0 or min(self.by_hour) < 0.0 or sum(self.by_hour) == 0.0:
            raise UsageError("films must arrive, and spreads and rates must be 0 or more")


def example_films(rng: np.random.Generator) -> ListFilms:
    """Return the films of the example: invented, so that the command runs without any."""
    findings = tuple(_EXAMPLE)
    prevalence, sensitivity, specificity = np.array(list(_EXAMPLE.values())).T
    present = rng.random((_FILMS, len(findings))) < prevalence
    called = rng.random(present.shape) < np.where(present, sensitivity, 1.0 - specificity)
    sick = present.any(axis=1)
    ruled = rng.random(_FILMS) < np.where(sick, _RULED_OUT[1], _RULED_OUT[0])
    return ListFilms(EXAMPLE, present, called, ruled, findings, synthetic=True)


def simulate(films: ListFilms, scenario: Scenario) -> WorklistRun:
    """Simulate a list under a policy and first come, first served, on the same draws.

    Arrivals, films and reading times of a run are drawn once and serve both orders, so that first
    come, first served against itself is exactly 0, and the change is known better than either
    mean. Runs are independent: intervals are of their spread.

    Args:
        films: to draw from.
        scenario: the room.

    Raises:
        UsageError: for a policy that the films cannot follow, or a room that cannot keep up.
    """
    ranks = _ranks(films, scenario)
    busy = _busy(films, scenario)
    if busy >= 1.0:
        raise UsageError(
            f"readers must keep up with the films; {scenario.readers} readers would be busy "
            f"{busy:.0%} of the time. Take more readers, or fewer films"
        )
    numbers: dict[str, list[NDArray[np.float64]]] = {}
    measured = 0.0
    for run in range(scenario.runs):
        rng = np.random.default_rng([scenario.seed, run])
        drawn, came = _arrivals(films, scenario, rng)
        takes = reading_times(len(came), scenario.reading_minutes, scenario.reading_spread, rng)
        plain = turnarounds(came, takes, np.zeros(len(came), np.int8), scenario.readers)
        own = turnarounds(came, takes, ranks[drawn], scenario.readers)
        kept = came >= _warm_up(films)
        measured += int(kept.sum()) / scenario.runs
        for name, inside in _groups(films, drawn).items():
            numbers.setdefault(name, []).append(_numbers(plain, own, inside & kept))
    days = scenario.days if films.times is None else float(np.ptp(films.times)) / 1440.0
    return WorklistRun(
        policy=scenario.policy,
        first=scenario.first,
        source=films.source,
        synthetic=films.synthetic,
        arrivals=_arrivals_in_words(films, scenario),
        films_a_day=measured / days if days else measured,
        readers=scenario.readers,
        reading_minutes=scenario.reading_minutes,
        reading_spread=scenario.reading_spread,
        busy=busy,
        days=days,
        runs=scenario.runs,
        seed=scenario.seed,
        groups=tuple(_group(name, np.array(rows)) for name, rows in numbers.items()),
        interval=f"95 % t intervals over {scenario.runs} runs, paired by run",
        notes=films.notes,
    )


def _ranks(films: ListFilms, scenario: Scenario) -> NDArray[np.int8]:
    """Return (N,) rank of each film under the policy; lower is read sooner."""
    if scenario.policy is ListPolicy.FIRST_COME:
        return np.zeros(len(films.called), np.int8)
    if scenario.policy is ListPolicy.RULE_OUT_LAST:
        if films.ruled_out is None:
            raise UsageError(
                "rule-out-last needs films that a rule was tried on; these have none. Use results "
                "of a bundle with a rule, or --policy priority"
            )
        return films.ruled_out.astype(np.int8)
    first = scenario.first or films.findings
    for name in first:
        if name not in films.findings:
            raise UsageError(
                f"findings that come first must be called; got {name}, and there are "
                f"{', '.join(films.findings)}"
            )
    columns = [films.findings.index(name) for name in first]
    return np.asarray(~films.called[:, columns].any(axis=1), np.int8)


def _busy(films: ListFilms, scenario: Scenario) -> float:
    if films.times is not None:
        minutes = max(float(np.ptp(films.times)), 1.0)
        return len(films.times) * scenario.reading_minutes / minutes / scenario.readers
    per_minute = float(np.mean(scenario.by_hour)) / 60.0
    return per_minute * scenario.reading_minutes / scenario.readers


def _warm_up(films: ListFilms) -> float:
    """Return the minute from which on films are measured: the room begins empty."""
    return 0.0 if films.times is not None else _WARM_UP_DAYS * 1440.0


def _arrivals(
    films: ListFilms, scenario: Scenario, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which film arrives when; given times are the same in each run."""
    if films.times is not None:
        return np.arange(len(films.times)), films.times
    hours = 24.0 * (_WARM_UP_DAYS + scenario.days)
    came = poisson_arrivals(scenario.by_hour, hours, rng)
    return rng.integers(len(films.called), size=len(came)), came


def _groups(films: ListFilms, drawn: NDArray[np.intp]) -> Mapping[str, NDArray[np.bool_]]:
    present = films.present[drawn]
    found = {name: present[:, column] for column, name in enumerate(films.findings)}
    found = {
        _ALL: np.ones(len(drawn), np.bool_),
        **found,
        _NONE: np.asarray(~present.any(axis=1), np.bool_),
    }
    if films.ruled_out is not None:
        found[_RULED] = films.ruled_out[drawn]
    return found


def _numbers(
    plain: NDArray[np.float64], own: NDArray[np.float64], inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return films, means and 95th percentiles of a group; NaN where it has no film."""
    if not inside.any():
        return np.array([0.0, *[np.nan] * 4])
    first, second = plain[inside], own[inside]
    high = [np.percentile(times, 95) for times in (first, second)]
    return np.array([inside.sum(), first.mean(), second.mean(), *high])


def _group(name: str, rows: NDArray[np.float64]) -> FilmGroup:
    return FilmGroup(
        group=name,
        films=float(rows[:, 0].mean()),
        mean_first_come=_interval(rows[:, 1]),
        mean=_interval(rows[:, 2]),
        change=_interval(rows[:, 2] - rows[:, 1]),
        p95_first_come=_interval(rows[:, 3]),
        p95=_interval(rows[:, 4]),
    )


def _interval(values: NDArray[np.float64]) -> Interval:
    """Return the mean over runs with its t interval."""
    from scipy import stats

    there = values[~np.isnan(values)]
    if len(there) < 2:
        return Interval(value=None, reason="no such film in at least two runs")
    mean = float(there.mean())
    reach = float(stats.t.ppf(0.975, len(there) - 1)) * float(there.std(ddof=1))
    reach /= math.sqrt(len(there))
    return Interval(value=mean, low=mean - reach, high=mean + reach)


def _arrivals_in_words(films: ListFilms, scenario: Scenario) -> str:
    if films.times is not None:
        return f"as in the table, {len(films.times):,} films"
    return (
        f"at random (Poisson), {sum(scenario.by_hour) * 24 / len(scenario.by_hour):,.0f} a day, "
        f"{max(scenario.by_hour):g} in the busiest hour"
    )
