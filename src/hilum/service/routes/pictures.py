"""What can be looked at of a film. The bytes that came in are never given out."""

from __future__ import annotations

from fastapi import APIRouter, Response

from hilum.service.access import Parts, Viewer
from hilum.service.problems import ServiceError, problem_responses
from hilum.service.routes.films import found

__all__ = ["router"]

router = APIRouter(prefix="/v1/films/{film_id}", tags=["pictures"])

_PROBLEMS = problem_responses(401, 403, 404, 421, 429)
_FRAME = "application/octet-stream"
_PNG = b"\x89PNG"


def _binary(kind: str, *more: str) -> dict[int | str, dict[str, object]]:
    content = {one: {"schema": {"type": "string", "format": "binary"}} for one in (kind, *more)}
    return {200: {"description": "The bytes.", "content": content}, **_PROBLEMS}


@router.get("/preview", response_class=Response, responses=_binary("image/jpeg"))
def preview(film_id: str, parts: Parts, caller: Viewer) -> Response:
    """Return a small JPEG of the film."""
    del caller
    return _answer(parts.pictures.preview(found(parts, film_id)), "image/jpeg")


@router.get("/pixels", response_class=Response, responses=_binary(_FRAME))
def pixels(film_id: str, parts: Parts, caller: Viewer) -> Response:
    """Return the film's grays: a JSON head, then a zlib stream of 8 or 16 bits each.

    The first 4 bytes are the length of the head (little-endian). Head: `rows`, `columns`, `bits`,
    `spacing_mm`, `orientation`, `laterality`. 0 is black, the largest number white.
    """
    del caller
    return _answer(parts.pictures.pixels(found(parts, film_id)), _FRAME)


@router.get("/maps", response_class=Response, responses=_binary(_FRAME))
def maps(film_id: str, parts: Parts, caller: Viewer) -> Response:
    """Return the heatmaps of all findings on the network's grid: a JSON head, then float32.

    The first 4 bytes are the length of the head (little-endian). Head: `findings`, `rows`,
    `columns`, `film_rows`, `film_columns`, `peaks`, and `film_to_grid`, which holds scale and
    offset of columns and of rows: cell = scale * pixel + offset, from edges. All maps of a film
    share one scale.
    """
    film = found(parts, film_id)
    if not parts.may_see(film.id, caller):
        raise _blinded()
    return _answer(parts.pictures.maps(film), _FRAME)


@router.get(
    "/overlay/{finding}",
    response_class=Response,
    responses=_binary("image/png", "image/jpeg"),
)
def overlay(film_id: str, finding: str, parts: Parts, caller: Viewer) -> Response:
    """Return a picture of one finding's map over the film."""
    film = found(parts, film_id)
    if not parts.may_see(film.id, caller):
        raise _blinded()
    data = parts.pictures.overlay(film, finding)
    kind = "image/png" if data is not None and data.startswith(_PNG) else "image/jpeg"
    return _answer(data, kind)


@router.get("/layer/{finding}", response_class=Response, responses=_binary("image/png"))
def layer(film_id: str, finding: str, parts: Parts, caller: Viewer) -> Response:
    """Return one finding's map alone: a PNG with alpha that spans the film."""
    film = found(parts, film_id)
    if not parts.may_see(film.id, caller):
        raise _blinded()
    return _answer(parts.pictures.layer(film, finding), "image/png")


def _answer(data: bytes | None, kind: str) -> Response:
    if data is None:
        raise ServiceError(404, "NO_PICTURE", "the film has no such picture")
    return Response(data, media_type=kind)


def _blinded() -> ServiceError:
    return ServiceError(403, "BLINDED", "give your own reading first; then maps are shown")
