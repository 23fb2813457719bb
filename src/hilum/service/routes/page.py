"""The page and its parts: files of this package and the viewer of the report, and nothing else."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from hilum.web.problems import ServiceError

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_VIEWER = ("viewer.js", "viewer_pixels.js", "viewer.css")
"""Files of the one viewer, which are served as the report has them."""


@router.get("/")
def index() -> Response:
    """Return the page."""
    return _file("index.html")


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Return a script or a style of the page."""
    return _file(name)


def _file(name: str) -> Response:
    kind = _KINDS.get(f".{name.rpartition('.')[2]}")
    known = _served()
    if name not in known or kind is None:
        raise ServiceError(404, "NO_PAGE", "there is no such page")
    return Response(known[name], media_type=kind)


@cache
def _served() -> dict[str, bytes]:
    """Return the files of the page by name."""
    own = files("hilum.service").joinpath("static")
    viewer = files("hilum.report").joinpath("templates")
    served = {one.name: one.read_bytes() for one in own.iterdir() if one.is_file()}
    return served | {name: viewer.joinpath(name).read_bytes() for name in _VIEWER}
