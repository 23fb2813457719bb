"""What every request passes before it is looked at, and what every answer carries."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from hilum.web.problems import PROBLEM_TYPE, ServiceError, problem_body
from hilum.web.settings import GuardRules, RequestLimits

__all__ = ["CONTENT_SECURITY_POLICY", "Guard"]

_LOG = logging.getLogger(__package__)
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "require-trusted-types-for 'script'"
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"x-hilum-notice", b"Research software, not a medical device"),
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """An ASGI application around another one.

    It answers only to its own names (`Host`), takes a change only from its own pages (`Origin`, and
    `X-Hilum` where the rules say so), refuses encoded bodies, bounds size and time of a body and
    the number of requests, and turns whatever goes wrong into a problem document. What it logs
    names no film and no text of a request.

    Args:
        inner: what answers.
        rules: names and limits.
    """

    def __init__(self, inner: Application, rules: GuardRules) -> None:
        self._inner = inner
        self._rules = rules
        self._busy: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send)
        address = (scope.get("client") or ("", 0))[0]
        self._busy[address] += 1
        limits = self._rules.limits
        most = self._rules.most_bytes(scope["method"], scope["path"])
        body = _Body(receive, limits, most)
        try:
            self._check(scope, address)
            _check_length(scope, most)
            await self._inner(scope, body.receive, answer.guarded(body))
        except ServiceError as error:
            await answer.problem(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever it was, no word of it reaches a client or a log
            _LOG.error("%s in %s", type(error).__name__, _where(error))
            problem = ServiceError(
                500, "INTERNAL", "this is a fault of hilum; its log has the place"
            )
            await answer.problem(problem)
        finally:
            body.let_go()
            self._busy[address] -= 1
            if not self._busy[address]:
                del self._busy[address]

    def _check(self, scope: Scope, address: str) -> None:
        rules, headers = self._rules, _headers(scope)
        busy = self._busy[address]
        if not rules.behind_proxy and busy > rules.limits.requests_per_address:
            raise ServiceError(
                429, "TOO_MANY_REQUESTS", "fewer requests at a time", {"Retry-After": "1"}
            )
        if self._busy.total() > rules.limits.requests:
            raise ServiceError(
                503, "TOO_BUSY", "too many requests at a time; send it again", {"Retry-After": "1"}
            )
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if name.lower() not in rules.hosts:
            raise ServiceError(
                421,
                "HOST_NOT_ALLOWED",
                f"Host must be a name of this service; see {rules.names_option}",
            )
        if headers.get("content-encoding", "identity") != "identity":
            raise ServiceError(
                415, "ENCODING_NOT_ALLOWED", "a body must come as it is, not encoded"
            )
        if scope["method"] in _SAFE:
            return
        scheme = "https" if rules.secure else "http"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scheme}://{host.lower()}":
            raise ServiceError(
                403, "ORIGIN_NOT_ALLOWED", "a change must come from hilum's own page"
            )
        if rules.marked and headers.get("x-hilum") != "1":
            raise ServiceError(403, "HEADER_MISSING", "a change must carry the header X-Hilum: 1")


@dataclass
class _Body:
    """The body of a request, with an eye on its size and its pace.

    Attributes:
        failure: why it was refused; None while it is not.
    """

    source: Receive
    limits: RequestLimits
    most: int
    failure: ServiceError | None = None
    _size: int = 0
    _begun: float = 0.0
    _done: bool = False

    async def receive(self) -> Message:
        """Return the next piece.

        Raises:
            ServiceError: when it is too large, or too slow.
        """
        if self._done:
            return await self.source()
        self._begun = self._begun or time.monotonic()
        try:
            message = await asyncio.wait_for(self.source(), self._patience())
        except TimeoutError:
            self.failure = ServiceError(
                408, "BODY_TOO_SLOW", "a body must keep coming", {"Connection": "close"}
            )
            raise self.failure from None
        self._size += len(message.get("body", b""))
        if self._size > self.most:
            self.failure = _too_large(self.most)
            raise self.failure
        self._done = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def let_go(self) -> None:
        """Forget the connection, which is not closed while a trace of an error refers to it."""
        self.source = _nothing
        if self.failure is not None:
            self.failure.__traceback__ = None

    def _patience(self) -> float:
        """Return the seconds until what has come so far is too little."""
        due = min(max(self.limits.slow_s, self._size / self.limits.bytes_per_s), self.limits.body_s)
        return max(0.01, self._begun + due + 0.01 - time.monotonic())


@dataclass
class _Answer:
    """The answer to a request, with the headers that all have."""

    send: Send
    begun: bool = False
    replaced: bool = False

    def guarded(self, body: _Body) -> Send:
        """Return a `send` that gives the reason where the body was refused."""

        async def send(message: Message) -> None:
            if body.failure is not None and not self.begun:
                await self.problem(body.failure)
                self.replaced = True
            if self.replaced:  # the application's own answer to what it could not read
                return
            if message["type"] == "http.response.start":
                self.begun = True
                own = {name for name, _ in message.get("headers", ())}
                more = [pair for pair in _HEADERS if pair[0] not in own]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await self.send(message)

        return send

    async def problem(self, error: ServiceError) -> None:
        """Send a problem document, unless an answer has begun."""
        if self.begun:
            return
        self.begun = True
        body = problem_body(error)
        headers = [
            (b"content-type", PROBLEM_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
            *_HEADERS,
        ]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers of a request; where one comes twice, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _check_length(scope: Scope, most: int) -> None:
    """Refuse a body that is announced as too long, before it comes."""
    text = _headers(scope).get("content-length", "0")
    if not text.isdecimal():
        raise ServiceError(400, "LENGTH_INVALID", "Content-Length must be a number")
    if int(text) > most:
        raise _too_large(most)


def _too_large(most: int) -> ServiceError:
    detail = f"a body must have at most {most:,} bytes"
    return ServiceError(413, "BODY_TOO_LARGE", detail, {"Connection": "close"})


def _where(error: BaseException) -> str:
    """Return the file and line of an error, without its words."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown place"
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
