"""Readings of films: given, and their history."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Response

from hilum.service.access import Parts, Reviewer, Viewer
from hilum.service.documents import (
    HistoryDocument,
    StaleVerdictDocument,
    VerdictDocument,
    VerdictRequest,
)
from hilum.service.parts import ServiceParts
from hilum.service.routes.films import found
from hilum.service.store.films import FilmRow
from hilum.service.store.verdicts import NewVerdict, StaleVersionError, StoredVerdict
from hilum.service.views import history_of, verdict_document
from hilum.web.problems import ServiceError, problem_responses

__all__ = ["router"]

router = APIRouter(prefix="/v1/films/{film_id}", tags=["readings"])

_VERSION = re.compile(r'"(\d{1,9})"')
IfMatch = Annotated[
    str,
    Header(alias="If-Match", description='Version that the reading is based on, such as `"3"`.'),
]


@router.put(
    "/verdict",
    status_code=201,
    response_model=VerdictDocument,
    responses={
        409: {"model": StaleVerdictDocument, "description": "Another version came between."},
        **problem_responses(400, 401, 403, 404, 421, 422, 428, 429, 507),
    },
)
def put_verdict(
    film_id: str, reading: VerdictRequest, parts: Parts, caller: Reviewer, if_match: IfMatch = ""
) -> Response:
    """Add a reading as the film's next version; `If-Match` names the version that was seen.

    Nothing is ever overwritten. Where another version came between, the answer is 409 with both.
    """
    film = found(parts, film_id)
    base = _base(if_match)
    _check(parts, reading)
    verdict = NewVerdict(
        film=film.id,
        reader=caller.reader,
        base=base,
        blinded=not parts.may_see(film.id, caller),
        bundle=film.bundle if film.line else "",
        thresholds=film.thresholds,
        body=reading.model_dump(mode="json"),
        boxes=[(box.finding, box.x, box.y, box.width, box.height) for box in reading.boxes],
    )
    try:
        made = parts.verdicts.add(verdict)
    except StaleVersionError as stale:
        raise _stale(parts, film, reading, stale.current) from None
    except LookupError:
        raise ServiceError(404, "NO_FILM", "there is no film of this id") from None
    parts.count("readings")
    document = verdict_document(parts, made, _before(parts, made))
    headers = {"ETag": f'"{made.version}"'}
    return Response(document.model_dump_json(), 201, headers, media_type="application/json")


@router.get(
    "/history",
    response_model=HistoryDocument,
    responses=problem_responses(401, 403, 404, 421, 429),
)
def history(film_id: str, parts: Parts, caller: Viewer) -> HistoryDocument:
    """Return all readings of a film, oldest first, with reader, time and what changed."""
    film = found(parts, film_id)
    if not parts.may_see(film.id, caller):
        raise ServiceError(403, "BLINDED", "give your own reading first; then others are shown")
    return history_of(parts, film)


def _base(header: str) -> int:
    if not header:
        raise ServiceError(
            428, "IF_MATCH_MISSING", 'a reading must name the version it is based on: If-Match: "0"'
        )
    version = _VERSION.fullmatch(header.strip())
    if version is None:
        raise ServiceError(400, "IF_MATCH_INVALID", 'If-Match must be one version, such as "3"')
    return int(version[1])


def _check(parts: ServiceParts, reading: VerdictRequest) -> None:
    """Refuse findings that the service does not know."""
    named = {*reading.findings, *(box.finding for box in reading.boxes)}
    if not named <= set(parts.bundle.findings):
        raise ServiceError(
            422,
            "FINDING_UNKNOWN",
            f"a finding must be one of {', '.join(parts.bundle.findings)}",
        )


def _stale(
    parts: ServiceParts, film: FilmRow, reading: VerdictRequest, current: int
) -> ServiceError:
    newest = parts.verdicts.version(film.id, current)
    shown = None if newest is None else verdict_document(parts, newest, _before(parts, newest))
    return ServiceError(
        409,
        "VERSION_STALE",
        "another reading came between; look at it, and give yours on top of it",
        {"ETag": f'"{current}"'},
        {
            "current": None if shown is None else shown.model_dump(mode="json"),
            "yours": reading.model_dump(mode="json"),
            "version": current,
        },
    )


def _before(parts: ServiceParts, verdict: StoredVerdict) -> list[StoredVerdict]:
    history = parts.verdicts.history(verdict.film)
    return [one for one in history if one.version < verdict.version]
