"""A full queue, a full store and a full disk are said, and nothing is half."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
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

    def is_full(self) -> bool:
        return len(self.films) + self.reserved >= self.most

    def reserve(self) -> bool:
        if self.is_full():
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
    monkeypatch.setattr("hilum.files.atomic.os.fsync", full)
    assert told(await sent(parts, b"a")) == [(507, "DISK_FULL")]
    assert parts.store.films.unfinished() == []
    assert [path for path in parts.store.objects.root.rglob("*") if path.parent.name == "tmp"] == []


@pytest.mark.anyio
async def test_who_sends_slowly_holds_no_place(parts: ServiceParts) -> None:
    """A place is taken when the whole film is here, and of two last films one is put off."""
    token = parts.store.tokens.add("anna", ["submit"])
    transport = httpx.ASGITransport(application(parts), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"}
    rest = asyncio.Event()

    async def slow(first: bytes) -> AsyncIterator[bytes]:
        yield first
        await rest.wait()
        yield b"."

    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=headers
    ) as client:
        slowly = [
            asyncio.create_task(client.post("/v1/films", content=slow(one))) for one in (b"a", b"b")
        ]
        await asyncio.sleep(0.05)
        honest = await client.post("/v1/films", content=b"c")
        rest.set()
        answers = await asyncio.gather(*slowly)
    assert told([honest]) == [(202, "")]
    assert sorted(told(answers)) == [(202, ""), (503, "QUEUE_FULL")]
    objects = parts.store.objects.root / "objects"
    assert sum(path.is_file() for path in objects.rglob("*")) == 2


@pytest.mark.anyio
async def test_books_without_room_take_no_reading_and_no_film(parts: ServiceParts) -> None:
    """SQLite's own word for a full disk, for whatever is written."""
    token = parts.store.tokens.add("anna", ["submit", "review"])
    transport = httpx.ASGITransport(application(parts), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}", "If-Match": '"0"'}
    reading = {"findings": {"Mass": "present"}, "note": "n" * 2000}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=headers
    ) as client:
        film = (await client.post("/v1/films", content=b"a")).json()["id"]
        parts.store.database.write(lambda books: books.execute("PRAGMA max_page_count=1"))
        answers = []
        for version in range(40):
            headers = {"If-Match": f'"{version}"'}
            place = f"/v1/films/{film}/verdict"
            answers.append(await client.put(place, json=reading, headers=headers))
            if answers[-1].status_code != 201:
                break
    assert told(answers)[-1] == (507, "DISK_FULL")
    kept = len(answers) - 1
    assert parts.verdicts.current(film, "R1") == kept
    assert [one.version for one in parts.verdicts.history(film)] == list(range(1, kept + 1))


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
