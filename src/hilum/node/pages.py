"""The pages of a node: a status page without script, whether it is alive and ready, and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from jinja2 import Environment, StrictUndefined, Template
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hilum.domain.notice import NOT_A_DEVICE
from hilum.node.metrics import metrics_text
from hilum.node.settings import PageListener
from hilum.node.view import NodeView
from hilum.web.problems import PROBLEM_TYPE, ServiceError, problem_body
from hilum.web.server import BackgroundServer
from hilum.web.settings import GuardRules, ListenAddress, RequestLimits, names_of

__all__ = ["node_application", "page_server"]

_LIMITS = RequestLimits(json_bytes=4096, connections=128)
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0


def page_server(view: NodeView, listener: PageListener) -> BackgroundServer:
    """Return a server of the pages alone.

    Raises:
        UsageError: when the address cannot be listened on.
    """
    rules = GuardRules(
        hosts=names_of(listener.host, listener.names),
        limits=_LIMITS,
        names_option="listen.status.names",
        marked=False,
    )
    address = ListenAddress(listener.host, listener.port, remedy="Give another with listen.status")
    return BackgroundServer(node_application(view), rules, address)


def node_application(view: NodeView, more: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application of a node.

    Args:
        view: of the node.
        more: routes that come before the pages, such as those that take films.
    """

    async def metrics(_request: Request) -> Response:
        return Response(await run_sync(metrics_text, view), media_type=_METRICS)

    async def ready(_request: Request) -> Response:
        why = await run_sync(view.unready)
        return PlainTextResponse(f"{why or 'ready'}\n", 503 if why else 200)

    async def status(_request: Request) -> Response:
        return Response(await run_sync(status_page, view), media_type="text/html; charset=utf-8")

    async def retry(request: Request) -> Response:
        await run_sync(view.retry, _study(await request.body()))
        return RedirectResponse("/", 303)

    return Starlette(
        routes=[
            *more,
            Route("/", status),
            Route("/status.css", _style),
            Route("/healthz", _alive),
            Route("/readyz", ready),
            Route("/metrics", metrics),
            Route("/retry", retry, methods=["POST"]),
        ],
        exception_handlers={ServiceError: _problem},
    )


def status_page(view: NodeView) -> str:
    """Return the status page: what failed first; no patient but pseudonyms."""
    now, waiting = view.overview(), view.oldest()
    names = view.pseudonyms(
        {one["study"] for one in now.failures} | {line.study for line in waiting}
    )
    return _template().render(
        notice=NOT_A_DEVICE,
        bundle=view.bundle,
        unready=view.unready(),
        now=now,
        waiting=waiting,
        names=names,
        failures=[_failure(one, names) for one in now.failures],
        groups=[
            ("Studies", now.studies),
            ("Films", now.films),
            ("Refused", now.refused),
            *((f"To {name}", states) for name, states in now.destinations.items()),
        ],
        age=_age,
    )


def _failure(one: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    """Return the row of a failure."""
    what = "study"
    if "film" in one:
        what = f"film {one['film']}"
    elif "object" in one:
        what = f"object {one['object']} to {one['destination']}"
    reasons = (one.get("code"), one.get("status"), one.get("words"))
    return {
        "study": one["study"],
        "patient": names.get(one["study"], ""),
        "what": what,
        "why": " ".join(str(word) for word in reasons if word) or "a film failed",
        "tries": one.get("tries", ""),
    }


def _age(seconds: float) -> str:
    """Return an age in words.

    >>> [_age(seconds) for seconds in (5, 300, 7200, 200000)]
    ['5 s', '5 min', '2 h', '2 days']
    """
    for unit, words in ((_DAY_S, "days"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit * (2 if unit == _DAY_S else 1):
            return f"{seconds / unit:.0f} {words}"
    return f"{seconds:.0f} s"


def _study(body: bytes) -> int | None:
    """Return the number of the study in a form; None for all.

    Raises:
        ServiceError: 400 for anything else.
    """
    words = parse_qs(body.decode("ascii", "replace")).get("study", [])
    if not words:
        return None
    if len(words) > 1 or not words[0].isdecimal() or len(words[0]) > 15:
        raise ServiceError(400, "STUDY_INVALID", "study must be the number of a study")
    return int(words[0])


async def _style(_request: Request) -> Response:
    return Response(_file("status.css"), media_type="text/css; charset=utf-8")


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return Response(problem_body(error), error.status, error.headers, media_type=PROBLEM_TYPE)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_file("status.html"))


@cache
def _file(name: str) -> str:
    return files("hilum.node").joinpath("static", name).read_text("utf-8")
