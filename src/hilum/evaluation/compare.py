"""Paired differences between models, on the same films and the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.comparison import (
    Comparison,
    ModelNumbers,
    Pair,
    PairDifference,
    PairVerdict,
)
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.metrics.comparison import bootstrap_p, holm, paired_interval
from hilum.metrics.ranking import Ranking
from hilum.metrics.resampling import interval, mean_present, patient_resamples

__all__ = ["ComparisonRequest", "Contender", "compare"]

_MACRO = "macro"
_CELLS = 100_000
"""Films times resamples worked on at once."""
_ABSENT = "no finding has both positive and negative films"
_SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class Contender:
    """A model with its scores of the cohort's films, (N, L), and facts to print beside them."""

    name: str
    scores: Probabilities
    test: tuple[Interval, Interval] | None = None
    """Macro AUROC and AP of its evaluation on test, where there is one."""
    facts: Mapping[str, str] | None = None
    contamination: str = ""
    """Why the model may know these patients; it is then not called better than one that does
    not."""


@dataclass(frozen=True)
class ComparisonRequest:
    """Films, resamples and margin of a comparison.

    Attributes:
        split: name of the films, such as "tune".
        may_choose: whether a winner may be named: never on test films.
        margin: how much worse still counts as no worse, in AUROC; stated before looking.
        resamples: patient resamples, shared by all models.
        seed: of the resamples.
        level: what a row is, in words: films, studies or patients.
        notes: what the reader must know, a line each.
    """

    split: str
    may_choose: bool
    margin: float = 0.0
    resamples: int = 2000
    seed: int = 0
    level: str = "film"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Areas:
    """AUROC and AP of one model by finding and macro: (1 + R,), the films themselves first."""

    auroc: Mapping[str, NDArray[np.float64]]
    average_precision: Mapping[str, NDArray[np.float64]]


def compare(
    contenders: Sequence[Contender], cohort: Cohort, request: ComparisonRequest
) -> Comparison:
    """Compare every model with the first, on the same films and the same patient resamples.

    Films that are hard are hard for both models, so the paired difference is known better than
    either number: two overlapping intervals do not show that two models are alike. P-values of the
    findings are corrected by Holm's rule, those of macro numbers over the pairs.

    Args:
        contenders: two or more, with the same findings.
        cohort: the N films; entries labeled neither positive nor negative count for no model.
        request: films, resamples and margin.

    Raises:
        UsageError: for fewer than two models, or two of one name.
        DatasetError: when scores are not of these films and findings.
    """
    _check(contenders, cohort)
    areas = {one.name: areas for one, areas in _measured(contenders, cohort, request)}
    names = list(areas)
    pairs = [_pair(areas, names[0], name) for name in names[1:]]
    knowing = {one.name: one.contamination for one in contenders if one.contamination}
    fair = [name for name in names if name not in knowing] or names
    split = SplitFacts.of(request.split, cohort)
    models = {one.name: _own(one, areas[one.name]) for one in contenders}
    return Comparison(
        split=split,
        level=request.level,
        labels=contenders[0].scores.labels.findings,
        interval=f"95 % percentile intervals and two-sided p-values of {request.resamples:,} "
        "paired patient bootstrap resamples; Holm's correction over the findings, and over the "
        "pairs for macro numbers",
        seed=request.seed,
        resamples=request.resamples,
        models=models,
        pairs=tuple(_without_claims(p, knowing) for p in _judged(pairs, split, request)),
        chosen=_best({name: models[name] for name in fair}) if request.may_choose else None,
        chosen_on=request.split if request.may_choose else "",
        notes=(*(f"{name}: {why}" for name, why in knowing.items()), *request.notes),
    )


