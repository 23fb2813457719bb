"""Films: sent, listed, looked up and deleted."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import unquote

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.requests import ClientDisconnect

from hilum.domain.errors import UsageError
from hilum.service.access import Administrator, Parts, Submitter, Viewer
from hilum.service.documents import (
    FilmDocument,
    SubmittedFilm,
    WorklistDocument,
    WorklistParameters,
)
from hilum.service.objects import TooLargeError, UploadedBytes, harmless_suffix
from hilum.service.parts import ServiceParts
from hilum.service.store.films import FilmRow, FilmState, NewFilm
from hilum.service.store.tokens import AccessToken
from hilum.service.store.worklist import BLINDED_SORTS, BLINDED_STATES, WorklistQuery
from hilum.service.views import film_document, links_of, listed_film
from hilum.web.problems import ServiceError, problem_responses

if TYPE_CHECKING:
    from hilum.service.queue import FilmQueue

__all__ = ["found", "router"]

router = APIRouter(prefix="/v1/films", tags=["films"])

_LONGEST_WAIT_S = 60
_LONGEST_NAME = 1024
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Name = Annotated[
    str,
    Header(
        alias="X-Hilum-Name",
        description="Name of the film, percent-encoded UTF-8. It is shown, and never a path.",
        max_length=3 * _LONGEST_NAME,
    ),
]
Prefer = Annotated[
    str, Header(description="`wait=N`: answer with the result if there is one in N seconds.")
]


@router.post(
    "",
    status_code=202,
    response_model=SubmittedFilm,
    openapi_extra=_BODY,
    responses={
        200: {"model": FilmDocument, "description": "The same bytes are here already."},
        201: {"model": FilmDocument, "description": "Safe on the disk, and with its result."},
        202: {"model": SubmittedFilm, "description": "Safe on the disk; the result comes later."},
        **problem_responses(400, 401, 403, 408, 409, 413, 415, 421, 429, 503, 507),
    },
)
async def submit(
    request: Request,
    parts: Parts,
    caller: Submitter,
    name: Name = "",
    prefer: Prefer = "",
) -> Response:
    """Take the bytes of one film, and answer when they are safe on the disk.

    The body is the file as it is: PNG, JPEG, TIFF or DICOM. The same bytes have the same id.
    """
    if parts.queue is None:
        raise ServiceError(409, "REVIEW_ONLY", "this service reviews results and takes no films")
    called = _name(name)
    wait = parts.uploads.wait_s(str(caller.id))
    if wait:
        raise ServiceError(
            429, "TOO_MANY_UPLOADS", "fewer films a minute", {"Retry-After": str(wait)}
        )
    if parts.queue.is_full():
        raise _queue_full()
    with _QueuePlace(parts.queue) as place:
        film, new = await _kept(request, parts, called, caller, place)
    parts.count("films_received")
    pending = parts.queue.pending(film)
    seconds = _WAIT.search(prefer)
    if pending is not None and seconds is not None:
        patience = min(int(seconds[1]), _LONGEST_WAIT_S)
        await asyncio.wait([asyncio.wrap_future(pending)], timeout=patience)
    return await run_sync(_answer, parts, film, caller, new)


@router.get(
    "", response_model=WorklistDocument, responses=problem_responses(400, 401, 403, 421, 429)
)
def list_films(
    parts: Parts,
    caller: Viewer,
    wanted: Annotated[WorklistParameters, Query()],
) -> Response:
    """List films a page at a time: unread first, by largest margin over a threshold.

    Every input is in it, failed ones too. `sort` is `priority` (the default; while the service is
    blinded, `name`), `name`, `-name`, `added`, `-added`, `status`, `view`, `readings`, `-readings`,
    `second_look`, `-second_look` or `finding:NAME`.
    """
    sort = wanted.sort or ("name" if parts.settings.blind else "priority")
    revealing = (
        wanted.state in BLINDED_STATES
        or bool(wanted.finding or wanted.reader or wanted.status or wanted.code)
        or sort.partition(":")[0] in _blinded_sorts()
    )
    if parts.settings.blind and revealing:
        raise ServiceError(
            403, "BLINDED", "while readers are blinded, no list may tell what was found"
        )
    query = WorklistQuery(
        reader=caller.reader,
        state=wanted.state,
        finding=wanted.finding,
        view=wanted.view,
        status=wanted.status,
        code=wanted.code,
        read_by=wanted.reader,
        patient_of=wanted.patient_of,
        text=wanted.q,
        sort=sort,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    try:
        page = parts.worklist.page(query)
    except UsageError as error:
        raise ServiceError(400, "QUERY_INVALID", str(error)) from None
    counts = parts.shown_counts(caller)
    document = WorklistDocument(
        films=tuple(listed_film(parts, one, caller) for one in page.films),
        next=page.cursor or None,
        counts=counts,
    )
    return Response(document.model_dump_json(), media_type="application/json")


@router.get(
    "/{film_id}",
    response_model=FilmDocument,
    responses=problem_responses(401, 403, 404, 421, 429),
)
def get_film(film_id: str, parts: Parts, caller: Viewer) -> Response:
    """Return a film with its result; the ETag is the version of its newest reading."""
    film = found(parts, film_id)
    return _document(parts, film, caller, 200)


@router.delete(
    "/{film_id}", status_code=204, responses=problem_responses(401, 403, 404, 409, 421, 429, 507)
)
def delete_film(film_id: str, parts: Parts, caller: Administrator) -> Response:
    """Remove a film's bytes, results and readings; its hash stays in the audit trail."""
    film = found(parts, film_id)
    if film.place:
        raise ServiceError(409, "REVIEW_ONLY", "the films of a folder of results stay in it")
    parts.store.films.delete(film.id, caller.reader)
    parts.store.objects.remove(film.id, film.sha256)
    return Response(status_code=204)


