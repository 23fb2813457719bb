"""The application: routes put together, errors as problem documents, and the schema."""

from __future__ import annotations

import errno
import json
import sqlite3
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from hilum import __version__
from hilum.domain.notice import NOT_A_DEVICE
from hilum.service.access import Needs
from hilum.service.parts import ServiceParts
from hilum.service.routes import (
    exports,
    films,
    numbers,
    page,
    pictures,
    sessions,
    status,
    verdicts,
)
from hilum.web.problems import PROBLEM_TYPE, ProblemDocument, ServiceError, problem_body

__all__ = ["application", "openapi_text"]

_PARTS = (status, films, pictures, verdicts, numbers, exports, sessions, page)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 400: "REQUEST_INVALID"}
_NO_TELEMETRY = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def application(parts: ServiceParts | None = None, dev: bool = False) -> FastAPI:
    """Return the application.

    Args:
        parts: what answers; None for the schema alone.
        dev: show `/docs`, which loads scripts from elsewhere.
    """
    app = FastAPI(
        title="hilum",
        version=__version__,
        description=f"Films in, results and readings out. {NOT_A_DEVICE}",
        docs_url="/docs" if dev else None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,  # type: ignore[arg-type]
    )
    app.state.parts = parts
    for part in _PARTS:
        app.include_router(part.router)
    app.add_api_route("/openapi.json", _openapi, include_in_schema=False)
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(sqlite3.OperationalError, _disk)
    app.add_exception_handler(Exception, _failed)
    return app


def openapi_text() -> str:
    """Return the OpenAPI schema, as it is committed with the documentation."""
    return json.dumps(_schema(application()), indent=2, ensure_ascii=False) + "\n"


def _openapi(request: Request) -> dict[str, Any]:
    return _schema(request.app)


def _schema(app: FastAPI) -> dict[str, Any]:
    """Return FastAPI's schema with hilum's problem documents in place of its own errors."""
    schema = app.openapi()
    parts = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        parts.pop(name, None)
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    parts["ProblemDocument"] = problem
    schema["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "hilum_session"},
    }
    scopes = _scopes()
    reference = {"$ref": "#/components/schemas/ProblemDocument"}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            scope = scopes.get((path, method.upper()))
            if scope is not None:
                operation["security"] = [{"token": []}, {"session": []}]
                operation["x-scope"] = scope
            answers = operation["responses"]
            if "422" in answers:
                content = {PROBLEM_TYPE: {"schema": reference}}
                answers["422"] = {"description": "Unprocessable Content", "content": content}
            for number, answer in answers.items():
                if int(number) >= 400 and "application/json" in answer.get("content", {}):
                    answer["content"][PROBLEM_TYPE] = answer["content"].pop("application/json")
    return schema


def _scopes() -> dict[tuple[str, str], str]:
    """Return the scope that each route needs, by path and method; open routes are left out."""
    return {
        (route.path, method): one.call.scope.value
        for part in _PARTS
        for route in part.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
        for one in route.dependant.dependencies
        if isinstance(one.call, Needs)
    }


def _problem(error: ServiceError) -> Response:
    return Response(problem_body(error), error.status, error.headers, media_type=PROBLEM_TYPE)


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return _problem(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    """Say which fields are wrong and why, without what was sent."""
    faults = error.errors() if isinstance(error, RequestValidationError) else ()
    detail = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'][:2])}: {fault['msg']}"
        for fault in faults[:5]
    )
    return _problem(ServiceError(422, "REQUEST_INVALID", detail[:500]))


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES.get(error.status_code, "REQUEST_INVALID")
    refused = ServiceError(error.status_code, code, "there is no such route or method")
    refused.headers = dict(error.headers or {})
    return _problem(refused)


async def _disk(_request: Request, error: Exception) -> Response:
    """Say that the disk is full; any other error of it is a fault."""
    full = error.errno in _FULL if isinstance(error, OSError) else "is full" in str(error)
    if not full:
        raise error
    return _problem(ServiceError(507, "DISK_FULL", "the store's disk is full"))


async def _failed(_request: Request, _error: Exception) -> Response:
    return _problem(
        ServiceError(500, "INTERNAL", "this is a fault of hilum; its log has the place")
    )
