"""What the service is, how it is, and its counters."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from hilum import __version__
from hilum.domain.documents.watch import DayVerdict
from hilum.service.access import Parts, Viewer
from hilum.service.documents import BundleDocument, VersionDocument
from hilum.service.parts import ServiceParts
from hilum.web.problems import ServiceError, problem_responses

__all__ = ["router"]

router = APIRouter(tags=["status"])

_PROBLEMS = problem_responses(401, 403, 421, 429)


@router.get("/healthz", response_class=PlainTextResponse, responses=problem_responses(421))
async def healthz() -> PlainTextResponse:
    """Return `ok` while the process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", response_class=PlainTextResponse, responses=problem_responses(421, 503))
def readyz(parts: Parts) -> PlainTextResponse:
    """Return `ready` while the store answers and the queue has room."""
    if parts.queue is not None and parts.queue.length() >= parts.queue.most:
        raise ServiceError(503, "QUEUE_FULL", "the queue is full", {"Retry-After": "1"})
    parts.store.database.one("SELECT 1")
    return PlainTextResponse("ready\n")


@router.get("/metrics", response_class=PlainTextResponse, responses=_PROBLEMS)
def metrics(parts: Parts, caller: Viewer) -> Response:
    """Return counters in the text format of Prometheus; no name of a film, patient or reader."""
    del caller
    registry = CollectorRegistry()
    registry.register(_Counters(parts))
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")


@router.get("/v1/bundle", response_model=BundleDocument, responses=_PROBLEMS)
def bundle(parts: Parts, caller: Viewer) -> BundleDocument:
    """Return what scores, or scored, the films."""
    del caller
    shown, blind = parts.bundle, parts.settings.blind
    numbers = None if blind else shown.evaluation
    return BundleDocument(
        id=shown.id,
        name=shown.name,
        findings=shown.findings,
        thresholds=None if blind else dict(shown.thresholds),
        evaluation=None if numbers is None else numbers.model_dump(mode="json"),
        review_only=parts.queue is None,
        blinded=blind,
    )


@router.get("/version", response_model=VersionDocument, responses=_PROBLEMS)
def version(caller: Viewer) -> VersionDocument:
    """Return the version of hilum."""
    del caller
    return VersionDocument(hilum=__version__)


class _Counters(Collector):
    """The counters of a service, collected at each request."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts

    def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        """Return the counters."""
        parts = self._parts
        waiting = parts.queue.length() if parts.queue is not None else 0
        gauges = {
            "hilum_queue_length": ("Films that wait or are worked on.", waiting),
            "hilum_store_bytes": ("Bytes of films in the store.", parts.store.films.size_bytes()),
        }
        books = None if parts.watch is None else parts.watch.books()
        if books is not None:
            void, last = int(books.rule_void), int(books.verdict == DayVerdict.ALARM.value)
            gauges |= {
                "hilum_watch_alarm": ("Whether the last day of the watch alarmed.", last),
                "hilum_watch_rule_void": ("Whether the rule-out rule no longer holds.", void),
                "hilum_watch_checked_timestamp_seconds": ("Time of the last check.", books.at),
            }
        counters = {
            "hilum_films_received": "Films received since the start.",
            "hilum_readings": "Readings received since the start.",
        }
        found: list[CounterMetricFamily | GaugeMetricFamily] = [
            GaugeMetricFamily(name, text, value=value) for name, (text, value) in gauges.items()
        ]
        for name, text in counters.items():
            value = parts.counts.get(name.removeprefix("hilum_"), 0)
            found.append(CounterMetricFamily(name, text, value=value))
        if books is not None:
            found += [
                CounterMetricFamily("hilum_watch_days", "Days held to the limits.", books.days),
                CounterMetricFamily("hilum_watch_alarms", "Days that alarmed.", books.alarmed),
            ]
        return found