def _without_claims(pair: Pair, knowing: Mapping[str, str]) -> Pair:
    """Take back that a model is better which may know these patients, and the other does not."""
    second = pair.second in knowing
    if second is (pair.first in knowing):
        return pair
    unfair = PairVerdict.BETTER if second else PairVerdict.WORSE

    def judged(one: PairDifference) -> PairDifference:
        update = {"verdict": PairVerdict.UNKNOWN}
        return one.model_copy(update=update) if one.verdict is unfair else one

    words = pair.words
    if pair.macro_auroc.verdict is unfair:
        name = pair.second if second else pair.first
        numbers = words.partition(": ")[2]
        words = (
            f"{pair.second} and {pair.first} are not comparable: {name} was trained on films of "
            f"this dataset; {numbers}"
        )
    changes = {
        "macro_auroc": judged(pair.macro_auroc),
        "macro_average_precision": judged(pair.macro_average_precision),
        "auroc": {name: judged(one) for name, one in pair.auroc.items()},
        "average_precision": {name: judged(one) for name, one in pair.average_precision.items()},
        "words": words,
    }
    return pair.model_copy(update=changes)


def _check(contenders: Sequence[Contender], cohort: Cohort) -> None:
    names = [one.name for one in contenders]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            f"a comparison needs two models or more, of different names; got "
            f"{', '.join(names) or 'none'}"
        )
    first = contenders[0].scores
    for one in contenders:
        if one.scores.labels.findings != first.labels.findings:
            raise DatasetError(
                f"models must score the same findings in one order; {names[0]} has "
                f"{', '.join(first.labels)}, {one.name} has {', '.join(one.scores.labels)}"
            )
        if len(one.scores.values) != len(cohort):
            raise DatasetError(
                f"{one.name} must have a row for each of the {len(cohort)} films; "
                f"got {len(one.scores.values)}"
            )


def _measured(
    contenders: Sequence[Contender], cohort: Cohort, request: ComparisonRequest
) -> list[tuple[Contender, _Areas]]:
    """Measure the areas of each model on the films themselves and on each resample."""
    labels = contenders[0].scores.labels
    states = cohort.states()[:, cohort.labels.columns(labels)]
    counted = {name: labeled(states[:, column]) for column, name in enumerate(labels)}
    rankings = [
        {
            name: Ranking.of(positives, one.scores.of(name)[rows], rows)
            for name, (rows, positives) in counted.items()
            if positives.any() and not positives.all()
        }
        for one in contenders
    ]
    parts: list[list[tuple[dict[str, NDArray[np.float64]], ...]]] = [[] for _ in contenders]
    rng = np.random.default_rng(request.seed)
    itself = np.ones((1, len(cohort)), np.int32)
    draws = patient_resamples(cohort.patients(), request.resamples, rng, _CELLS)
    for weights in (itself, *draws):
        for part, own in zip(parts, rankings, strict=True):
            counts = {name: ranking.counts(weights) for name, ranking in own.items()}
            part.append(
                (
                    {name: count.auroc() for name, count in counts.items()},
                    {name: count.average_precision() for name, count in counts.items()},
                )
            )
    joined = (_Areas(*(_joined([one[kind] for one in part]) for kind in (0, 1))) for part in parts)
    return list(zip(contenders, joined, strict=True))


