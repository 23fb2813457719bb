"""A service holds its films against the reference of its bundle, and tells nothing of a patient."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

import httpx

from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.documents.watch import WatchReference
from hilum.domain.errors import Status
from hilum.monitoring.films import watched_films
from hilum.monitoring.reference import ReferenceRequest, fit_reference
from hilum.report.batch.results_jsonl import line_of
from hilum.service.app import application
from hilum.service.folder import FolderPictures
from hilum.service.parts import BundleOnShow, ServiceParts, Store, open_store
from hilum.service.settings import ServiceSettings
from hilum.service.store.films import NewFilm
from hilum.service.summaries import summarize
from hilum.service.watch import ServiceWatch

FINDINGS = ("Effusion", "Mass")
DAY_S = 86_400.0


def film(number: int, rng: np.random.Generator, shift: float, patient: str) -> ImageResult:
    p = 1 / (1 + np.exp(2 - shift - rng.normal(size=len(FINDINGS))))
    return ImageResult(
        input=f"Doe^Jane {number}.png",
        image_id=f"Doe^Jane {number}.png",
        sha256="0" * 64,
        status=Status.OK,
        patient=patient,
        findings={
            name: FindingResult.called(float(one), 0.3, calibrated=True)
            for name, one in zip(FINDINGS, p, strict=True)
        },
        bundle="b1",
        precision="f32",
    )


@pytest.fixture(scope="module")
def reference() -> WatchReference:
    rng = np.random.default_rng(0)
    rows = [film(k, rng, 0.0, f"p{k // 2}") for k in range(600)]
    request = ReferenceRequest(
        date="2026-01-02", false_alarms=0.05, drawn=1000, deals=1, rule_sha256="r" * 64
    )
    return fit_reference(watched_films(rows), request)


@dataclass
class Service:
    """A store, its watch, and the time of day.

    `made` is the time of a result in the store: it is set behind the store's back.
    """

    store: Store
    watch: ServiceWatch
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    now: float = 20_500 * DAY_S
    count: int = 0

    def score(self, films: int, shift: float = 0.0, *, patients: bool = True) -> None:
        """Record results, as a lane does."""
        for _ in range(films):
            number, self.count = self.count, self.count + 1
            result = film(number, self.rng, shift, f"n{number // 2}" if patients else "")
            new = NewFilm(f"{number:032x}", None, result.input, ".png", 9, "b1")
            self.store.films.add(new, "anna")
            self.store.films.finish(new.id, summarize(result, line_of(result)))
            when = (self.now, new.id)
            self.store.database.write(
                lambda one, when=when: one.execute("UPDATE result SET made=? WHERE film=?", when)
            )
            self.watch.note()


@pytest.fixture
def service(tmp_path: Path, reference: WatchReference) -> Iterator[Service]:
    store = open_store(tmp_path / "store")
    watch = ServiceWatch(store.database, "b1", reference, "s" * 64, every=50)
    made = Service(store, watch)
    watch.clock = lambda: made.now
    yield made
    store.close()


def answers(service: Service, *, blind: bool = False) -> tuple[dict[str, object], str]:
    """The summary and the metrics."""
    shown = BundleOnShow("b1", "b", dict.fromkeys(FINDINGS, 0.3))
    pictures = FolderPictures(service.store.root)
    parts = ServiceParts(
        service.store, ServiceSettings(blind=blind), shown, pictures, watch=service.watch
    )

    async def both() -> tuple[dict[str, object], str]:
        token = service.store.tokens.add("anna", ["read"])
        transport = httpx.ASGITransport(application(parts))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as client:
            return (await client.get("/v1/summary")).json(), (await client.get("/metrics")).text

    return asyncio.run(both())


def test_films_are_watched_by_lots_and_an_alarm_is_shown(service: Service) -> None:
    service.score(49)
    assert service.watch.books().days == 0
    service.score(1)
    assert (service.watch.books().verdict, service.watch.books().day) == ("no alarm", "films 1-50")
    service.score(50, shift=1.5)
    summary, metrics = answers(service)
    watch = summary["watch"]
    assert isinstance(watch, dict)
    assert watch["verdict"] == "alarm"
    assert (watch["day"], watch["days"], watch["alarmed"]) == ("films 51-100", 2, 1)
    assert watch["rule_void"]
    assert any("logit" in words or "probability" in words for words in watch["moved"])
    lines = set(metrics.splitlines())
    assert {"hilum_watch_alarm 1.0", "hilum_watch_rule_void 1.0"} <= lines
    assert {"hilum_watch_days_total 2.0", "hilum_watch_alarms_total 1.0"} <= lines
    for text in (json.dumps(summary), metrics, service.watch.books().model_dump_json()):
        assert "Doe" not in text
        assert "n1" not in text.replace("in 1", "")
        assert not any(f"{k:032x}" in text for k in range(100))


def test_who_reads_blinded_learns_only_that_it_alarmed(service: Service) -> None:
    service.score(50, shift=1.5)
    watch = answers(service, blind=True)[0]["watch"]
    assert isinstance(watch, dict)
    assert (watch["verdict"], watch["words"], watch["moved"]) == ("alarm", "", [])


def test_a_watch_goes_on_after_a_restart(service: Service, reference: WatchReference) -> None:
    service.score(70)
    again = ServiceWatch(service.store.database, "b1", reference, "s" * 64, every=50)
    assert again.books() == service.watch.books()
    service.watch = again
    service.score(30)
    assert (again.books().films, again.books().day) == (100, "films 51-100")
    assert again.books().state is not None
    # another reference begins anew, and counts all films
    other = ServiceWatch(service.store.database, "b1", reference, "t" * 64, every=50)
    assert other.books().films == 0


def test_days_by_date_end_with_the_first_film_of_the_next(service: Service) -> None:
    service.watch.every = None
    service.score(40)
    assert service.watch.books().days == 0
    service.now += DAY_S
    service.score(1)
    books = service.watch.books()
    assert (books.day, books.films, books.days) == ("2026-02-16", 40, 1)
    service.now += DAY_S
    service.score(40)  # the single film of yesterday is too little of a day
    assert service.watch.books().verdict == "not checked"
    service.now += DAY_S
    service.score(1)
    books = service.watch.books()
    assert (books.films, books.days, books.day) == (81, 2, "2026-02-18")


def test_films_without_a_patient_are_counted_apart(service: Service) -> None:
    service.score(50, patients=False)
    watch = answers(service)[0]["watch"]
    assert isinstance(watch, dict)
    assert (watch["verdict"], watch["apart"]) == ("not checked", 50)
    assert watch["words"] == "50 films without a patient cannot be watched"


def test_an_error_costs_the_check_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("Doe^Jane")

    monkeypatch.setattr("hilum.service.watch.check_films", broken)
    service.score(50)
    assert caplog.messages == ["films were not watched: ValueError"]
    assert service.watch.books().days == 0


def test_without_a_reference_the_summary_is_as_before(service: Service) -> None:
    shown = BundleOnShow("b1", "b", dict.fromkeys(FINDINGS, 0.3))
    parts = ServiceParts(service.store, ServiceSettings(), shown, FolderPictures(Path()))

    async def get() -> tuple[str, str]:
        token = service.store.tokens.add("anna", ["read"])
        transport = httpx.ASGITransport(application(parts))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as client:
            return (await client.get("/v1/summary")).text, (await client.get("/metrics")).text

    for text in asyncio.run(get()):
        assert "watch" not in text


def test_a_bundle_with_a_reference_is_watched(toy: Path, tmp_path: Path) -> None:
    from hilum.batch.score import BatchRequest
    from hilum.bundle.bundle import Bundle
    from hilum.cli.bundle import write
    from hilum.domain.documents.watch import WATCH_REFERENCE
    from hilum.domain.errors import UsageError
    from hilum.files.sealed import write_sealed
    from hilum.service.start import ScoringService

    plain = Bundle.load(toy / "bundle")
    rng = np.random.default_rng(0)
    request = ReferenceRequest(
        date="2026-01-02",
        false_alarms=0.05,
        drawn=1000,
        deals=1,
        bond=plain.manifest.calibration.bond,
        gate_sha256=plain.manifest.gate.sha256(),
    )
    rows = [film(k, rng, 0.0, f"p{k}") for k in range(200)]
    write_sealed(fit_reference(watched_films(rows), request), tmp_path / WATCH_REFERENCE)
    write(toy / "run", tmp_path / "bundle", watch=tmp_path)
    for bundle, watched in ((plain, False), (Bundle.load(tmp_path / "bundle"), True)):
        store = open_store(tmp_path / bundle.id)
        service = ScoringService(bundle, BatchRequest(pictures=None), 1)
        if not watched:
            with pytest.raises(UsageError, match="a bundle without a reference is not watched"):
                service.parts(store, ServiceSettings(watch_every=9))
        parts = service.parts(store, ServiceSettings(watch_every=9 if watched else None))
        assert (parts.watch is not None) is watched
        parts.close()
