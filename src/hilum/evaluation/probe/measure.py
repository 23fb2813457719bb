"""Changes of logits under alterations, and what is left of a ranking with the lungs covered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.probe import (
    AlterationKind,
    AlterationResult,
    ContextRanking,
    FindingChanges,
    RankingVerdict,
)
from hilum.domain.findings import LabelSet
from hilum.domain.record import labeled
from hilum.evaluation.probe.alter import ALTERATIONS, LUNGS, Alteration
from hilum.metrics.ranking import Ranking
from hilum.metrics.resampling import interval, patient_resamples, share

__all__ = ["INTERVALS", "LIMIT", "AlteredScores", "ProbeNumbers", "ProbedFilms", "measure"]

LIMIT = 0.5
"""Change that counts, in standard deviations of a finding's logits over the films."""
INTERVALS = (
    "95 % percentile intervals of resampled patients (films, where no patient is known); what is "
    "named holds at 95 % over all findings and alterations together (Bonferroni, normal bounds)"
)
FEWEST = 10
"""Positive and negative films that a ranking is judged by, of each at least."""
_NAMED = 4
"""Findings that a sentence names."""
_ERROR = 0.025
_ABSENT = "no film that this could be done on"
_BEYOND_LUNGS = frozenset(
    {
        *("Cardiomegaly", "Hernia", "Enlarged Cardiomediastinum", "Aortic enlargement"),
        *("Aortic elongation", "Mediastinal shift", "Enlarged PA", "Scoliosis", "Fracture"),
        *("Rib fracture", "Clavicle fracture", "Support Devices", "No Finding", "Other diseases"),
        *("Calcification", "Hilar enlargement", "Hemidiaphragm elevation"),
    }
)
"""Findings that can be read outside the lungs: a ranking left without them is no shortcut."""


@dataclass(frozen=True, eq=False)
class AlteredScores:
    """Scores of altered films.

    Attributes:
        logits: (N, L); NaN in the rows of films that it could not be done on.
        calls: (N, L) 1 positive, 0 negative, -1 without an operating point.
    """

    logits: NDArray[np.float64]
    calls: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class ProbedFilms:
    """Films with their scores, as they are and altered.

    Attributes:
        labels: the findings, in the order of the columns.
        patients: (N,) who each film is of; a name of its own where that is not known.
        whole: scores of the films as they are.
        altered: alteration to its scores and those of its control.
        states: (N, L) label states; None to take the bundle's own calls for what is positive.
        resamples: of patients.
        seed: of the resamples.
    """

    labels: LabelSet
    patients: NDArray[np.str_]
    whole: AlteredScores
    altered: Mapping[str, tuple[AlteredScores, AlteredScores]]
    states: NDArray[np.int8] | None
    resamples: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class ProbeNumbers:
    """All numbers of a probe.

    Attributes:
        spread: standard deviation of each finding's logits over the films.
        alterations: each with its changes.
        ranking: by finding.
        named: shortcuts that are shown, in words.
        sensitive: alterations on a film's way that move scores, in words.
    """

    spread: dict[str, float]
    alterations: tuple[AlterationResult, ...]
    ranking: dict[str, ContextRanking]
    named: tuple[str, ...]
    sensitive: tuple[str, ...]


def measure(films: ProbedFilms) -> ProbeNumbers:
    """Measure each alteration against its control, and the ranking with the lungs covered."""
    spread = films.whole.logits.std(axis=0)
    draws = patient_resamples(films.patients, films.resamples, np.random.default_rng(films.seed))
    weights = np.concatenate(list(draws)).astype(np.float64)
    tests = sum(one.kind is not AlterationKind.LUNGS for one in ALTERATIONS) * len(films.labels)
    results = tuple(
        _alteration(films, one, _Judge(weights, spread, _quantile(tests)))
        for one in ALTERATIONS
        if one.name in films.altered
    )
    ranking = _rankings(films, weights)
    named = [*_read_through(ranking, films.states is not None)]
    kinds = {kind: [*_moved(results, kind)] for kind in AlterationKind}
    return ProbeNumbers(
        spread=dict(zip(films.labels, spread.tolist(), strict=True)),
        alterations=results,
        ranking=ranking,
        named=(*named, *kinds[AlterationKind.SHORTCUT]),
        sensitive=tuple(kinds[AlterationKind.ROBUSTNESS]),
    )


def _quantile(tests: int) -> float:
    from scipy.special import ndtri

    return float(-ndtri(_ERROR / max(1, tests)))


