"""The page and its parts: files of this package, and nothing else."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from hilum.service.problems import ServiceError

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@router.get("/")
def index() -> Response:
    """Return the page."""
    return _file("index.html")


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Return a script or a style of the page."""
    return _file(name)


def _file(name: str) -> Response:
    folder = files("hilum.service").joinpath("static")
    known = {one.name: one for one in folder.iterdir() if one.is_file()}
    kind = _KINDS.get(f".{name.rpartition('.')[2]}")
    if name not in known or kind is None:
        raise ServiceError(404, "NO_PAGE", "there is no such page")
    return Response(known[name].read_bytes(), media_type=kind)
