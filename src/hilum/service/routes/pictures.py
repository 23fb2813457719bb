"""What can be looked at of a film. The bytes that came in are never given out."""

from __future__ import annotations

from collections.abc import Callable

from anyio.to_thread import run_sync
from fastapi import APIRouter, Response

from hilum.service.access import Parts, Viewer
from hilum.service.parts import ServiceParts
from hilum.service.routes.films import found
from hilum.service.store.films import FilmRow
from hilum.service.store.tokens import AccessToken
from hilum.web.problems import ServiceError, problem_responses

__all__ = ["router"]

router = APIRouter(prefix="/v1/films/{film_id}", tags=["pictures"])

_PROBLEMS = problem_responses(401, 403, 404, 421, 429)
_FRAME = "application/octet-stream"
_JPEG = "image/jpeg"
_PNG = b"\x89PNG"


def _binary(kind: str, *more: str) -> dict[int | str, dict[str, object]]:
    content = {one: {"schema": {"type": "string", "format": "binary"}} for one in (kind, *more)}
    return {200: {"description": "The bytes.", "content": content}, **_PROBLEMS}


@router.get("/preview", response_class=Response, responses=_binary("image/jpeg"))
async def preview(film_id: str, parts: Parts, caller: Viewer) -> Response:
    """Return a small JPEG of the film."""
    del caller
    return await _answer(parts, lambda: parts.pictures.preview(found(parts, film_id)), _JPEG)


@router.get("/pixels", response_class=Response, responses=_binary(_FRAME))
async def pixels(film_id: str, parts: Parts, caller: Viewer) -> Response:
    """Return the film's grays: a JSON head, then a zlib stream of 8 or 16 bits each.

    The first 4 bytes are the length of the head (little-endian). Head: `rows`, `columns`, `bits`,
    `spacing_mm`, `orientation`, `laterality`. 0 is black, the largest number white.
    """
    del caller
    return await _answer(parts, lambda: parts.pictures.pixels(found(parts, film_id)), _FRAME)


@router.get("/maps", response_class=Response, responses=_binary(_FRAME))
async def maps(film_id: str, parts: Parts, caller: Viewer) -> Response:
    """Return the heatmaps of all findings on the network's grid: a JSON head, then float32.

    The first 4 bytes are the length of the head (little-endian). Head: `findings`, `rows`,
    `columns`, `film_rows`, `film_columns`, `peaks`, and `film_to_grid`, which holds scale and
    offset of columns and of rows: cell = scale * pixel + offset, from edges. All maps of a film
    share one scale.
    """
    return await _answer(parts, lambda: parts.pictures.maps(_seen(parts, film_id, caller)), _FRAME)


@router.get(
    "/overlay/{finding}",
    response_class=Response,
    responses=_binary("image/png", "image/jpeg"),
)
async def overlay(film_id: str, finding: str, parts: Parts, caller: Viewer) -> Response:
    """Return a picture of one finding's map over the film."""

    def work() -> bytes | None:
        return parts.pictures.overlay(_seen(parts, film_id, caller), finding)

    return await _answer(parts, work, _JPEG)


@router.get("/layer/{finding}", response_class=Response, responses=_binary("image/png"))
async def layer(film_id: str, finding: str, parts: Parts, caller: Viewer) -> Response:
    """Return one finding's map alone: a PNG with alpha that spans the film."""

    def work() -> bytes | None:
        return parts.pictures.layer(_seen(parts, film_id, caller), finding)

    return await _answer(parts, work, "image/png")


async def _answer(parts: ServiceParts, work: Callable[[], bytes | None], kind: str) -> Response:
    """Answer with a picture, made by one of the few threads that pictures have."""
    data = await run_sync(work, limiter=parts.looking)
    if data is None:
        raise ServiceError(404, "NO_PICTURE", "the film has no such picture")
    return Response(data, media_type="image/png" if data.startswith(_PNG) else kind)


def _seen(parts: ServiceParts, film_id: str, caller: AccessToken) -> FilmRow:
    """Return a film whose maps a caller may see."""
    film = found(parts, film_id)
    if not parts.may_see(film.id, caller):
        raise ServiceError(403, "BLINDED", "give your own reading first; then maps are shown")
    return film
