"""Errors as answers: RFC 9457 problem documents with a stable code, and nothing from inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from hilum.domain.documents import Document

__all__ = [
    "PROBLEM_TYPE",
    "ProblemDocument",
    "ServiceError",
    "problem_body",
    "problem_responses",
]

PROBLEM_TYPE = "application/problem+json"


class ProblemDocument(Document):
    """What went wrong, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    """Stable reason, for programs."""
    detail: str = ""
    """What must hold, what came, and what to do."""


class ServiceError(Exception):
    """A request that is refused.

    Args:
        status: of the answer.
        code: stable reason, for programs.
        detail: what must hold, what came, and what to do; no name, path or text of a film.
        headers: of the answer, such as `Retry-After`.
        extra: further members of the document.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def problem_body(error: ServiceError) -> bytes:
    """Return the document of an error.

    >>> problem_body(ServiceError(404, "NO_FILM", "no such film"))[:44]
    b'{"type":"about:blank","title":"Not Found","s'
    """
    document = ProblemDocument(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        code=error.code,
        detail=error.detail,
    )
    tree = {**document.model_dump(), **error.extra}
    return json.dumps(tree, separators=(",", ":")).encode("ascii")


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry of answers that are problems.

    Where a sender can have too many requests (429), the whole service can too (503).

    >>> list(problem_responses(404)), list(problem_responses(404, 429))
    ([404], [404, 429, 503])
    """
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    if 429 in statuses and 503 not in statuses:
        statuses = (*statuses, 503)
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
