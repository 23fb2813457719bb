"""A rule-out rule as a person reads it: what was bounded, and what other films say of it."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.domain.documents import Interval
from hilum.domain.documents.rule_out import (
    MissBound,
    MissUnit,
    RiskCoverage,
    RuleOut,
    StratumCheck,
    StratumRule,
    target_words,
)
from hilum.report.parts.markdown import cell, cells_table, document
from hilum.report.parts.text import columned, wrapped

__all__ = ["fit_rows", "markdown", "printed", "rule_name", "sentences"]

_CURVE = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Coverages of the printed curve; the JSON has every 0.05."""
_FIT = ("Rule", "positive", "patients", "ruled out", "film <=", "patient <=")
_CHECK = ("Rule", "ruled out", "of negative", "film", "patient", "verdict")


def printed(rule: RuleOut, width: int) -> str:
    """Return the rule and its check for a terminal of `width` columns."""
    lines = [*wrapped(_head(rule), width), ""]
    lines += columned([_FIT, *fit_rows(rule)], width)
    lines += [*_refused(rule, width), ""]
    if rule.check is not None:
        lines += wrapped(_check_head(rule), width)
        lines += columned([_CHECK, *(_check_row(one) for one in rule.check.rules)], width)
        for one in rule.check.rules:
            lines += wrapped(_values_words(one), width) if _values_words(one) else []
        for curve in rule.check.curves:
            lines += ["", *wrapped(_curve_words(curve), width)]
        lines.append("")
    for sentence in sentences(rule):
        lines += wrapped(f"- {sentence}", width)
    return "\n".join(lines)


def markdown(rule: RuleOut) -> str:
    """Return the same as a document, with the risk by coverage and its intervals."""
    parts = ["# Rule-out rule", _head(rule)]
    parts.append(cells_table(_FIT, fit_rows(rule)))
    parts += [f"- {cell(line)}" for line in _refused(rule, 10_000)]
    if rule.check is not None:
        rows = [_long_check_row(one) for one in rule.check.rules]
        parts += ["## Check on films that it was not chosen on", _check_head(rule)]
        parts.append(cells_table(_CHECK, rows))
        parts += [f"- {cell(words)}" for one in rule.check.rules if (words := _values_words(one))]
        for curve in rule.check.curves:
            parts += [f"## Risk by coverage: {cell(curve.finding)}", _curve_words(curve)]
            risks = [
                (f"{share:.0%}", risk.short())
                for share, risk in zip(curve.coverage, curve.risk, strict=True)
            ]
            parts.append(cells_table(("ruled out", "share with a finding among them"), risks))
    parts += ["## What this bounds", "\n".join(f"- {line}" for line in sentences(rule))]
    parts.append(rule.notice)
    return document(parts)


def _head(rule: RuleOut) -> str:
    shared = f", shared by {rule.family} rules" if rule.family > 1 else ""
    count = rule.positives_needed
    needs = f"It needs {count:,} independent positives. " if count > 1 else ""
    return (
        f"Rule {rule.rule_sha256[:12]} of {rule.model}: {rule.target}, by "
        f"{rule.unit.value} with {rule.confidence:.0%} confidence{shared}. {needs}"
        f"Chosen on {rule.fitted_on.images:,} "
        f"films of {rule.fitted_on.patients:,} patients ({rule.fitted_on.name}), {rule.date}."
    )


def _check_head(rule: RuleOut) -> str:
    check = rule.check
    if check is None:
        return ""
    return (
        f"Checked on {check.split.images:,} films of {check.split.patients:,} patients "
        f"({check.split.name}), look {check.look}. Columns film and patient are miss rates."
    )


def rule_name(finding: str, stratum: str) -> str:
    """Return a rule's target with its stratum, in words."""
    target = target_words(finding)
    return f"{target} ({stratum})" if stratum else target


def fit_rows(rule: RuleOut) -> list[tuple[str, ...]]:
    """Return a row for each rule: positives, what it rules out, bounds of both miss rates."""
    return [_fit_row(one, rule) for one in rule.rules]


