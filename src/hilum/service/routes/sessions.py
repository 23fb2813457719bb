"""Sessions of browsers: a token, or a one-time link, against a cookie that no script can read."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from hilum.service.access import COOKIE, Parts, Viewer, refuse_wrong
from hilum.service.documents import SessionDocument, SessionRequest
from hilum.service.parts import ServiceParts
from hilum.service.store.tokens import AccessToken
from hilum.web.problems import ServiceError, problem_responses

__all__ = ["router"]

router = APIRouter(prefix="/v1/session", tags=["session"])

_HOURS_12 = 12 * 3600


@router.post(
    "",
    status_code=201,
    response_model=SessionDocument,
    responses=problem_responses(400, 401, 403, 421, 422, 429, 507),
)
def begin(wanted: SessionRequest, request: Request, response: Response, parts: Parts) -> object:
    """Begin a session with a token, or with the secret of a one-time link."""
    made = parts.store.tokens.session(wanted.token)
    if made is None:
        refuse_wrong(request, parts)
        raise ServiceError(
            401,
            "TOKEN_UNKNOWN",
            "the token or link is not known, or was used; start hilum again for a new link",
            {"WWW-Authenticate": "Bearer"},
        )
    secret, caller = made
    response.set_cookie(
        COOKIE,
        secret,
        max_age=_HOURS_12,
        path="/",
        secure=parts.settings.secure,
        httponly=True,
        samesite="strict",
    )
    return _document(parts, caller)


@router.get("", response_model=SessionDocument, responses=problem_responses(401, 403, 421, 429))
def whose(parts: Parts, caller: Viewer) -> SessionDocument:
    """Return whose session, or token, this is."""
    return _document(parts, caller)


@router.delete("", status_code=204, responses=problem_responses(403, 421, 507))
def end(request: Request, parts: Parts) -> Response:
    """End the session."""
    secret = request.cookies.get(COOKIE, "")
    if secret:
        parts.store.tokens.end(secret)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def _document(parts: ServiceParts, caller: AccessToken) -> SessionDocument:
    return SessionDocument(
        reader=caller.reader,
        name=caller.name,
        scopes=tuple(sorted(caller.scopes)),
        blinded=parts.settings.blind,
        review_only=parts.queue is None,
    )
