"""Metrics for Prometheus, derived from receipts, so that the page's answers count too.

Every label has a bounded set of values: aliases, models that are configured or listed by an
endpoint, names of error classes. No label contains text of a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.receipt import Count, Receipt

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
FIRST_TOKEN_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOTAL_S: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FAILURES: Final = frozenset({"failed", "interrupted", "cancelled"})


class Metrics:
    """Counters and histograms of this process.

    Attributes:
        is_known_model: Whether a model's id may become a label; others count as `other`.
    """

    def __init__(self, is_known_model: Callable[[str], bool] = lambda _model: False) -> None:
        self.is_known_model = is_known_model
        self._labels: set[str] = set()
        self._children: dict[tuple[object, ...], Any] = {}
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "requests", "Answers, by how they ended.", "model", "outcome"
        )
        self._attempts = self._counter(
            "attempts", "Upstream calls, by their outcome.", "endpoint", "outcome"
        )
        self._tokens = self._counter(
            "tokens", "Tokens in and out, reported or estimated.", "model", "direction", "source"
        )
        self._first_token = self._histogram(
            "first_token_seconds", "From the request to its first token.", FIRST_TOKEN_S
        )
        self._total = self._histogram("answer_seconds", "From the request to its end.", TOTAL_S)

    def watch(self, endpoints: Callable[[], tuple[EndpointStatus, ...]]) -> None:
        """Include the endpoints' state, as it is at each export."""
        self._registry.register(_EndpointCollector(endpoints))

    def observe(self, receipt: Receipt) -> None:
        """Count one answer."""
        requested = self._label(receipt.requested_model)
        model = self._label(receipt.answering_model) if receipt.answering_model else requested
        outcome = receipt.finish if receipt.finish in _FAILURES else "answered"
        self._child(self._requests, requested, outcome).inc()
        self._child(self._total, requested).observe(receipt.total_s)
        if receipt.first_token_s is not None:
            self._child(self._first_token, requested).observe(receipt.first_token_s)
        for attempt in receipt.attempts:
            self._child(self._attempts, attempt.endpoint, attempt.outcome).inc()
        self._count_tokens(model, "in", receipt.tokens_in)
        self._count_tokens(model, "out", receipt.tokens_out)

    def export(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _count_tokens(self, model: str, direction: str, count: Count | None) -> None:
        if count is not None:
            source = "reported" if count.reported else "estimated"
            self._child(self._tokens, model, direction, source).inc(count.tokens)

    def _child(self, metric: Counter | Histogram, *labels: str) -> Any:
        """Return the metric for these labels.

        prometheus-client validates and joins the labels at each lookup, so it is cached.
        """
        key = (metric, *labels)
        if key not in self._children:
            self._children[key] = metric.labels(*labels)
        return self._children[key]

    def _label(self, model: str) -> str:
        if model not in self._labels:
            if not self.is_known_model(model):
                return OTHER
            self._labels.add(model)
        return model

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(f"akash_gradio_{name}", description, labels, registry=self._registry)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"akash_gradio_{name}",
            description,
            ("model",),
            buckets=buckets,
            registry=self._registry,
        )


class _EndpointCollector(Collector):
    """Collects the endpoints' state at each export."""

    def __init__(self, endpoints: Callable[[], tuple[EndpointStatus, ...]]) -> None:
        self._endpoints = endpoints

    def describe(self) -> list[Metric]:
        """Return nothing: there may be no endpoint yet when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield each endpoint's requests in flight and its state."""
        in_flight = GaugeMetricFamily(
            "akash_gradio_in_flight",
            "Requests in flight at the endpoint.",
            labels=["endpoint"],
        )
        state = GaugeMetricFamily(
            "akash_gradio_endpoint_state",
            "1 for the current state of the endpoint; `down` is an open breaker.",
            labels=["endpoint", "state"],
        )
        for endpoint in self._endpoints():
            in_flight.add_metric([endpoint.alias], endpoint.in_flight)
            for known in EndpointState:
                state.add_metric([endpoint.alias, known.value], float(endpoint.state is known))
        yield in_flight
        yield state
