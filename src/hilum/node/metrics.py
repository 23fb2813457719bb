"""A node's numbers in the text format of Prometheus; no patient, UID or name from outside."""

from __future__ import annotations

from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from hilum.node.tally import BOUNDS
from hilum.node.view import NodeView

__all__ = ["metrics_text"]

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily
_STATES = ("waiting", "running", "complete", "failed")


def metrics_text(view: NodeView) -> bytes:
    """Return the numbers of a node."""
    registry = CollectorRegistry()
    registry.register(_Numbers(view))
    return generate_latest(registry)


class _Numbers(Collector):
    """The numbers, collected at each request."""

    def __init__(self, view: NodeView) -> None:
        self._view = view

    def collect(self) -> list[Family]:
        """Return them."""
        view = self._view
        found = view.overview()
        studies = GaugeMetricFamily("hilum_studies", "Studies by state.", labels=["state"])
        for state in _STATES:
            studies.add_metric([state], found.studies.get(state, 0))
        deliveries = GaugeMetricFamily(
            "hilum_deliveries",
            "Objects by destination and state.",
            labels=["destination", "state"],
        )
        for name, states in found.destinations.items():
            for state, number in states.items():
                deliveries.add_metric([name, state], number)
        return [
            self._counter("received", "Objects received since the start.", ["result"]),
            self._counter("sent", "Answers to objects that were sent.", ["destination", "result"]),
            self._counter("connection", "Connections closed or rejected.", ["result"]),
            studies,
            deliveries,
            GaugeMetricFamily(
                "hilum_oldest_waiting_seconds",
                "Age of the study that has waited longest.",
                value=found.oldest_waiting_s,
            ),
            GaugeMetricFamily(
                "hilum_spool_bytes", "Bytes that are kept in the spool.", value=view.spool.held
            ),
            InfoMetricFamily("hilum_bundle", "What scores.", value={"bundle": view.bundle}),
            self._stages(),
        ]

    def _counter(self, event: str, text: str, labels: list[str]) -> CounterMetricFamily:
        name = "hilum_connections" if event == "connection" else f"hilum_{event}"
        family = CounterMetricFamily(name, text, labels=labels)
        for words, number in sorted(self._view.tally.counts().items()):
            if words[0] == event:
                family.add_metric(words[1:], number)
        return family

    def _stages(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(
            "hilum_stage_seconds", "Seconds that each stage took.", labels=["stage"]
        )
        names = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
        for stage, times in self._view.tally.times().items():
            sums = list(accumulate(times.bins))
            family.add_metric([stage], list(zip(names, sums, strict=True)), times.total_s)
        return family
