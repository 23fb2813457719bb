"""What every request passes: names, origins, sizes, paces; and what every answer carries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")

from hilum.domain.errors import UsageError
from hilum.service.settings import ServiceLimits, ServiceSettings
from hilum.web.guard import Guard
from hilum.web.rates import RateLimit

LIMITS = ServiceLimits(film_bytes=100, json_bytes=50, slow_s=0.2, body_s=0.6, bytes_per_s=1000.0)
SETTINGS = ServiceSettings(port=8000, names=("films.example",), limits=LIMITS)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the number of bytes of the body."""
    size, more = 0, scope["method"] != "GET"
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def hiding(scope: Any, receive: Any, send: Any) -> None:
    """Take whatever goes wrong with a body for a faulty one, as a parser of JSON does."""
    try:
        while (await receive()).get("more_body", False):
            pass
    except Exception:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"not JSON"})


async def broken(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("DOE^JANE 1950")


Piece = tuple[float, bytes]


def answered(
    headers: dict[str, str] | None = None,
    method: str = "POST",
    path: str = "/v1/x",
    body: Sequence[Piece] = ((0.0, b""),),
    app: Any = echo,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    given = {"host": "127.0.0.1:8000", "x-hilum": "1", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
    }
    pieces, sent = list(body), list[Any]()

    async def receive() -> dict[str, Any]:
        wait, data = pieces.pop(0)
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": data, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(app, SETTINGS.rules())(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"]


def test_an_answer_carries_its_headers() -> None:
    status, headers, body = answered(body=[(0.0, b"abc")])
    assert (status, body) == (200, b"3")
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "not a medical device" in headers["x-hilum-notice"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"host": "evil.example"}, 421, "HOST_NOT_ALLOWED"),
        ({"host": "127.0.0.1.evil.example:8000"}, 421, "HOST_NOT_ALLOWED"),
        ({"host": ""}, 421, "HOST_NOT_ALLOWED"),
        ({"x-hilum": ""}, 403, "HEADER_MISSING"),
        ({"origin": "http://evil.example"}, 403, "ORIGIN_NOT_ALLOWED"),
        ({"origin": "null"}, 403, "ORIGIN_NOT_ALLOWED"),
        ({"origin": "https://127.0.0.1:8000"}, 403, "ORIGIN_NOT_ALLOWED"),
        ({"content-encoding": "gzip"}, 415, "ENCODING_NOT_ALLOWED"),
        ({"content-length": "51"}, 413, "BODY_TOO_LARGE"),
        ({"content-length": "-1"}, 400, "LENGTH_INVALID"),
    ],
)
def test_a_request_that_is_not_ours_is_refused(
    headers: dict[str, str], status: int, code: str
) -> None:
    got, found, body = answered(headers)
    assert (got, json.loads(body)["code"]) == (status, code)
    assert found["content-type"] == "application/problem+json"
    assert "content-security-policy" in found


@pytest.mark.parametrize("host", ["localhost:8000", "[::1]:8000", "FILMS.example", "127.0.0.1"])
def test_its_own_names_are_answered(host: str) -> None:
    assert answered({"host": host, "origin": f"http://{host.lower()}"})[0] == 200


def test_reading_needs_no_header_of_ours() -> None:
    assert answered({"x-hilum": "", "origin": "http://evil.example"}, method="GET")[0] == 200


def test_a_body_without_a_length_ends_at_the_limit() -> None:
    status, headers, body = answered(body=[(0.0, b"a" * 30)] * 9)
    assert (status, json.loads(body)["code"]) == (413, "BODY_TOO_LARGE")
    assert headers["connection"] == "close"
    assert answered(path="/v1/films", body=[(0.0, b"a" * 30)] * 3)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        [(0.0, b"a"), (30.0, b"b")],
        [(0.05, b"a")] * 40,  # always something, and never enough
    ],
)
@pytest.mark.parametrize("app", [echo, hiding])
def test_a_slow_body_is_given_up(body: Sequence[Piece], app: Any) -> None:
    status, _, answer = answered(body=body, app=app)
    assert (status, json.loads(answer)["code"]) == (408, "BODY_TOO_SLOW")


def test_too_many_requests_at_a_time_are_put_off() -> None:
    """From one address, and from many: the one limit is its own fault, the other is not."""
    limits = ServiceLimits(requests=3, requests_per_address=2)
    sent: list[tuple[str, int, str]] = []

    async def run(addresses: Sequence[str]) -> None:
        held = asyncio.Event()

        async def holding(scope: Any, receive: Any, send: Any) -> None:
            await held.wait()
            await echo(scope, receive, send)

        guard = Guard(holding, ServiceSettings(port=8000, limits=limits).rules())

        async def one(address: str) -> None:
            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    code = dict(message["headers"]).get(b"retry-after", b"").decode()
                    sent.append((address, message["status"], code))

            head = [(b"host", b"127.0.0.1:8000")]
            scope = {"type": "http", "method": "GET", "path": "/", "headers": head}
            await guard({**scope, "client": (address, 1)}, None, send)

        requests = [asyncio.create_task(one(address)) for address in addresses]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        held.set()
        await asyncio.gather(*requests)
        held.set()
        await one("later")

    asyncio.run(run(["a", "a", "a", "b", "c"]))
    done = [("a", 200, ""), ("a", 200, ""), ("b", 200, "")]
    put_off = [("a", 429, "1"), ("c", 503, "1")]
    assert sent == [*put_off, *done, ("later", 200, "")]


def test_a_fault_says_nothing_of_a_film(caplog: pytest.LogCaptureFixture) -> None:
    status, _, body = answered(app=broken)
    assert status == 500
    assert b"DOE" not in body
    assert "DOE" not in caplog.text
    assert "ValueError in " in caplog.text


def test_a_bucket_fills_evenly() -> None:
    now = [0.0]
    limit = RateLimit(60, clock=lambda: now[0])
    assert [limit.wait_s("a") for _ in range(61)] == [0] * 60 + [1]
    now[0] = 2.0
    assert [limit.wait_s("a") for _ in range(3)] == [0, 0, 1]
    assert limit.wait_s("b") == 0


@pytest.mark.parametrize(
    ("settings", "tokens", "words"),
    [
        (ServiceSettings(host="0.0.0.0"), False, "needs a token"),
        (ServiceSettings(host="0.0.0.0"), True, "needs TLS"),
        (ServiceSettings(behind_proxy=True, secure=True), False, "needs a token"),
    ],
)
def test_others_reach_it_with_tokens_and_tls_alone(
    settings: ServiceSettings, tokens: bool, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        settings.check(tokens)


def test_this_machine_reaches_it_as_it_is() -> None:
    ServiceSettings().check(has_tokens=False)
    ServiceSettings(host="0.0.0.0", secure=True).check(has_tokens=True)
