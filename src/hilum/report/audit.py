"""The audit as a page that a person reads."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.auditing.claims import MACRO
from hilum.domain.documents.audit import Audit, ClaimMetric, ClaimResult
from hilum.domain.errors import counted
from hilum.report.parts.markdown import EXPLICIT, cell, table

__all__ = ["markdown"]

_NAMED = 5
"""Findings that a line names; audit.json names all."""


def markdown(audit: Audit) -> str:
    """Return the claims with their verdicts, what was met in the table, and what that rests on."""
    parts = (_head(audit), _claims(audit), _experts(audit), _remarks(audit), _foot(audit))
    return "\n".join(line for part in parts for line in part)


def _head(audit: Audit) -> Iterator[str]:
    split = audit.split
    yield f"# Audit of {cell(audit.predictions)}"
    yield ""
    yield (
        f"{counted(split.images, 'film')} of {counted(split.patients, 'patient')} ({split.name}); "
        f"{counted(len(audit.findings), 'finding')}; {audit.interval}; seed {audit.seed}."
    )
    yield ""


def _claims(audit: Audit) -> Iterator[str]:
    if not audit.claims:
        return
    rows = (
        (
            cell(claim.claim),
            claim.recomputed.short(4),
            _of(claim, len(audit.findings)),
            "—" if claim.constant is None else f"{claim.constant:.4f}",
            f"**{claim.verdict}**",
        )
        for claim in audit.claims
    )
    header = ("claim", "computed again", "of", "constant predictor", "verdict")
    yield table(header, rows, "lllrl", EXPLICIT)
    yield ""
    for claim in audit.claims:
        yield f"- {cell(claim.claim)}: {cell(_why(claim))}."
    yield ""
    if any(claim.metric is ClaimMetric.ACCURACY for claim in audit.claims):
        yield "Accuracy is no headline: of a rare finding, calling every film negative has most."
        yield ""


def _experts(audit: Audit) -> Iterator[str]:
    """Give claims to be as good as experts, each with its panel."""
    for claim in audit.experts:
        yield f"## {cell(claim.claim)}: **{claim.verdict}**"
        yield ""
        yield f"{cell(claim.words)}. Truth: {cell(claim.truth)}."
        yield ""
        if claim.findings:
            rows = (
                (
                    cell(one.finding),
                    f"{one.readers}",
                    f"{one.cases:,}",
                    f"{one.positives:,}",
                    one.difference.short(),
                    f"**{one.verdict}**",
                )
                for one in claim.findings
            )
            header = ("finding", "readers", "cases", "positive", "readers less model", "verdict")
            yield table(header, rows, "lrrrrl", EXPLICIT)
            yield ""


def _why(claim: ClaimResult) -> str:
    reasons = f" ({', '.join(claim.reasons)})" if claim.reasons else ""
    return f"{claim.verdict}{reasons}; {claim.words}"


def _of(claim: ClaimResult, findings: int) -> str:
    if not claim.findings_counted:
        return claim.of
    if claim.of == MACRO:
        return f"mean of {claim.findings_counted} of {counted(findings, 'finding')}"
    if claim.findings_counted > 1:
        return f"{counted(claim.findings_counted, 'finding')} pooled"
    return claim.of


def _remarks(audit: Audit) -> Iterator[str]:
    if not audit.remarks:
        yield "Nothing else was found in the table."
        yield ""
        return
    yield "## Found in the table"
    yield ""
    for remark in audit.remarks:
        yield f"- {remark.kind}{_whose(remark.findings)}: {cell(remark.words)}."
    yield ""


def _whose(findings: tuple[str, ...]) -> str:
    if len(findings) > _NAMED:
        return f" ({counted(len(findings), 'finding')})"
    return f" ({cell(', '.join(findings))})" if findings else ""


def _foot(audit: Audit) -> Iterator[str]:
    for note in audit.notes:
        yield f"- {cell(note)}"
    if audit.notes:
        yield ""
    yield f"Predictions sha256 {audit.predictions_sha256}; films sha256 {audit.split.sha256}."
    if audit.leak is not None:
        yield (
            f"Training patients sha256 {audit.leak.training_patients_sha256}; "
            f"evaluated patients sha256 {audit.leak.patients_sha256}."
        )
    yield ""
    yield audit.notice
    yield ""
