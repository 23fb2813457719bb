"""Who asks: a token or a session, and the scope that a route needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from hilum.service.parts import ServiceParts
from hilum.service.store.tokens import AccessToken, Scope
from hilum.web.problems import ServiceError

__all__ = [
    "COOKIE",
    "Administrator",
    "Needs",
    "Parts",
    "Reviewer",
    "Submitter",
    "Viewer",
    "address_of",
    "caller_of",
    "refuse_wrong",
]

COOKIE = "hilum_session"


def parts_of(request: Request) -> ServiceParts:
    """Return the parts of the service that answers."""
    return request.app.state.parts


Parts = Annotated[ServiceParts, Depends(parts_of)]


def address_of(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else ""


def caller_of(request: Request, parts: Parts) -> AccessToken:
    """Return whoever asks.

    Raises:
        ServiceError: 401 without a token or session that is known; 429 for too many wrong ones.
    """
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    session = request.cookies.get(COOKIE, "")
    found = None
    if kind.lower() == "bearer" and secret:
        found = parts.store.tokens.find(secret.strip())
    elif session:
        found = parts.store.tokens.find(session, session=True)
    if found is not None:
        return found
    if secret or session:
        refuse_wrong(request, parts)
    raise ServiceError(
        401,
        "TOKEN_MISSING" if not (secret or session) else "TOKEN_UNKNOWN",
        "a request must carry a token (Authorization: Bearer ...) or a session; "
        "`hilum serve token add` makes one",
        {"WWW-Authenticate": "Bearer"},
    )


def refuse_wrong(request: Request, parts: ServiceParts) -> None:
    """Count a wrong token, and refuse the sender where there were too many.

    Raises:
        ServiceError: 429.
    """
    wait = parts.wrong_tokens.wait_s(address_of(request))
    if wait:
        raise ServiceError(
            429, "TOO_MANY_WRONG_TOKENS", "wait before another try", {"Retry-After": str(wait)}
        )


@dataclass(frozen=True)
class Needs:
    """The dependency of a route: a caller with a scope."""

    scope: Scope

    def __call__(self, caller: Annotated[AccessToken, Depends(caller_of)]) -> AccessToken:
        """Return the caller.

        Raises:
            ServiceError: 403 where the scope is missing.
        """
        if self.scope not in caller.scopes:
            raise ServiceError(
                403, "SCOPE_MISSING", f"this needs a token with the scope {self.scope}"
            )
        return caller


Submitter = Annotated[AccessToken, Depends(Needs(Scope.SUBMIT))]
Viewer = Annotated[AccessToken, Depends(Needs(Scope.READ))]
Reviewer = Annotated[AccessToken, Depends(Needs(Scope.REVIEW))]
Administrator = Annotated[AccessToken, Depends(Needs(Scope.ADMIN))]
