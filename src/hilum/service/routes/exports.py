"""Readings as files."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Response

from hilum.service.access import Parts, Reviewer
from hilum.service.export import boxes_csv, labels_csv, verdicts_jsonl
from hilum.service.parts import ServiceParts, Store
from hilum.service.store.tokens import AccessToken, Scope
from hilum.web.problems import ServiceError, problem_responses

__all__ = ["router"]

router = APIRouter(prefix="/v1/export", tags=["export"])

_PROBLEMS = problem_responses(401, 403, 421, 429)


@router.get("/labels.csv", response_class=Response, responses=_PROBLEMS)
def labels(parts: Parts, caller: Reviewer) -> Response:
    """Return a row a film and reader: 1 present, 0 absent, -1 uncertain, blank not judged."""
    return _file(parts, caller, labels_csv, "labels.csv", "text/csv; charset=utf-8")


@router.get("/verdicts.jsonl", response_class=Response, responses=_PROBLEMS)
def verdicts(parts: Parts, caller: Reviewer) -> Response:
    """Return every version of every reading, one JSON object a line."""
    return _file(parts, caller, verdicts_jsonl, "verdicts.jsonl", "application/x-ndjson")


@router.get("/boxes.csv", response_class=Response, responses=_PROBLEMS)
def boxes(parts: Parts, caller: Reviewer) -> Response:
    """Return a row for each box of the newest readings, in shares of the film."""
    return _file(parts, caller, boxes_csv, "boxes.csv", "text/csv; charset=utf-8")


def _file(
    parts: ServiceParts,
    caller: AccessToken,
    made: Callable[[Store], str],
    name: str,
    kind: str,
) -> Response:
    if parts.settings.blind and Scope.ADMIN not in caller.scopes:
        raise ServiceError(403, "BLINDED", "while readers are blinded, an administrator exports")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(made(parts.store), headers=headers, media_type=kind)
