"""Endpoints that nobody asks are looked after, as far as that is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

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
    """Records who was looked at and asked."""

    def __init__(self, *statuses: EndpointStatus) -> None:
        self.statuses = statuses
        self.looked: list[str] = []
        self.asked: list[ChatRequest] = []

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        return self.statuses

    async def probe_endpoint(self, alias: str) -> None:
        self.looked.append(alias)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        yield Started("a", "m")
        raise NoEndpoint("m", "busy")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def status(alias: str = "a", **facts: object) -> EndpointStatus:
    given = {"state": EndpointState.READY, "weight": 1, "priority": 1}
    models = (ServedModel(id="m"),)
    return EndpointStatus(**{"alias": alias, "models": models, **given, **facts})


async def rounds(
    mode: HealthProbe, gateway: FakeGateway, *, count: int = 1, **more
) -> HealthProber:
    """The health_prober after so many rounds."""
    left = count

    async def sleep(_seconds: float) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise asyncio.CancelledError

    health_prober = HealthProber(mode, gateway, sleep=sleep, **more)
    with suppress(asyncio.CancelledError):
        await health_prober.run()
    return health_prober


async def test_off_asks_nobody() -> None:
    gateway = FakeGateway(status())
    await rounds(HealthProbe.OFF, gateway)
    assert (gateway.looked, gateway.asked) == ([], [])


async def test_models_asks_every_idle_endpoint_for_its_list() -> None:
    busy, drained = status("busy", in_flight=1), status("drained", state=EndpointState.DRAINED)
    gateway = FakeGateway(status("a"), busy, drained, status("b"))
    await rounds(HealthProbe.MODELS, gateway)
    assert (gateway.looked, gateway.asked) == (["a", "b"], [])


async def test_token_asks_for_one_token_of_that_very_endpoint() -> None:
    gateway = FakeGateway(status("a"), status("unlisted", models=None))
    await rounds(HealthProbe.TOKEN, gateway)
    (request,) = gateway.asked
    assert (request.model, request.endpoint, request.sampling.max_tokens) == ("m", "a", 1)
    assert gateway.looked == ["unlisted"]


async def test_an_endpoint_is_probed_once_in_five_minutes() -> None:
    gateway, clock = FakeGateway(status("a")), Clock()
    await rounds(HealthProbe.MODELS, gateway, count=3, clock=clock)
    assert gateway.looked == ["a"]


async def test_real_traffic_makes_a_probe_needless() -> None:
    gateway, clock = FakeGateway(status("a")), Clock()
    health_prober = HealthProber(HealthProbe.MODELS, gateway, clock=clock)
    attempt = Attempt(endpoint="a", model="m", reason="weighted", outcome="ok", elapsed_ms=1.0)
    health_prober.observe(Receipt(requested_model="m", attempts=(attempt,)))
    assert not health_prober._idle(status("a"))
    clock.now_s = IDLE_S
    assert health_prober._idle(status("a"))


@pytest.mark.parametrize(
    ("behavior", "state"),
    [
        ("perfect", EndpointState.READY),
        ("status_500", EndpointState.READY),
        ("status_401", EndpointState.UNKNOWN),
    ],
)
async def test_a_look_tells_whether_an_endpoint_is_there(
    behavior: str, state: EndpointState
) -> None:
    async with (
        StubEndpoint(behavior, everywhere=behavior != "perfect") as stub,
        open_gateway(settings_for(entry(stub, name="a"))) as gateway,
    ):
        await gateway.probe_endpoint("a")
        await gateway.probe_endpoint("nobody")
        (found,) = gateway.endpoints()
    assert (found.state, [model.id for model in found.models]) == (state, ["m"])


async def test_an_endpoint_that_is_gone_is_down_after_some_looks() -> None:
    async with (
        StubEndpoint("closed_port") as stub,
        open_gateway(settings_for(entry(stub, name="a"))) as gateway,
    ):
        for _ in range(3):
            await gateway.probe_endpoint("a")
        (found,) = gateway.endpoints()
    assert found.state is EndpointState.DOWN
    assert found.down_since is not None
