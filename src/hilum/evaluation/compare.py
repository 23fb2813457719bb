"""Paired differences between models, on the same films and the same resamples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.comparison import (
    Comparison,
    ModelNumbers,
    Pair,
    PairDifference,
    PairVerdict,
    RunSpread,
)
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.record import Cohort
from hilum.domain.scores import Probabilities
from hilum.evaluation.areas import MACRO, ModelAreas, measure_areas
from hilum.metrics.comparison import bootstrap_p, holm
from hilum.metrics.crossed import CrossedNumber, RunNumbers
from hilum.metrics.resampling import interval

__all__ = ["ComparisonRequest", "Contender", "compare"]

_ABSENT = "no finding has both positive and negative films"
_SIGNIFICANT = 0.05
_NOT_VARIED = "seeds were not varied"
_CROSSED = (
    ", crossed with resamples of the runs of a model (the mean of its runs is compared; Student's "
    "quantile at Satterthwaite's degrees of freedom)"
)


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
    others: Mapping[str, Probabilities] = field(default_factory=dict[str, Probabilities])
    """Scores by further runs, by name, that differ from the first in their seed alone."""
    run: str = ""
    """Name of the first run, where there are several."""

    @property
    def runs(self) -> tuple[Probabilities, ...]:
        """Scores by all runs, the first one's first."""
        return (self.scores, *self.others.values())


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
    runs = [one.runs for one in contenders]
    measured = measure_areas(runs, cohort, request.resamples, request.seed)
    areas = {one.name: own for one, own in zip(contenders, measured, strict=True)}
    names = list(areas)
    counts = {one.name: len(one.runs) for one in contenders}
    pairs = [
        _pair(areas, (names[0], name), _seeds_of_pair(counts, names[0], name)) for name in names[1:]
    ]
    knowing = {one.name: one.contamination for one in contenders if one.contamination}
    fair = [name for name in names if name not in knowing] or names
    split = SplitFacts.of(request.split, cohort)
    crossed = _CROSSED if any(one.others for one in contenders) else ""
    models = {one.name: _own(one, areas[one.name]) for one in contenders}
    return Comparison(
        split=split,
        level=request.level,
        labels=contenders[0].scores.labels.findings,
        interval=f"95 % percentile intervals and two-sided p-values of {request.resamples:,} "
        f"paired patient bootstrap resamples{crossed}; Holm's correction over "
        "the findings, and over the pairs for macro numbers",
        seed=request.seed,
        resamples=request.resamples,
        models=models,
        pairs=tuple(_without_claims(p, knowing) for p in _judged(pairs, split, request)),
        seeds=_seeds(counts),
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
        for run in one.runs:
            _check_scores(one.name, run, (names[0], first), len(cohort))
        for number, run in enumerate(one.runs):
            if any(np.array_equal(run.values, other.values) for other in one.runs[:number]):
                raise UsageError(
                    f"runs of one model must be different; two of {one.name} give the same scores"
                )


def _check_scores(
    name: str, scores: Probabilities, first: tuple[str, Probabilities], films: int
) -> None:
    if scores.labels.findings != first[1].labels.findings:
        raise DatasetError(
            f"models must score the same findings in one order; {first[0]} has "
            f"{', '.join(first[1].labels)}, {name} has {', '.join(scores.labels)}"
        )
    if len(scores.values) != films:
        raise DatasetError(
            f"{name} must have a row for each of the {films} films; got {len(scores.values)}"
        )


def _own(one: Contender, areas: ModelAreas) -> ModelNumbers:
    test = one.test or (None, None)
    several = areas.auroc.get(MACRO) if one.others else None
    auroc = _number(areas.auroc)
    spread = None
    if several is not None and auroc.low is not None:
        spread = _spread(CrossedNumber.alone(several))
    return ModelNumbers(
        auroc=auroc,
        average_precision=_number(areas.average_precision),
        test_auroc=test[0],
        test_average_precision=test[1],
        facts=dict(one.facts or {}),
        runs=_by_run(one, several),
        spread=spread,
    )


def _number(values: Mapping[str, RunNumbers]) -> Interval:
    if MACRO not in values:
        return Interval(value=None, reason=_ABSENT)
    crossed = CrossedNumber.alone(values[MACRO])
    return interval(crossed.value, np.clip(crossed.draws, 0.0, 1.0), _ABSENT)


def _by_run(one: Contender, macro: RunNumbers | None) -> dict[str, float]:
    if macro is None:
        return {}
    return dict(zip((one.run, *one.others), macro.values[:, 0].tolist(), strict=True))


def _spread(crossed: CrossedNumber) -> RunSpread | None:
    """Return standard errors of a number; None where seeds were not varied on any side."""
    if crossed.by_seeds is None or crossed.of_one_run is None or math.isnan(crossed.by_patients):
        return None
    return RunSpread(
        seeds=math.sqrt(crossed.by_seeds),
        patients=math.sqrt(crossed.by_patients),
        one_run=math.sqrt(crossed.of_one_run),
    )


def _seeds(counts: Mapping[str, int]) -> str:
    """Say of all models whether seeds were varied."""
    if all(count == 1 for count in counts.values()):
        return f"{_NOT_VARIED}: one run a model. A run of a different seed may rank them otherwise"
    runs = ", ".join(f"{name}: {count}" for name, count in counts.items())
    return f"runs of each model, by seed: {runs}"


def _seeds_of_pair(counts: Mapping[str, int], first: str, second: str) -> str:
    """Say of a pair whether seeds were varied."""
    single = [name for name in (first, second) if counts[name] == 1]
    if len(single) == 2:
        return f"{_NOT_VARIED}: one run a side"
    if single:
        return f"seeds of {single[0]} were not varied: it has one run"
    return f"seeds were varied: {counts[second]} and {counts[first]} runs"


def _best(models: Mapping[str, ModelNumbers]) -> str | None:
    scored = {n: m.auroc.value for n, m in models.items() if m.auroc.value is not None}
    return max(scored, key=scored.__getitem__) if scored else None


def _pair(areas: Mapping[str, ModelAreas], names: tuple[str, str], seeds: str) -> Pair:
    first, second = names
    auroc = _differences(areas[first].auroc, areas[second].auroc)
    precision = _differences(areas[first].average_precision, areas[second].average_precision)
    nothing = PairDifference(
        difference=Interval(value=None, reason=_ABSENT),
        p=None,
        p_holm=None,
        verdict=PairVerdict.UNKNOWN,
    )
    return Pair(
        first=first,
        second=second,
        macro_auroc=auroc.pop(MACRO, nothing),
        macro_average_precision=precision.pop(MACRO, nothing),
        auroc=auroc,
        average_precision=precision,
        seeds=seeds,
        words="",
    )


def _differences(
    a: Mapping[str, RunNumbers], b: Mapping[str, RunNumbers]
) -> dict[str, PairDifference]:
    """Judge each finding with Holm's correction over findings; macro is not yet corrected."""
    raw = {name: _difference(CrossedNumber.between(a[name], b[name])) for name in a}
    findings = [name for name in raw if name != MACRO]
    adjusted = dict(zip(findings, holm([raw[name].p for name in findings]), strict=True))
    return {name: _judge(one, adjusted.get(name, one.p)) for name, one in raw.items()}


def _difference(crossed: CrossedNumber) -> PairDifference:
    absent = "the number does not exist for both models"
    difference = interval(crossed.value, crossed.draws, absent, bounded=False)
    return PairDifference(
        difference=difference,
        p=bootstrap_p(crossed.draws),
        p_holm=None,
        verdict=PairVerdict.UNKNOWN,
        spread=None if difference.low is None else _spread(crossed),
    )


def _judge(one: PairDifference, p_holm: float | None) -> PairDifference:
    verdict = PairVerdict.NOT_SEPARABLE
    if one.difference.value is None or p_holm is None:
        verdict = PairVerdict.UNKNOWN
    elif p_holm < _SIGNIFICANT:
        verdict = PairVerdict.BETTER if one.difference.value > 0 else PairVerdict.WORSE
    return one.model_copy(update={"p_holm": p_holm, "verdict": verdict})


def _judged(
    pairs: Sequence[Pair], split: SplitFacts, request: ComparisonRequest
) -> tuple[Pair, ...]:
    """Correct macro p-values over the pairs, and add the verdict in words."""
    done: list[Pair] = []
    auroc = holm([pair.macro_auroc.p for pair in pairs])
    precision = holm([pair.macro_average_precision.p for pair in pairs])
    for pair, p_auroc, p_precision in zip(pairs, auroc, precision, strict=True):
        judged = _judge(pair.macro_auroc, p_auroc)
        changes = {
            "macro_auroc": judged,
            "macro_average_precision": _judge(pair.macro_average_precision, p_precision),
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
        return (
            f"{pair.second} and {pair.first}: not comparable at {at} ({number.reason}); "
            f"{pair.seeds}"
        )
    numbers = f"macro AUROC {number.value:+.3f} [{number.low:+.3f}, {number.high:+.3f}] at {at}"
    if judged.verdict in (PairVerdict.BETTER, PairVerdict.WORSE):
        return f"{pair.second} is {judged.verdict} than {pair.first}: {numbers}; {pair.seeds}"
    words = f"{pair.second} and {pair.first} are not separable: {numbers}"
    if request.margin > 0.0:
        no_worse = number.low > -request.margin
        words += (
            f"; {'no' if no_worse else 'maybe'} worse by more than the margin {request.margin:g}"
        )
    return f"{words}; {pair.seeds}"
