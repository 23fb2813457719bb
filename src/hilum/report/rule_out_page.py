"""rule_out.html: what a rule bounds, the three ways for a film, and its check, on one page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from hilum.domain.documents.rule_out import (
    RiskCoverage,
    RuleOut,
    RuleVerdict,
    StratumCheck,
    StratumRule,
    target_words,
)
from hilum.report.evaluation.page import Footnotes
from hilum.report.parts.page import document
from hilum.report.parts.plots import Axis, Plot, stack
from hilum.report.rule_out import fit_rows, rule_name, sentences

__all__ = ["PAGE", "rule_out_page"]

PAGE = "rule_out.html"
"""File name of the page, beside rule_out.json."""

_CHIPS = {
    RuleVerdict.CONFIRMED: "",
    RuleVerdict.NOT_CONTRADICTED: "warn",
    RuleVerdict.CONTRADICTED: "error",
    RuleVerdict.NO_POSITIVES: "skip",
}
_LISTED = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_FINE = 200


def rule_out_page(rule: RuleOut) -> str:
    """Return the page, as one file that loads nothing; the same rule gives the same bytes."""
    footnotes = Footnotes()
    check = rule.check
    contents = [("ways", "Ways of a film"), ("fit", "Fit")]
    contents += [("check", "Check"), ("curves", "Risk by coverage")] if check else []
    values = {
        "rule": rule,
        "check": check,
        "fits": list(zip(rule.rules, fit_rows(rule), strict=True)),
        "refused": [
            (rule_name(one.finding, one.stratum), one.reason)
            for one in rule.rules
            if one.threshold is None
        ],
        "ways": _ways(rule),
        "checks": [] if check is None else [_CheckView.of(one) for one in check.rules],
        "curves": [] if check is None else [_curve_view(rule, one) for one in check.curves],
        "sentences": sentences(rule),
        "number": footnotes.number,
        "footnotes": footnotes.reasons,
        "target": target_words,
        "jumps": [],
        "contents": [*contents, ("bounds", "What this bounds"), ("made", "Provenance")],
    }
    return "".join(document("rule_out", values, parts=("charts",)))


@dataclass(frozen=True)
class _WayView:
    """What one rule does with films, and what is bounded of them."""

    name: str
    threshold: float
    flag: float | None
    bounded: str
    flagged: str


def _ways(rule: RuleOut) -> list[_WayView]:
    return [
        _WayView(
            rule_name(one.finding, one.stratum),
            one.threshold,
            one.flag_threshold,
            _sentence(rule.guarantee(one)),
            "" if one.flag_threshold is None else _sentence(rule.flag_guarantee(one)),
        )
        for one in rule.rules
        if one.threshold is not None
    ]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


@dataclass(frozen=True)
class _CheckView:
    """One rule's check, with a bar of its three ways."""

    name: str
    check: StratumCheck
    chip: str
    bar: Markup
    flagged: float
    referred: float

    @classmethod
    def of(cls, check: StratumCheck) -> _CheckView:
        """Return the view of a check; a film that is flagged is not ruled out."""
        ruled = check.ruled_out.value or 0.0
        flagged = check.flagged / check.films if check.films else 0.0
        referred = max(0.0, 1.0 - ruled - flagged)
        bar = stack([(ruled, "ruled"), (referred, "referred"), (flagged, "flagged")])
        name = rule_name(check.finding, check.stratum)
        return cls(name, check, _CHIPS[check.verdict], bar, flagged, referred)


@dataclass(frozen=True)
class _CurveView:
    """Risk by coverage of one finding."""

    name: str
    curve: RiskCoverage
    plot: Markup
    rows: list[tuple[str, str]]


def _curve_view(rule: RuleOut, curve: RiskCoverage) -> _CurveView:
    rows = [
        (f"{share:.0%}", risk.short())
        for share, risk in zip(curve.coverage, curve.risk, strict=True)
        if share in _LISTED
    ]
    return _CurveView(rule_name(curve.finding, ""), curve, _plot(rule, curve), rows)


def _plot(rule: RuleOut, curve: RiskCoverage) -> Markup:
    """Draw the risk with its interval, an oracle's, a random one's, and where rules stand."""
    seen = [
        (share, risk.value, risk.low, risk.high)
        for share, risk in zip(curve.coverage, curve.risk, strict=True)
        if risk.value is not None
    ]
    whole = curve.area_random
    most = max([whole, *(high or value for _, value, _, high in seen)], default=1.0) or 1.0
    plot = Plot(
        Axis.of("share ruled out", 0.0, 1.0), Axis.of("share with it among them", 0.0, 1.1 * most)
    )
    steps = [k / _FINE for k in range(1, _FINE + 1)]
    oracle = [(share, max(0.0, (share - 1.0 + whole) / share)) for share in steps]
    layers = [
        plot.band(
            [share for share, *_ in seen],
            [value if low is None else low for _, value, low, _ in seen],
            [value if high is None else high for _, value, _, high in seen],
        ),
        plot.line([(0.0, whole), (1.0, whole)], "guide"),
        plot.line(oracle, "rival"),
        plot.line([(share, value) for share, value, *_ in seen], "curve"),
    ]
    layers += [plot.line([(share, 0.0), (share, 1.1 * most)], "now") for share in _at(rule, curve)]
    return plot.svg(f"Risk by coverage of {rule_name(curve.finding, '')}", *layers)


def _at(rule: RuleOut, curve: RiskCoverage) -> list[float]:
    """Return the share that a rule without strata rules out of the films of the check."""
    served: list[StratumRule] = [one for one in rule.rules if one.threshold is not None]
    if rule.check is None or any(one.stratum for one in served):
        return []
    own = [one for one in rule.check.rules if one.finding == curve.finding]
    return [one.ruled_out.value for one in own if one.ruled_out.value]
