"""Every route with every kind of token is answered as the table in the documentation says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Client, Running, Start


ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "reference" / "http.md"
INCLUDED = {
    "submit": {"submit"},
    "read": {"read"},
    "review": {"review", "read"},
    "admin": {"submit", "read", "review", "admin"},
}
ROW = re.compile(r"^\| `(GET|POST|PUT|DELETE)` \| `([^`]+)` \| (\w+) \|", re.MULTILINE)


def routes() -> list[tuple[str, str, str]]:
    return ROW.findall(TABLE.read_text("utf-8"))


def test_the_table_has_every_route(review: Running) -> None:
    schema = review.client("read").get("/openapi.json").json()
    listed = {(method.lower(), path) for method, path, _ in routes()}
    assert listed == {(method, path) for path, ops in schema["paths"].items() for method in ops}


def status(client: Client, method: str, path: str) -> int:
    place = path.replace("{film_id}", "0" * 24).replace("{finding}", "Mass")
    body = {} if method == "PUT" else None
    headers = {"If-Match": '"0"'} if method == "PUT" else {}
    return client.request(method, place, headers=headers, json=body).status_code


def test_every_route_with_every_token(review: Running) -> None:
    tokens = {scope: review.client(scope, name=scope) for scope in INCLUDED}
    revoked = review.client("admin", name="gone")
    from hilum.service.parts import open_store

    store = open_store(review.store)
    store.tokens.revoke("gone")
    store.close()
    for method, path, scope in routes():
        if scope == "open":
            continue
        for name, client in tokens.items():
            got = status(client, method, path)
            allowed = scope in INCLUDED[name]
            assert (got != 403) == allowed, (method, path, name, got)
            assert got not in (401, 500), (method, path, name, got)
        nobody = review.nobody()
        assert status(nobody, method, path) == 401, (method, path)
    assert revoked.get("/v1/films").status_code == 401


def test_wrong_tokens_are_slowed_and_right_ones_are_not(
    start: Start, predicted: Path, tmp_path: Path
) -> None:
    review = start("--results", predicted, store=tmp_path / "store")
    right, wrong = review.client("read"), review.with_token("hilum_" + "a" * 43)
    got = [wrong.get("/v1/films").status_code for _ in range(12)]
    assert got == [401] * 10 + [429] * 2
    assert int(wrong.get("/v1/films").headers["retry-after"]) > 0
    assert right.get("/v1/films").status_code == 200
    session = wrong.post("/v1/session", json={"token": "guess"})
    assert session.status_code == 429
    assert review.stop() == 0


def test_the_link_gives_a_session_once(review: Running) -> None:
    browser = review.nobody()
    begun = browser.post("/v1/session", json={"token": review.once})
    assert begun.status_code == 201
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "admin" in begun.json()["scopes"]
    assert browser.get("/v1/films").status_code == 200
    assert review.nobody().post("/v1/session", json={"token": review.once}).status_code == 401
    assert browser.delete("/v1/session").status_code == 204
    assert browser.get("/v1/films").status_code == 401


@pytest.mark.parametrize("header", ["Host", "Origin"])
def test_other_names_and_origins_are_refused(review: Running, header: str) -> None:
    client = review.client("review")
    value = "evil.example" if header == "Host" else "http://evil.example"
    got = client.post("/v1/session", json={"token": "a"}, headers={header: value}).status_code
    assert got == (421 if header == "Host" else 403)


def test_tokens_are_in_no_log_and_no_process_list(review: Running) -> None:
    secret = review.token("read")
    client = review.with_token(secret)
    client.get("/v1/films")
    command = Path(f"/proc/{review.process.pid}/cmdline")
    if command.exists():
        assert secret.encode() not in command.read_bytes()
        assert review.once.encode() not in command.read_bytes()
    assert secret not in review.errors.read_text()
