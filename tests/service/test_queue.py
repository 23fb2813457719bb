"""A full queue, a full store and a full disk are said, and nothing is half."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

import httpx

from hilum.service.app import application
from hilum.service.folder import FolderPictures
from hilum.service.parts import BundleOnShow, ServiceParts, open_store
from hilum.service.settings import ServiceLimits, ServiceSettings


class Waiting:
    """A queue that takes films and never scores them."""

    most = 2

    def __init__(self) -> None:
        self.films: list[str] = []
        self.reserved = 0

    def reserve(self) -> bool:
        if len(self.films) + self.reserved >= self.most:
            return False
        self.reserved += 1
        return True

    def release(self) -> None:
        self.reserved -= 1

    def put(self, film: str) -> None:
        self.films.append(film)

    def pending(self, _film: str) -> None:
        return None

    def is_reading(self, _film: str) -> bool:
        return False

    def length(self) -> int:
        return len(self.films)

    def close(self) -> None: ...


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[ServiceParts]:
    settings = ServiceSettings(limits=ServiceLimits(store_bytes=8, uploads_per_minute=5))
    store = open_store(tmp_path / "store")
    shown = BundleOnShow("b1", "b", {"Mass": 0.5})
    queue: Any = Waiting()
    made = ServiceParts(store, settings, shown, FolderPictures(tmp_path), queue)
    yield made
    made.close()


async def sent(parts: ServiceParts, *bodies: bytes) -> list[Any]:
    token = parts.store.tokens.add("anna", ["submit"])
    transport = httpx.ASGITransport(application(parts), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=headers
    ) as client:
        return [await client.post("/v1/films", content=body) for body in bodies]


def told(answers: list[Any]) -> list[tuple[int, str]]:
    return [(one.status_code, one.json().get("code", "")) for one in answers]


@pytest.mark.anyio
async def test_a_full_queue_asks_to_come_again(parts: ServiceParts) -> None:
    answers = await sent(parts, b"a", b"b", b"c")
    assert told(answers) == [(202, ""), (202, ""), (503, "QUEUE_FULL")]
    assert answers[2].headers["retry-after"] == "1"
    assert answers[0].headers["location"] == f"/v1/films/{answers[0].json()['id']}"
    assert parts.store.films.unfinished() == [one.json()["id"] for one in answers[:2]]


@pytest.mark.anyio
async def test_a_full_store_takes_no_more(parts: ServiceParts) -> None:
    answers = await sent(parts, b"12345678", b"9")
    assert told(answers) == [(202, ""), (507, "QUOTA_REACHED")]


@pytest.mark.anyio
async def test_a_full_disk_leaves_nothing_half(
    parts: ServiceParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hilum.service.objects.os.write", full)
    assert told(await sent(parts, b"a")) == [(507, "DISK_FULL")]
    monkeypatch.undo()
    monkeypatch.setattr("hilum.service.objects.os.fsync", full)
    assert told(await sent(parts, b"a")) == [(507, "DISK_FULL")]
    assert parts.store.films.unfinished() == []
    assert [path for path in parts.store.objects.root.rglob("*") if path.parent.name == "tmp"] == []


@pytest.mark.anyio
async def test_one_token_sends_so_many_a_minute(parts: ServiceParts) -> None:
    answers = await sent(parts, *[b"a"] * 6)
    assert told(answers)[-1] == (429, "TOO_MANY_UPLOADS")
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.anyio
async def test_telemetry_exports_nothing(parts: ServiceParts) -> None:
    from opentelemetry import metrics, trace

    await sent(parts, b"a")
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        assert type(provider).__module__.startswith("opentelemetry.")
        assert not hasattr(provider, "add_span_processor"), "an exporter could be behind it"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