@dataclass(frozen=True, eq=False)
class _Judge:
    """Means over films, with resamples.

    Attributes:
        weights: (R, N).
        spread: (L,) standard deviations of the logits.
        quantile: standard errors of a bound.
    """

    weights: NDArray[np.float64]
    spread: NDArray[np.float64]
    quantile: float

    def mean(self, values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the mean of the films that have a value, and of each resample."""
        there = ~np.isnan(values)
        if not there.any():
            return float("nan"), np.full(len(self.weights), np.nan)
        kept = self.weights[:, there]
        return float(values[there].mean()), share(kept @ values[there], kept.sum(axis=1))

    def interval(self, values: NDArray[np.float64], bounded: bool = False) -> Interval:
        """Return the mean with its interval."""
        value, draws = self.mean(values)
        return interval(value, draws, _ABSENT, bounded)

    def moved(self, values: NDArray[np.float64], column: int) -> int:
        """Return 1 or -1 where the mean is shown to lie beyond the limit that way, else 0."""
        value, draws = self.mean(values)
        if np.isnan(value) or np.isnan(draws).any() or not self.spread[column]:
            return 0
        reach = self.quantile * float(draws.std())
        beyond = abs(value) - reach > LIMIT * float(self.spread[column])
        return int(np.sign(value)) if beyond else 0


def _alteration(films: ProbedFilms, one: Alteration, judge: _Judge) -> AlterationResult:
    altered, control = films.altered[one.name]
    done = ~np.isnan(altered.logits[:, 0])
    findings: dict[str, FindingChanges] = {}
    for column, name in enumerate(films.labels):
        own = altered.logits[:, column] - films.whole.logits[:, column]
        other = control.logits[:, column] - films.whole.logits[:, column]
        apart = own - other
        mean = judge.interval(apart)
        unit = float(judge.spread[column])
        findings[name] = FindingChanges(
            change=judge.interval(own),
            control=judge.interval(other),
            apart=mean,
            in_spread=None if mean.value is None or not unit else mean.value / unit,
            # the pieces of a control may be what moves: the film altered must be moved itself
            moved=judge.moved(apart, column) != 0
            and judge.moved(apart, column) == judge.moved(own, column),
            flips=judge.interval(_flipped(films.whole, altered, done, column), bounded=True),
            control_flips=judge.interval(
                _flipped(films.whole, control, done, column), bounded=True
            ),
        )
    return AlterationResult(
        name=one.name,
        kind=one.kind,
        words=one.words,
        control_words=one.control,
        films=int(done.sum()),
        patients=len(np.unique(films.patients[done])),
        findings=findings,
    )


def _flipped(
    whole: AlteredScores, altered: AlteredScores, done: NDArray[np.bool_], column: int
) -> NDArray[np.float64]:
    """Return (N,) 1 where the call differs; NaN without a call."""
    before, after = whole.calls[:, column], altered.calls[:, column]
    return np.where(done & (before >= 0), (before != after).astype(np.float64), np.nan)


def _rankings(films: ProbedFilms, weights: NDArray[np.float64]) -> dict[str, ContextRanking]:
    covered = films.altered.get(LUNGS)
    if covered is None:
        return {}
    quantile = _quantile(len(films.labels))
    states = films.whole.calls if films.states is None else films.states
    return {
        name: _ranking(films, (column, name), states[:, column], weights, quantile)
        for column, name in enumerate(films.labels)
    }


def _ranking(
    films: ProbedFilms,
    at: tuple[int, str],
    states: NDArray[np.int8],
    weights: NDArray[np.float64],
    quantile: float,
) -> ContextRanking:
    column, name = at
    rows, positive = labeled(states)
    scores = (films.whole, *films.altered[LUNGS])
    resampled = np.concatenate([np.ones((1, weights.shape[1])), weights]).astype(np.int32)
    absent = "no film is positive, or none negative"
    if positive.any() and not positive.all():
        whole, lungs, outside = (
            Ranking.of(positive, one.logits[rows, column], rows).counts(resampled).auroc()
            for one in scores
        )
    else:
        whole = lungs = outside = np.full(len(resampled), np.nan)
    left = (lungs - 0.5) - (whole - 0.5) / 2
    few = min(int(positive.sum()), int((~positive).sum())) < FEWEST
    bounds = interval(float(left[0]), left[1:], absent, bounded=False)
    verdict = RankingVerdict.NOT_SHOWN
    if few or bounds.value is None or bounds.low is None:
        verdict = RankingVerdict.NOT_JUDGED
    elif name in _BEYOND_LUNGS:
        verdict = RankingVerdict.NOT_LUNGS
    else:
        value, reach = bounds.value, quantile * float(np.nanstd(left[1:]))
        bounds = Interval(value=value, low=value - reach, high=value + reach)
        if value - reach > 0.0 and float(whole[0]) > 0.5:
            verdict = RankingVerdict.READS_THROUGH
    return ContextRanking(
        films=len(rows),
        positives=int(positive.sum()),
        whole=interval(float(whole[0]), whole[1:], absent),
        lungs_covered=interval(float(lungs[0]), lungs[1:], absent),
        outside_covered=interval(float(outside[0]), outside[1:], absent),
        left=bounds,
        verdict=verdict,
    )


def _read_through(ranking: Mapping[str, ContextRanking], labels: bool) -> Iterator[str]:
    films = "positive films" if labels else "the films that it calls positive"
    for name, one in ranking.items():
        if one.verdict is RankingVerdict.READS_THROUGH:
            yield (
                f"{name} is read through covered lungs: with the lungs covered, {films} still rank "
                f"above the others (AUROC {one.lungs_covered.in_words()}; film as it is "
                f"{one.whole.in_words()}; an equal area outside the lungs covered "
                f"{one.outside_covered.in_words()}; {one.positives:,} of {one.films:,} films)"
            )


def _moved(results: Sequence[AlterationResult], kind: AlterationKind) -> Iterator[str]:
    """Say of each alteration which findings it moves, those that it moves most first."""
    verb = "Scores follow" if kind is AlterationKind.SHORTCUT else "Scores depend on"
    for result in results:
        sizes = {
            name: one.in_spread
            for name, one in result.findings.items()
            if one.moved and one.in_spread is not None
        }
        if result.kind is not kind or not sizes:
            continue
        order = sorted(sizes, key=lambda name: -abs(sizes[name]))
        words = [f"{name} by {sizes[name]:+.1f}" for name in order[:_NAMED]]
        more = f" and {len(order) - _NAMED} more" if len(order) > _NAMED else ""
        yield (
            f"{verb} {result.words}: more than the control it moves {', '.join(words)}{more} "
            f"(standard deviations of a finding's logits; n = {result.films:,} films)"
        )
