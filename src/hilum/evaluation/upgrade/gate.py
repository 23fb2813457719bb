"""A policy's limits judged on the films: each holds, is broken, or needs more films."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hilum.domain.documents.upgrade import GateOutcome, GateRule, GateVerdict, ServedChange
from hilum.domain.findings import find
from hilum.evaluation.subgroups import FEWEST
from hilum.evaluation.upgrade.measure import (
    PairedFilms,
    auroc_change,
    counted_findings,
    group_films,
    sensitivity_change,
    specificity_change,
)
from hilum.evaluation.upgrade.paired import MeanChange, ShareChange
from hilum.evaluation.upgrade.policy import ATTRIBUTES, AurocLimit, ShareLimit, UpgradePolicy

__all__ = ["ServedShares", "decide", "lost_findings", "verdict_of"]


@dataclass(frozen=True, eq=False)
class ServedShares:
    """Numbers besides those of the paired films.

    Attributes:
        served: films without a score, and time.
        unscored: share of inputs newly without a score; None without inputs.
        ruled_out: change of the share ruled out; None where a bundle has no rule.
        overlap: mean overlap of heatmaps; None without maps.
        same: whether the two are one bundle.
    """

    served: ServedChange
    unscored: ShareChange | None
    ruled_out: ShareChange | None
    overlap: MeanChange | None
    same: bool = False


@dataclass(frozen=True)
class _Question:
    """A number that a limit is on.

    Attributes:
        rule, of: key and subject.
        limit, confidence: what must be shown.
        change: the number; None where it cannot be measured.
        films: films that it is about, of those there are.
        missing: why it cannot be measured.
        needed: films that would make it measurable, where that is known.
    """

    rule: str
    of: str
    limit: float
    confidence: float
    change: MeanChange | ShareChange | None
    films: int
    missing: str = ""
    needed: int | None = None


def decide(policy: UpgradePolicy, films: PairedFilms, also: ServedShares) -> tuple[GateRule, ...]:
    """Judge every limit of a policy. A limit holds only where the films show that it does.

    Args:
        policy: the limits.
        films: scored by both.
        also: what is not in them.
    """
    questions = [
        *_auroc(policy.auroc_loss, films),
        *_calls("sensitivity_loss", policy.sensitivity_loss, films),
        *_calls("specificity_loss", policy.specificity_loss, films),
        *_flips(policy.flips, films),
        *_served(policy, films, also),
    ]
    rules = [_judged(question, same=also.same) for question in questions]
    if policy.speed.at_most is not None:
        rules.append(_speed(policy.speed.at_most, also))
    return tuple(rules)


def verdict_of(rules: Sequence[GateRule]) -> tuple[GateVerdict, str]:
    """Return the verdict on all rules, with a sentence."""
    if not rules:
        return GateVerdict.NO_POLICY, "no policy was given, so nothing is decided"
    counts = Counter(rule.outcome for rule in rules)
    of = f"of {len(rules)} limits {counts[GateOutcome.HOLDS]} hold"
    broken = [rule for rule in rules if rule.outcome is GateOutcome.BROKEN]
    if broken:
        first = broken[0]
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return (
            GateVerdict.STOPPED,
            f"the old bundle stays: {first.rule} of {first.of}{more} is beyond its limit; {of}",
        )
    open_ = [rule for rule in rules if rule.outcome is GateOutcome.UNDECIDED]
    if not open_:
        return GateVerdict.ALLOWED, f"the new bundle may replace the old one: {of}"
    known = [rule.films_needed for rule in open_ if rule.films_needed is not None]
    enough = f"; about {max(known):,} films like these would be" if known else ""
    if len(known) < len(open_):
        enough += "; for some limits no number would be, see their words"
    return (
        GateVerdict.UNDECIDED,
        f"not enough films to decide about {len(open_)} limits{enough}; {of}",
    )


def lost_findings(old: Sequence[str], new: Sequence[str]) -> Iterator[GateRule]:
    """Give a broken rule for each finding that the new bundle no longer has."""
    for name in old:
        if name not in new:
            yield GateRule(
                rule="findings",
                of=name,
                limit=0.0,
                measured=None,
                outcome=GateOutcome.BROKEN,
                words="the new bundle does not have it",
            )


def _chosen(limit: ShareLimit, films: PairedFilms) -> Iterator[tuple[str, bool]]:
    """Give each finding that a limit is about, and whether both bundles have it."""
    known = films.cohort.labels.findings
    for name in limit.findings or known:
        finding = find(name).name
        yield finding, finding in known


def _auroc(limit: AurocLimit, films: PairedFilms) -> Iterator[_Question]:
    if limit.at_most is None:
        return
    total = len(films.cohort)
    ask = _Question("auroc_loss", "", limit.at_most, limit.confidence, None, total)
    counted = counted_findings(films)
    for name, known in _chosen(limit, films):
        if not known:
            yield replace(ask, of=name, missing="not both bundles have it")
        elif name in counted:
            yield replace(ask, of=name, change=_loss(auroc_change(films, (name,))))
        else:
            missing, needed = _too_few(films, name)
            yield replace(ask, of=name, missing=missing, needed=needed)
    wanted = ATTRIBUTES if limit.subgroups is True else limit.subgroups or ()
    own = {find(name).name for name in limit.findings} or set(films.cohort.labels)
    for (attribute, group), kept in group_films(films).items():
        if attribute not in wanted:
            continue
        inside = tuple(name for name in counted_findings(films, kept) if name in own)
        yield replace(
            ask,
            of=f"{attribute} {group}",
            change=_loss(auroc_change(films, inside, kept)),
            missing=f"no finding has {FEWEST} positive films and a negative one there",
        )


def _too_few(films: PairedFilms, name: str) -> tuple[str, int | None]:
    states = films.cohort.states()[:, films.cohort.labels.index(name)]
    positives, labels = int((states == 1).sum()), int(((states == 0) | (states == 1)).sum())
    if not labels:
        return "the labels do not say anything about it", None
    few = f"{positives} of {labels:,} labeled films have it, and {FEWEST} are needed"
    return few, math.ceil(len(states) * FEWEST / positives) if positives else None


def _loss(change: MeanChange | None) -> MeanChange | None:
    return None if change is None else MeanChange(-change.value, change.error)


def _calls(rule: str, limit: ShareLimit, films: PairedFilms) -> Iterator[_Question]:
    if limit.at_most is None:
        return
    side = sensitivity_change if rule == "sensitivity_loss" else specificity_change
    ask = _Question(rule, "", limit.at_most, limit.confidence, None, len(films.cohort))
    for name, known in _chosen(limit, films):
        change = side(films, name) if known else None
        loss = None if change is None else replace(change, up=change.down, down=change.up)
        why = "no such film is labeled and called by both" if known else "not both bundles have it"
        yield replace(ask, of=name, change=loss, missing=why)


def _flips(limit: ShareLimit, films: PairedFilms) -> Iterator[_Question]:
    if limit.at_most is None:
        return
    ask = _Question("flips", "", limit.at_most, limit.confidence, None, len(films.cohort))
    patients = films.patients()
    for name, known in _chosen(limit, films):
        if not known:
            yield replace(ask, of=name, missing="not both bundles have it")
            continue
        column = films.cohort.labels.index(name)
        both = films.called[:, column]
        moved = films.flipped[both, column]
        share = ShareChange(moved, np.zeros_like(moved), patients[both], one_way=True)
        missing = "one of the two bundles has no operating point for it"
        yield replace(ask, of=name, change=share if both.any() else None, missing=missing)


def _served(policy: UpgradePolicy, films: PairedFilms, also: ServedShares) -> Iterator[_Question]:
    total = len(films.cohort)
    for name, limit, change, missing in (
        ("rejects", policy.rejects, also.unscored, "there are no inputs"),
        (
            "rule_out_loss",
            policy.rule_out_loss,
            also.ruled_out,
            "both bundles need a rule: fit one on the new run with `hilum rule-out`",
        ),
    ):
        if limit.at_most is not None:
            loss = change
            if change is not None and not change.one_way:
                loss = replace(change, up=change.down, down=change.up)
            films_of = also.served.inputs if name == "rejects" else total
            yield _Question(
                name, "all films", limit.at_most, limit.confidence, loss, films_of, missing
            )
    least = policy.heatmaps
    if least.at_least is not None:
        apart = None
        if also.overlap is not None:
            apart = MeanChange(1.0 - also.overlap.value, also.overlap.error)
        missing = "no finding of a film has a heatmap of both"
        yield _Question(
            "heatmaps",
            "weight apart",
            1.0 - least.at_least,
            least.confidence,
            apart,
            total,
            missing,
        )


def _judged(ask: _Question, *, same: bool) -> GateRule:
    """Judge one limit: it holds where the upper bound is within it, one-sided."""
    rule = GateRule(
        rule=ask.rule,
        of=ask.of,
        limit=ask.limit,
        confidence=ask.confidence,
        measured=None,
        outcome=GateOutcome.UNDECIDED,
        films_needed=ask.needed,
        words=ask.missing,
    )
    if same:
        words = "the two are one bundle: nothing differs"
        return rule.model_copy(
            update={
                "measured": 0.0,
                "outcome": GateOutcome.HOLDS,
                "films_needed": None,
                "words": words,
            }
        )
    if ask.change is None:
        return rule
    error = 1.0 - ask.confidence
    low, high = ask.change.bounds(error)
    outcome = GateOutcome.UNDECIDED
    if high <= ask.limit:
        outcome = GateOutcome.HOLDS
    elif low > ask.limit:
        outcome = GateOutcome.BROKEN
    needed = None
    if outcome is GateOutcome.UNDECIDED:
        times = ask.change.times_needed(ask.limit, error)
        if times is not None:
            needed = max(ask.films + 1, math.ceil(ask.films * times))
    update = {
        "measured": ask.change.value,
        "low": low,
        "high": high,
        "outcome": outcome,
        "films_needed": needed,
        "words": _words(ask, (low, high), outcome, needed),
    }
    return rule.model_copy(update=update)


def _words(
    ask: _Question, bounds: tuple[float, float], outcome: GateOutcome, needed: int | None
) -> str:
    sure = f"with {ask.confidence:.0%} confidence"
    if outcome is GateOutcome.HOLDS:
        return f"at most {bounds[1]:.4f} {sure}"
    if outcome is GateOutcome.BROKEN:
        return f"at least {bounds[0]:.4f} {sure}"
    between = f"between {bounds[0]:.4f} and {bounds[1]:.4f}, each {sure}"
    if needed is None:
        return f"{between}; what was measured is the limit itself, so no number of films decides"
    return f"{between}; about {needed:,} films like these would decide"


def _speed(limit: float, also: ServedShares) -> GateRule:
    old, new = also.served.seconds_old, also.served.seconds_new
    ratio = None if not old or new is None else new / old
    if also.same:
        ratio = 1.0
    outcome = GateOutcome.UNDECIDED
    words = "not measured: the films were scored before. Give films to score them here"
    if ratio is not None:
        outcome = GateOutcome.HOLDS if ratio <= limit else GateOutcome.BROKEN
        words = f"{ratio:.2f} times the old bundle's seconds a film, one run each"
    return GateRule(
        rule="speed", of="seconds a film", limit=limit, measured=ratio, outcome=outcome, words=words
    )