def _joined(parts: list[dict[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """Join values by finding, and add the mean of the findings that a resample has."""
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if not found:
        return found
    return {**found, _MACRO: mean_present(np.stack(list(found.values())))}


def _own(one: Contender, areas: _Areas) -> ModelNumbers:
    def number(values: Mapping[str, NDArray[np.float64]]) -> Interval:
        if _MACRO not in values:
            return Interval(value=None, reason=_ABSENT)
        return interval(float(values[_MACRO][0]), values[_MACRO][1:], _ABSENT)

    test = one.test or (None, None)
    return ModelNumbers(
        auroc=number(areas.auroc),
        average_precision=number(areas.average_precision),
        test_auroc=test[0],
        test_average_precision=test[1],
        facts=dict(one.facts or {}),
    )


def _best(models: Mapping[str, ModelNumbers]) -> str | None:
    scored = {n: m.auroc.value for n, m in models.items() if m.auroc.value is not None}
    return max(scored, key=scored.__getitem__) if scored else None


def _pair(areas: Mapping[str, _Areas], first: str, second: str) -> Pair:
    auroc = _differences(areas[first].auroc, areas[second].auroc)
    precision = _differences(areas[first].average_precision, areas[second].average_precision)
    nothing = _judge(Interval(value=None, reason=_ABSENT), None, None)
    return Pair(
        first=first,
        second=second,
        macro_auroc=auroc.pop(_MACRO, nothing),
        macro_average_precision=precision.pop(_MACRO, nothing),
        auroc=auroc,
        average_precision=precision,
        words="",
    )


def _differences(
    a: Mapping[str, NDArray[np.float64]], b: Mapping[str, NDArray[np.float64]]
) -> dict[str, PairDifference]:
    """Judge each finding with Holm's correction over findings; macro is not yet corrected."""
    raw = {
        name: (
            paired_interval(a[name][1:], b[name][1:], float(a[name][0]), float(b[name][0])),
            bootstrap_p(b[name][1:] - a[name][1:]),
        )
        for name in a
    }
    findings = [name for name in raw if name != _MACRO]
    adjusted = dict(zip(findings, holm([raw[name][1] for name in findings]), strict=True))
    return {name: _judge(*raw[name], adjusted.get(name, raw[name][1])) for name in raw}


def _judge(difference: Interval, p: float | None, p_holm: float | None) -> PairDifference:
    verdict = PairVerdict.NOT_SEPARABLE
    if difference.value is None or p_holm is None:
        verdict = PairVerdict.UNKNOWN
    elif p_holm < _SIGNIFICANT:
        verdict = PairVerdict.BETTER if difference.value > 0 else PairVerdict.WORSE
    return PairDifference(difference=difference, p=p, p_holm=p_holm, verdict=verdict)


def _judged(
    pairs: Sequence[Pair], split: SplitFacts, request: ComparisonRequest
) -> tuple[Pair, ...]:
    """Correct macro p-values over the pairs, and add the verdict in words."""
    done: list[Pair] = []
    auroc = holm([pair.macro_auroc.p for pair in pairs])
    precision = holm([pair.macro_average_precision.p for pair in pairs])
    for pair, p_auroc, p_precision in zip(pairs, auroc, precision, strict=True):
        judged = _judge(pair.macro_auroc.difference, pair.macro_auroc.p, p_auroc)
        other = pair.macro_average_precision
        changes = {
            "macro_auroc": judged,
            "macro_average_precision": _judge(other.difference, other.p, p_precision),
            "words": _words(pair, judged, split, request),
        }
        done.append(pair.model_copy(update=changes))
    return tuple(done)


def _words(
    pair: Pair, judged: PairDifference, split: SplitFacts, request: ComparisonRequest
) -> str:
    number = judged.difference
    units = {"film": "films", "study": "studies", "patient": "patients"}[request.level]
    at = f"{split.images:,} {units}"
    if units != "patients":
        at += f" of {split.patients:,} patients"
    if number.value is None or number.low is None or number.high is None:
        return f"{pair.second} and {pair.first}: not comparable at {at} ({number.reason})"
    numbers = f"macro AUROC {number.value:+.3f} [{number.low:+.3f}, {number.high:+.3f}] at {at}"
    if judged.verdict in (PairVerdict.BETTER, PairVerdict.WORSE):
        return f"{pair.second} is {judged.verdict} than {pair.first}: {numbers}"
    words = f"{pair.second} and {pair.first} are not separable: {numbers}"
    if request.margin > 0.0:
        no_worse = number.low > -request.margin
        words += (
            f"; {'no' if no_worse else 'maybe'} worse by more than the margin {request.margin:g}"
        )
    return words
