"""Idle endpoints get the health probes that `HEALTH_PROBE` allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import pytest

from akash_gradio.check.health_probe import IDLE_S, HealthProber
from akash_gradio.config.settings import HealthProbe
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import NoEndpoint
from akash_gradio.domain.events import Event, Started
from akash_gradio.domain.model import ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.receipt import Attempt, Receipt
from akash_gradio.gateway.gateway import open_gateway
from tests.stubs import StubEndpoint, entry, settings_for


class FakeGateway:
    """Records which endpoints were probed, and the requests that were sent."""

    def __init__(self, *statuses: EndpointStatus) -> None:
        self.statuses = statuses
        self.probed: list[str] = []
        self.requests: list[ChatRequest] = []

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        return self.statuses

    async def probe_endpoint(self, alias: str) -> None:
        self.probed.append(alias)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        yield Started("a", "m")
        raise NoEndpoint("m", "busy")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def status(alias: str = "a", **fields: Any) -> EndpointStatus:
    defaults: dict[str, Any] = {
        "models": (ServedModel(id="m"),),
        "state": EndpointState.READY,
        "weight": 1,
        "priority": 1,
    }
    return EndpointStatus(alias=alias, **(defaults | fields))


async def run_rounds(
    mode: HealthProbe,
    gateway: FakeGateway,
    *,
    count: int = 1,
    clock: Callable[[], float] | None = None,
) -> None:
    """Run the health prober for a number of rounds."""
    left = count

    async def sleep(_seconds: float) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise asyncio.CancelledError

    with suppress(asyncio.CancelledError):
        await HealthProber(mode, gateway, sleep=sleep, clock=clock or Clock()).run()


async def test_off_probes_nothing() -> None:
    gateway = FakeGateway(status())
    await run_rounds(HealthProbe.OFF, gateway)
    assert (gateway.probed, gateway.requests) == ([], [])


async def test_models_reads_the_model_list_of_every_idle_endpoint() -> None:
    busy, drained = status("busy", in_flight=1), status("drained", state=EndpointState.DRAINED)
    gateway = FakeGateway(status("a"), busy, drained, status("b"))
    await run_rounds(HealthProbe.MODELS, gateway)
    assert (gateway.probed, gateway.requests) == (["a", "b"], [])


async def test_token_requests_one_token_from_the_idle_endpoint() -> None:
    gateway = FakeGateway(status("a"), status("unlisted", models=None))
    await run_rounds(HealthProbe.TOKEN, gateway)
    (request,) = gateway.requests
    assert (request.model, request.endpoint, request.sampling.max_tokens) == ("m", "a", 1)
    assert gateway.probed == ["unlisted"]


async def test_an_endpoint_is_probed_once_in_five_minutes() -> None:
    gateway = FakeGateway(status("a"))
    await run_rounds(HealthProbe.MODELS, gateway, count=3, clock=Clock())
    assert gateway.probed == ["a"]


async def test_an_endpoint_with_real_traffic_is_not_probed() -> None:
    gateway, clock = FakeGateway(status("a")), Clock()
    prober = HealthProber(HealthProbe.MODELS, gateway, clock=clock)
    attempt = Attempt(endpoint="a", model="m", reason="weighted", outcome="ok", elapsed_ms=1.0)
    prober.observe(Receipt(requested_model="m", attempts=(attempt,)))
    assert not prober._is_idle(status("a"))
    clock.now_s = IDLE_S
    assert prober._is_idle(status("a"))


@pytest.mark.parametrize(
    ("behavior", "state"),
    [
        ("perfect", EndpointState.READY),
        ("status_500", EndpointState.READY),
        ("status_401", EndpointState.UNKNOWN),
    ],
)
async def test_a_probe_shows_whether_an_endpoint_responds(
    behavior: str, state: EndpointState
) -> None:
    async with (
        StubEndpoint(behavior, everywhere=behavior != "perfect") as stub,
        open_gateway(settings_for(entry(stub, name="a"))) as gateway,
    ):
        await gateway.probe_endpoint("a")
        await gateway.probe_endpoint("unknown")
        (endpoint,) = gateway.endpoints()
    assert endpoint.models is not None
    assert (endpoint.state, [model.id for model in endpoint.models]) == (state, ["m"])


async def test_an_unreachable_endpoint_is_down_after_several_probes() -> None:
    async with (
        StubEndpoint("closed_port") as stub,
        open_gateway(settings_for(entry(stub, name="a"))) as gateway,
    ):
        for _ in range(3):
            await gateway.probe_endpoint("a")
        (endpoint,) = gateway.endpoints()
    assert endpoint.state is EndpointState.DOWN
    assert endpoint.down_since is not None
