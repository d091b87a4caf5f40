"""The live state of an endpoint: learned capabilities, health and slots."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.errors import (
    EndpointError,
    EndpointRefused,
    EndpointTimeout,
    EndpointUnreachable,
)
from akash_gradio.domain.events import ReasoningDelta, TextDelta
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.domain.ports import EndpointState
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.failure_policy import judge
from akash_gradio.gateway.gateway import Gateway, open_gateway
from tests.stubs import StubEndpoint, entry, settings_for
from tests.stubs.wire import REASONING, TEXT

HELLO = Conversation(turns=(Turn(role=Role.USER, content="Hello"),))


async def ask(gateway: Gateway) -> tuple[str, str]:
    """The reasoning and the text of an answer."""
    async with aclosing(gateway.stream(ChatRequest(model="m", conversation=HELLO))) as events:
        received = [event async for event in events]
    kinds = (ReasoningDelta, TextDelta)
    reasoning, text = ("".join(e.text for e in received if isinstance(e, kind)) for kind in kinds)
    return reasoning, text


def gateway_to(stub: StubEndpoint) -> Gateway:
    return open_gateway(settings_for(entry(stub, name="eu-1")))


def endpoint_of(gateway: Gateway) -> Endpoint:
    endpoint = gateway.endpoint("eu-1")
    assert endpoint is not None
    return endpoint


async def test_stream_options_that_a_check_found_rejected_are_never_sent() -> None:
    async with StubEndpoint("rejects_stream_options") as stub, gateway_to(stub) as gateway:
        endpoint_of(gateway).learn("m", {"stream_options": False})
        await ask(gateway)
        assert ["stream_options" in seen.json for seen in stub.chats] == [False]


async def test_text_before_an_end_tag_alone_is_reasoning_once_that_is_learned() -> None:
    async with StubEndpoint("think_end_alone") as stub, gateway_to(stub) as gateway:
        assert await ask(gateway) == ("", "".join(REASONING) + TEXT)
        endpoint_of(gateway).learn("m", {"reasoning": "end_tag"})
        assert await ask(gateway) == ("".join(REASONING), TEXT)


async def test_learned_capabilities_are_in_the_status() -> None:
    async with StubEndpoint() as stub, gateway_to(stub) as gateway:
        endpoint_of(gateway).learn("m", {"pictures": True, "reasoning": "tags"})
        endpoint_of(gateway).learn("m", {"streams": True, "reasoning": ""})
        (status,) = gateway.endpoints()
        assert status.capabilities == {"m": Capabilities(pictures=True, streams=True)}


async def test_a_rejection_in_real_traffic_is_learned_too() -> None:
    async with StubEndpoint("rejects_stream_options") as stub, gateway_to(stub) as gateway:
        await ask(gateway)
        (status,) = gateway.endpoints()
        assert status.capabilities == {"m": Capabilities(stream_options=False)}


# ── health ──────────────────────────────────────────


def make_endpoint(**fields: object) -> Endpoint:
    given = {"url": "http://h", "name": "eu-1", "models": ["m"], **fields}
    return Endpoint(EndpointSettings.model_validate(given))


def fail(endpoint: Endpoint, error: EndpointError, now: float, times: int = 3) -> None:
    for _ in range(times):
        endpoint.health.record_failure(error, judge(error), "m", now, False)


def test_an_endpoint_is_down_since_its_breaker_opened() -> None:
    endpoint = make_endpoint()
    assert endpoint.status(10.0).down_since is None
    fail(endpoint, EndpointTimeout("eu-1", "connect", 5), 20.0)
    fail(endpoint, EndpointTimeout("eu-1", "connect", 5), 90.0)
    assert endpoint.status(100.0, epoch_s=1_000.0).down_since == 1_020
    endpoint.record_first_token("m", endpoint.begin_call("m"), 0.1)
    assert endpoint.status(110.0).down_since is None
    assert endpoint.status(110.0).state is not EndpointState.DOWN
    fail(endpoint, EndpointTimeout("eu-1", "connect", 5), 200.0)
    assert endpoint.status(210.0).down_since == 200


@pytest.mark.parametrize(
    ("kind", "waking"), [(FailureKind.LOADING, True), (FailureKind.KEY, False)]
)
def test_a_loading_server_is_waking(kind: FailureKind, waking: bool) -> None:
    endpoint = make_endpoint()
    fail(endpoint, EndpointRefused("eu-1", 503, kind=kind), 1.0)
    status = endpoint.status(2.0)
    assert (status.state, status.waking) == (EndpointState.DOWN, waking)


def test_an_endpoint_with_all_slots_taken_is_busy() -> None:
    endpoint = make_endpoint(maxConcurrency=1)
    assert not endpoint.status(1.0).busy
    endpoint.begin_call("m")
    assert endpoint.status(1.0).busy


def test_a_list_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = make_endpoint(models=None)
    unreachable = EndpointUnreachable("eu-1", "dns")
    refused = EndpointRefused("eu-1", 401, detail="No such key")
    failures: list[EndpointError] = [unreachable, unreachable, refused, refused]
    for failure in failures:
        endpoint.record_list_failure(failure)
    endpoint.set_models(())
    endpoint.record_list_failure(unreachable)
    logged = [(line.message, getattr(line, "fact", "")) for line in caplog.records]
    assert logged == [
        ("endpoint.list_failed", "eu-1: unreachable (dns)"),
        ("endpoint.list_failed", "eu-1: status 401"),
        ("endpoint.list_failed", "eu-1: unreachable (dns)"),
    ]


# ── slots for checks ───────────────────────────────────────────────────────


async def test_a_check_leaves_a_slot_for_the_next_chat() -> None:
    endpoint = make_endpoint(maxConcurrency=2)
    await endpoint.acquire_slot()
    assert not endpoint.busy
    second = asyncio.create_task(endpoint.acquire_slot())
    await asyncio.sleep(0)
    assert not second.done()
    endpoint.release_slot()
    await second
    assert endpoint.in_flight == 1


async def test_a_check_waits_for_the_end_of_the_chat() -> None:
    endpoint = make_endpoint(maxConcurrency=1)
    probe = endpoint.begin_call("m")
    waiting = asyncio.create_task(endpoint.acquire_slot())
    await asyncio.sleep(0)
    assert not waiting.done()
    endpoint.end_call("m", probe)
    await waiting
    assert endpoint.in_flight == 1
