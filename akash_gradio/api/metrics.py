"""What Prometheus is told. Fed by receipts, so that the page's answers count too.

Labels come from lists that are bounded: aliases, models that somebody configured or an
endpoint lists, names of error classes. Never a word of a question or an answer.
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
_UNHAPPY: Final = frozenset({"failed", "interrupted", "cancelled"})


class Metrics:
    """Live counts of one process. known: whether a model's id may become a label."""

    def __init__(self, known: Callable[[str], bool] = lambda _model: False) -> None:
        self.known = known
        self._labels: set[str] = set()
        self._children: dict[tuple[object, ...], Any] = {}
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "requests", "Answers, by how they ended.", "model", "outcome"
        )
        self._attempts = self._counter(
            "attempts", "Endpoints asked, and what came of it.", "endpoint", "outcome"
        )
        self._tokens = self._counter(
            "tokens", "Tokens in and out, reported or estimated.", "model", "direction", "source"
        )
        self._first_token = self._histogram(
            "first_token_seconds", "From the request to its first token.", FIRST_TOKEN_S
        )
        self._total = self._histogram("answer_seconds", "From the request to its end.", TOTAL_S)

    def watch(self, endpoints: Callable[[], tuple[EndpointStatus, ...]]) -> None:
        """Tell the endpoints' state too, as it is when somebody asks."""
        self._registry.register(_Endpoints(endpoints))

    def observe(self, receipt: Receipt) -> None:
        """Count one answer."""
        asked = self._label(receipt.requested_model)
        model = self._label(receipt.answering_model) if receipt.answering_model else asked
        outcome = receipt.finish if receipt.finish in _UNHAPPY else "answered"
        self._child(self._requests, asked, outcome).inc()
        self._child(self._total, asked).observe(receipt.total_s)
        if receipt.first_token_s is not None:
            self._child(self._first_token, asked).observe(receipt.first_token_s)
        for attempt in receipt.attempts:
            self._child(self._attempts, attempt.endpoint, attempt.outcome).inc()
        self._count_tokens(model, "in", receipt.tokens_in)
        self._count_tokens(model, "out", receipt.tokens_out)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _count_tokens(self, model: str, direction: str, count: Count | None) -> None:
        if count is not None:
            source = "reported" if count.reported else "estimated"
            self._child(self._tokens, model, direction, source).inc(count.tokens)

    def _child(self, metric: Counter | Histogram, *labels: str) -> Any:
        """The metric for these labels; prometheus-client checks and joins them at each look."""
        key = (metric, *labels)
        if key not in self._children:
            self._children[key] = metric.labels(*labels)
        return self._children[key]

    def _label(self, model: str) -> str:
        if model not in self._labels:
            if not self.known(model):
                return OTHER
            self._labels.add(model)
        return model

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"akash_gradio_{name}", says, labels, registry=self._registry)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"akash_gradio_{name}", says, ("model",), buckets=buckets, registry=self._registry
        )


class _Endpoints(Collector):
    """Asks for the endpoints' state at each reading."""

    def __init__(self, endpoints: Callable[[], tuple[EndpointStatus, ...]]) -> None:
        self._endpoints = endpoints

    def describe(self) -> list[Metric]:
        """Nothing: there may be no endpoint yet when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What each endpoint does, and which of the states it is in."""
        in_flight = GaugeMetricFamily(
            "akash_gradio_in_flight",
            "Requests that the endpoint is answering.",
            labels=["endpoint"],
        )
        state = GaugeMetricFamily(
            "akash_gradio_endpoint_state",
            "1 for the state that the endpoint is in; `down` is an open breaker.",
            labels=["endpoint", "state"],
        )
        for endpoint in self._endpoints():
            in_flight.add_metric([endpoint.alias], endpoint.in_flight)
            for each in EndpointState:
                state.add_metric([endpoint.alias, each.value], float(endpoint.state is each))
        yield in_flight
        yield state
