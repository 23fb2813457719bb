"""All films in counts, and how far their readers agree."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hilum.domain.documents.agreement import ReaderAgreement
from hilum.domain.errors import ReasonCode
from hilum.report.parts.text import REASONS
from hilum.service.access import Parts, Reviewer, Viewer
from hilum.service.agreement import agreement_of
from hilum.service.documents import (
    FindingSummary,
    ReaderProgress,
    ReasonSummary,
    SummaryDocument,
)
from hilum.service.store.tally import StoreTally
from hilum.service.store.tokens import Scope
from hilum.web.problems import ServiceError, problem_responses

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["numbers"])

_PROBLEMS = problem_responses(401, 403, 421, 429)


@router.get("/summary", response_model=SummaryDocument, responses=_PROBLEMS)
def summary(parts: Parts, caller: Viewer) -> SummaryDocument:
    """Return all films in counts. Each of them is a part of the list, by the filter it names.

    They describe these films; they are no prevalence.
    """
    tally = StoreTally.of(parts.store.database)
    counts, views = parts.shown_counts(caller), dict(tally.views.most_common())
    watch = None if parts.watch is None else parts.watch.summary(parts.settings.blind)
    if parts.settings.blind:
        return SummaryDocument(
            counts=counts,
            views=views,
            blinded=True,
            statuses={},
            findings=(),
            reasons=(),
            readers=(),
            watch=watch,
        )
    names = parts.store.tokens.names()
    findings = sorted(parts.bundle.findings, key=lambda one: -tally.positives[one])
    return SummaryDocument(
        counts=counts,
        views=views,
        blinded=False,
        statuses=dict(tally.statuses.most_common()),
        findings=tuple(
            FindingSummary(finding=one, positive=tally.positives[one], scored=tally.scored)
            for one in findings
        ),
        reasons=tuple(
            ReasonSummary(code=code, sentence=REASONS[ReasonCode(code)], scored=scored, films=films)
            for (code, scored), films in tally.codes.most_common()
        ),
        readers=tuple(
            ReaderProgress(reader=reader, name=names.get(reader, ""), films=films)
            for reader, films in sorted(tally.readers.items())
        ),
        watch=watch,
    )


@router.get(
    "/agreement",
    response_model=ReaderAgreement,
    responses=problem_responses(401, 403, 421, 422, 429),
)
def agreement(
    parts: Parts,
    caller: Reviewer,
    blinded: Annotated[bool, Query(description="Blinded readings alone.")] = False,
) -> ReaderAgreement:
    """Return Cohen's kappas of readers with each other and with the model, by finding."""
    if parts.settings.blind and Scope.ADMIN not in caller.scopes:
        raise ServiceError(403, "BLINDED", "while readers are blinded, an administrator compares")
    return agreement_of(parts.store, blinded_only=blinded)