def _fit_row(one: StratumRule, rule: RuleOut) -> tuple[str, ...]:
    share = f"{one.ruled_out / one.films:.1%}" if one.films and one.threshold is not None else "–"
    bounds = (one.by_film, one.by_patient) if one.threshold is not None else (None, None)
    return (
        rule_name(one.finding, one.stratum),
        f"{one.positive_films:,}",
        f"{one.positive_patients:,}",
        share,
        *(_bound(bound, unit, rule) for bound, unit in zip(bounds, _UNITS, strict=True)),
    )


_UNITS = (MissUnit.FILM, MissUnit.PATIENT)


def _bound(bound: MissBound | None, unit: MissUnit, rule: RuleOut) -> str:
    """Return an upper bound; a star where it is the guarantee, in the rule's unit."""
    if bound is None or bound.upper is None:
        return "–"
    about = "~" if bound.method == "design effect" else ""
    bounded = unit is rule.unit and rule.npv is None
    return f"{about}{bound.upper:.2%}{'*' if bounded else ''}"


def _check_row(one: StratumCheck) -> tuple[str, ...]:
    return (
        rule_name(one.finding, one.stratum),
        _percent(one.ruled_out),
        _percent(one.ruled_out_negatives),
        _percent(one.miss_by_film),
        _percent(one.miss_by_patient),
        one.verdict.value,
    )


def _long_check_row(one: StratumCheck) -> tuple[str, ...]:
    numbers = (one.ruled_out, one.ruled_out_negatives, one.miss_by_film, one.miss_by_patient)
    shown = (number.short() for number in numbers)
    return (rule_name(one.finding, one.stratum), *shown, one.verdict.value)


def _values_words(one: StratumCheck) -> str:
    """Return the predictive values on these films; empty where none was bounded."""
    parts: list[str] = []
    if one.npv is not None:
        parts.append(f"NPV {one.npv.short()} at the rule's prevalence")
    if one.flagged:
        share = one.flagged_positive / one.flagged
        parts.append(f"{one.flagged:,} films flagged, {share:.1%} of them with it")
    return f"{rule_name(one.finding, one.stratum)}: {'; '.join(parts)}" if parts else ""


def _percent(number: Interval) -> str:
    return "–" if number.value is None else f"{number.value:.1%}"


def _curve_words(curve: RiskCoverage) -> str:
    picked = ", ".join(
        f"{risk.value:.1%} at {share:.0%}"
        for share, risk in zip(curve.coverage, curve.risk, strict=True)
        if share in _CURVE and risk.value is not None
    )
    return (
        f"Share with {rule_name(curve.finding, '')} among the films ruled out first: {picked}. "
        f"Area {curve.area.short()}; oracle {curve.area_oracle:.3f}, random "
        f"{curve.area_random:.3f}."
    )


def _refused(rule: RuleOut, width: int) -> list[str]:
    return [
        line
        for one in rule.rules
        if one.threshold is None
        for line in wrapped(f"{rule_name(one.finding, one.stratum)}: refused, {one.reason}", width)
    ]


def sentences(rule: RuleOut) -> Iterator[str]:
    """Give what a rule bounds and what it does not, a sentence each."""
    for one in rule.rules:
        if one.threshold is not None:
            yield f"{rule_name(one.finding, one.stratum)}: {rule.guarantee(one)}"
        if one.flag_threshold is not None:
            yield f"{rule_name(one.finding, one.stratum)}: {rule.flag_guarantee(one)}"
    if rule.npv is None:
        yield (
            "the star marks what the rule bounds; the other unit's number is of these films "
            "alone and no guarantee; ~ approximate (design effect)"
        )
    else:
        yield (
            "the rule bounds the NPV; both miss rates are of these films alone and no guarantee; ~ "
            "approximate (design effect)"
        )
        yield (
            "an NPV holds at its prevalence alone: where the finding is more common it is lower, "
            "and it is void once `hilum watch` says that something moved"
        )
    yield (
        "a miss rate per film and one per patient differ: a patient with many films counts once "
        "by patient, and as often as there are films by film"
    )
    yield from rule.notes