def found(parts: ServiceParts, film_id: str) -> FilmRow:
    """Return a film.

    Raises:
        ServiceError: 404.
    """
    film = parts.store.films.film(film_id)
    if film is None:
        raise ServiceError(404, "NO_FILM", "there is no film of this id")
    return film


def _blinded_sorts() -> frozenset[str]:
    return BLINDED_SORTS | {"finding", "readings", "-readings", "second_look", "-second_look"}


class _QueuePlace:
    """A place in the queue for one film, taken when all its bytes are here.

    Taken before, places would be held by whoever sends slowly.
    """

    def __init__(self, queue: FilmQueue) -> None:
        self._queue = queue
        self._reserved = False

    def take(self) -> None:
        """Take the place.

        Raises:
            ServiceError: 503.
        """
        if not self._queue.reserve():
            raise _queue_full()
        self._reserved = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reserved:
            self._queue.release()


def _queue_full() -> ServiceError:
    return ServiceError(
        503, "QUEUE_FULL", "the queue is full; send the film again", {"Retry-After": "1"}
    )


async def _kept(
    request: Request, parts: ServiceParts, name: str, caller: AccessToken, place: _QueuePlace
) -> tuple[str, bool]:
    """Receive a film and bring it into the store; return its id, and whether it is new."""
    limits = parts.settings.limits
    if await run_sync(parts.store.films.size_bytes) >= limits.store_bytes:
        raise ServiceError(
            507, "QUOTA_REACHED", f"the store must keep under {limits.store_bytes:,} bytes"
        )
    try:
        received = await parts.store.objects.receive(
            request.stream(), limits.film_bytes, place.take
        )
        return await run_sync(_added, parts, received, name, caller)
    except TooLargeError:
        raise ServiceError(
            413, "BODY_TOO_LARGE", f"a film must have at most {limits.film_bytes:,} bytes"
        ) from None
    except ClientDisconnect:
        raise ServiceError(400, "BODY_CUT_SHORT", "the sender went away") from None


def _added(
    parts: ServiceParts, received: UploadedBytes, name: str, caller: AccessToken
) -> tuple[str, bool]:
    film = NewFilm(
        id=received.sha256[:24],
        sha256=received.sha256,
        name=name or received.sha256[:12],
        suffix=harmless_suffix(name),
        size=received.size,
        bundle=parts.bundle.id,
    )
    new = parts.store.films.add(film, caller.reader)
    if new and parts.queue is not None:
        parts.queue.put(film.id)
    return film.id, new


def _answer(parts: ServiceParts, film_id: str, caller: AccessToken, new: bool) -> Response:
    film = found(parts, film_id)
    if film.state is FilmState.DONE:
        return _document(parts, film, caller, 201 if new else 200)
    links = links_of(parts, film, seen=parts.may_see(film.id, caller))
    document = SubmittedFilm(id=film.id, state=parts.state_of(film), links=links)
    return Response(
        document.model_dump_json(),
        202,
        {"Location": links.self, "Retry-After": "1"},
        media_type="application/json",
    )


def _document(parts: ServiceParts, film: FilmRow, caller: AccessToken, status: int) -> Response:
    version = parts.verdicts.current(film.id, caller.reader)
    headers = {"ETag": f'"{version}"', "Location": f"/v1/films/{film.id}"}
    body = film_document(parts, film, caller)
    return Response(body, status, headers, media_type="application/json")


def _name(header: str) -> str:
    """Return the name that a header encodes.

    >>> _name("a%20b.png")
    'a b.png'
    """
    try:
        name = unquote(header, errors="strict")
        name.encode("utf-8")
    except UnicodeError:
        raise ServiceError(
            400, "NAME_INVALID", "X-Hilum-Name must be percent-encoded UTF-8"
        ) from None
    if len(name) > _LONGEST_NAME:
        raise ServiceError(
            400, "NAME_INVALID", f"a name must have at most {_LONGEST_NAME} characters"
        )
    return name
