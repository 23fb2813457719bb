"""Claims to be as good as experts: what a panel of readers supports, refutes or cannot tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hilum.domain.documents import Interval
from hilum.domain.documents.audit import ExpertClaim, ExpertFinding, ExpertVerdict
from hilum.domain.documents.readers import FindingReaders, PanelTest, ReaderStudy
from hilum.domain.errors import counted
from hilum.domain.findings import find
from hilum.metrics.comparison import holm

__all__ = ["EXPERT_TRUTH", "expert_claims", "judge_expert", "untestable"]

EXPERT_TRUTH = frozenset(("rsna", "siim", "vinbigdata", "vindr"))
"""Datasets with labels that radiologists read from the films; others mined theirs from reports."""
ALL_FINDINGS = "all findings"
_WORDS = re.compile(r"(?:(.+?)[.\s])?(?:expert|radiologist|reader)[- ]level", re.IGNORECASE)
_SIGNIFICANT = 0.05


def expert_claims(texts: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Part claims to be as good as experts from claims of numbers.

    Returns:
        The claims of numbers; and the text of each other claim with the finding that it names, or
        `all findings`.

    Raises:
        UsageError: for an unknown finding.

    >>> expert_claims(["auroc=0.9, expert-level", "Pleural Effusion radiologist-level"])
    (['auroc=0.9'], [('expert-level', 'all findings'),
    ('Pleural Effusion radiologist-level', 'Effusion')])
    """
    numbers: list[str] = []
    experts: list[tuple[str, str]] = []
    for text in texts:
        kept: list[str] = []
        for part in text.split(","):
            words = _WORDS.fullmatch(part.strip())
            if words is None:
                kept.append(part)
            else:
                of = find(words[1]).name if words[1] else ALL_FINDINGS
                experts.append((part.strip(), of))
        if kept:
            numbers.append(",".join(kept))
    return numbers, experts


def untestable(claim: tuple[str, str], why: str, truth: str, margin: float) -> ExpertClaim:
    """Return a claim that nothing here can test.

    Args:
        claim: its text and finding, of `expert_claims`.
        why: in words.
        truth: source of the truth, in words.
        margin: that would have been tested.
    """
    return ExpertClaim(
        claim=claim[0],
        of=claim[1],
        verdict=ExpertVerdict.UNTESTABLE,
        margin=margin,
        readers=0,
        truth=truth,
        words=why,
    )


def judge_expert(claim: tuple[str, str], study: ReaderStudy, truth: str) -> ExpertClaim:
    """Judge a claim by a study of readers.

    It is supported where every finding that it is about is: the upper bound of the mean reader
    less the model, readers and cases random, is below the margin. It is refuted where on any
    finding the readers are better after Holm's correction and the model is not within the margin.

    Args:
        claim: its text and finding, of `expert_claims`.
        study: readers and model on the same films.
        truth: source of the truth, in words.
    """
    named = claim[1] != ALL_FINDINGS
    chosen = {name: one for name, one in study.findings.items() if not named or name == claim[1]}
    adjusted = holm([one.sensitivity_test.p for one in chosen.values()])
    findings = [
        _finding(name, one, p) for (name, one), p in zip(chosen.items(), adjusted, strict=True)
    ]
    verdict, words = _verdict(findings, claim[1])
    margins = [one.sensitivity_test.margin for one in study.findings.values()]
    return ExpertClaim(
        claim=claim[0],
        of=claim[1],
        verdict=verdict,
        margin=next((margin for margin in margins if margin is not None), 0.0),
        readers=len(study.readers),
        truth=truth,
        findings=tuple(findings),
        words=f"{words}; a panel of {counted(len(study.readers), 'reader')}",
    )


def _finding(name: str, found: FindingReaders, p: float | None) -> ExpertFinding:
    test = found.sensitivity_test
    verdict, words = _tested(test, p)
    return ExpertFinding(
        finding=name,
        verdict=verdict,
        readers=test.readers,
        cases=test.n,
        positives=found.positives,
        difference=Interval(
            value=test.difference, low=test.low, high=test.high, reason=test.reason
        ),
        p_holm=p,
        readers_needed=test.readers_needed,
        cases_needed=test.cases_needed,
        words=words,
    )


def _tested(test: PanelTest, p: float | None) -> tuple[ExpertVerdict, str]:
    if test.difference is None or test.low is None or test.high is None or test.margin is None:
        reason = test.reason or "all readers agree, so nothing shows how much they may differ"
        return ExpertVerdict.UNTESTABLE, reason
    if test.no_worse:
        return (
            ExpertVerdict.SUPPORTED,
            f"the mean reader finds at most {test.high:.3f} more, less than the margin of "
            f"{test.margin:g}",
        )
    if test.low > 0.0 and p is not None and p < _SIGNIFICANT:
        return ExpertVerdict.REFUTED, f"the mean reader finds at least {test.low:.3f} more"
    needed = "no panel would show it at this difference"
    if test.cases_needed is not None:
        needed = f"{test.readers_needed} readers of {test.cases_needed:,} cases each would show it"
    return (
        ExpertVerdict.NOT_SEPARABLE,
        f"between {-test.low:.3f} fewer and {test.high:.3f} more are found by the mean reader, "
        f"and the margin is {test.margin:g}; {needed}",
    )


def _verdict(findings: Sequence[ExpertFinding], of: str) -> tuple[ExpertVerdict, str]:
    """Return the verdict on the whole claim: as good as its weakest finding."""
    if not findings:
        return ExpertVerdict.UNTESTABLE, f"no reader and no truth of both classes for {of}"
    for verdict in (ExpertVerdict.REFUTED, ExpertVerdict.UNTESTABLE, ExpertVerdict.NOT_SEPARABLE):
        own = [one for one in findings if one.verdict is verdict]
        if own:
            names = ", ".join(one.finding for one in own)
            return verdict, f"{names}: {own[0].words}"
    return ExpertVerdict.SUPPORTED, "; ".join(f"{one.finding}: {one.words}" for one in findings)
