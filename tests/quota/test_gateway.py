from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import LimitReached, NotAllowed
from akash_gradio.domain.events import Event, Queued
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.gateway import PassthroughRequest
from akash_gradio.quota.counters import DAY_S, Demand, Hold, LocalCounters, Shortage
from akash_gradio.quota.gateway import QuotaGateway
from akash_gradio.quota.request_limits import RequestLimits
from tests.quota.fakes import FakeBackend, receipt_of
from tests.web.fakes import Gate, chat_request, full_answer, no_sleep

CARD = ModelCard(id="m", name="M", prompt_price=1.0, completion_price=2.0)
HELLO_TOKENS = 5
"""Estimated tokens of `chat_request()`: one of text, four of the template."""
ANN, BEN = Visitor(id="ann", network="home"), Visitor(id="ben", network="home")


class Clock:
    """Noon of a day, until it is moved."""

    def __init__(self) -> None:
        self.now = 20_000 * DAY_S + DAY_S / 2

    def __call__(self) -> float:
        return self.now


class SlowCounters(LocalCounters):
    """Counters that let other requests run before and after they count, as Redis does."""

    async def reserve(self, demands: Sequence[Demand], output: int, least: int) -> Hold | Shortage:
        await asyncio.sleep(0)
        result = await super().reserve(demands, output, least)
        await asyncio.sleep(0)
        return result


class Server:
    """A quota gateway in front of a backend that plays scripts; the receipts are counted."""

    def __init__(
        self, *scripts: Any, counters: type[LocalCounters] = LocalCounters, **limits: Any
    ) -> None:
        self.clock = Clock()
        self.counters = counters(self.clock, self.clock)
        self.backend = FakeBackend(*(scripts or (full_answer("Hello"),)))
        self.gateway = QuotaGateway(
            self.backend,
            RequestLimits(**limits),
            self.counters,
            {"m": CARD}.get,
            sleep=no_sleep,
        )

    async def send(
        self, visitor: Visitor, request: ChatRequest | None = None, tokens: int = 0
    ) -> list[Event]:
        """Send a request of the visitor, whose answer uses so many tokens."""
        self.backend.receipt = receipt_of(tokens)
        with visiting(visitor):
            async with aclosing(self.gateway.stream(request or chat_request())) as stream:
                return [event async for event in stream]


@contextmanager
def visiting(visitor: Visitor) -> Iterator[None]:
    token = CURRENT_VISITOR.set(visitor)
    yield
    CURRENT_VISITOR.reset(token)


async def test_without_limits_requests_pass_unchanged() -> None:
    server = Server()
    events = await server.send(ANN)
    assert [type(event).__name__ for event in events] == ["Started", "TextDelta", "Finished"]
    assert server.backend.opened == server.backend.closed == [chat_request()]


async def test_each_visitor_has_a_limit_of_messages_in_any_minute() -> None:
    server = Server(messages_per_minute=2)
    await server.send(ANN)
    server.clock.now += 20
    await server.send(ANN)
    with pytest.raises(LimitReached) as raised:
        await server.send(ANN)
    assert (raised.value.reason, raised.value.limit) == ("messages", 2)
    assert raised.value.retry_after_s == pytest.approx(40)
    await server.send(BEN)
    server.clock.now += 40
    await server.send(ANN)
    with pytest.raises(LimitReached):
        await server.send(ANN)
    assert len(server.backend.opened) == 4


async def test_new_cookies_do_not_raise_the_limit_of_a_network() -> None:
    server = Server(messages_per_minute=1, network_factor=3)
    for number in range(3):
        await server.send(Visitor(id=f"new-{number}", network="home"))
    with pytest.raises(LimitReached):
        await server.send(Visitor(id="new-3", network="home"))
    await server.send(Visitor(id="elsewhere", network="other"))


async def test_a_daily_token_budget_is_renewed_at_midnight() -> None:
    server = Server(tokens_per_day=2000)
    await server.send(ANN, tokens=1500)
    await server.send(ANN, tokens=500)
    with pytest.raises(LimitReached) as raised:
        await server.send(ANN)
    assert (raised.value.reason, raised.value.retry_after_s) == ("tokens", DAY_S / 2)
    await server.send(BEN)
    server.clock.now += DAY_S / 2
    await server.send(ANN)


@pytest.mark.parametrize("counters", [LocalCounters, SlowCounters])
async def test_many_requests_at_once_do_not_exceed_a_daily_token_budget(
    counters: type[LocalCounters],
) -> None:
    gate, budget = Gate(), 3 * (1000 + HELLO_TOKENS)
    server = Server(
        [gate, *full_answer("x")],
        counters=counters,
        tokens_per_day=budget,
        default_output_tokens=1000,
    )
    requests = [asyncio.ensure_future(server.send(ANN, tokens=1000)) for _ in range(10)]
    running = set(requests)
    async with asyncio.timeout(10):  # more than three would wait for the gate forever
        while len(running) > 3:
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    gate.open()
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert [r.reason for r in results if isinstance(r, LimitReached)] == ["reserved"] * 7
    assert len(server.backend.opened) == 3


async def test_the_whole_server_has_daily_budgets_of_tokens_and_dollars() -> None:
    server = Server(app_tokens_per_day=100)
    await server.send(ANN, tokens=100)
    with pytest.raises(LimitReached) as raised:
        await server.send(BEN)
    assert (raised.value.reason, raised.value.limit) == ("app_tokens", 0)
    server = Server(app_cost_per_day=0.5)
    await server.send(ANN, tokens=249_999)
    with pytest.raises(LimitReached, match="app_cost"):
        await server.send(BEN)


async def test_waiting_requests_see_their_position_and_run_in_order() -> None:
    gate = Gate()
    server = Server(
        [gate, *full_answer("one")], full_answer("two"), full_answer("three"), max_running=1
    )
    running = asyncio.ensure_future(server.send(ANN))
    await gate.reached.wait()
    positions: dict[str, list[int]] = {"two": [], "three": []}
    finished: list[str] = []
    queued = asyncio.Event()

    async def wait(name: str) -> None:
        with visiting(BEN):
            async with aclosing(server.gateway.stream(chat_request(name))) as events:
                async for event in events:
                    if isinstance(event, Queued):
                        positions[name].append(event.position)
                        queued.set()
        finished.append(name)

    waiting = []
    for name in positions:
        waiting.append(asyncio.ensure_future(wait(name)))
        await queued.wait()
        queued.clear()
    assert positions == {"two": [1], "three": [2]}
    gate.open()
    await asyncio.gather(running, *waiting)
    assert positions == {"two": [1, 0], "three": [2, 0]}
    assert finished == ["two", "three"]


async def test_a_cancelled_request_gives_up_its_position() -> None:
    gate = Gate()
    server = Server([gate, *full_answer("one")], full_answer("two"), max_running=1, max_waiting=2)
    running = asyncio.ensure_future(server.send(ANN))
    await gate.reached.wait()
    queue = [server.gateway.stream(chat_request(f"{n}")) for n in range(2)]
    assert [await anext(events) for events in queue] == [Queued(1), Queued(2)]
    with pytest.raises(LimitReached) as raised:
        await anext(server.gateway.stream(chat_request("too many")))
    assert raised.value.reason == "queue"
    await queue[0].aclose()
    assert await anext(queue[1]) == Queued(1)
    gate.open()
    await running
    await queue[1].aclose()  # it has its slot already, and has not noticed it
    assert len(await server.send(BEN)) == 3


async def test_only_allowed_models_are_called() -> None:
    server = Server(models=frozenset({"other"}), messages_per_minute=1)
    with pytest.raises(NotAllowed) as raised:
        await server.send(ANN)
    assert raised.value.reason == "model"
    await server.send(ANN, chat_request(model="other"))
    assert [request.model for request in server.backend.opened] == ["other"]


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (Sampling(temperature=1.0), True),
        (Sampling(temperature=1.1), False),
        (Sampling(), True),
        (Sampling(max_tokens=64), True),
        (Sampling(max_tokens=65), False),
    ],
)
async def test_values_outside_the_allowed_range_are_refused(
    sampling: Sampling, allowed: bool
) -> None:
    server = Server(ranges={"temperature": (0, 1), "max_tokens": (1, 64)})
    request = replace(chat_request(), sampling=sampling)
    if not allowed:
        with pytest.raises(NotAllowed):
            await server.send(ANN, request)
        assert server.backend.opened == []
        return
    await server.send(ANN, request)
    assert server.backend.opened[0].sampling.max_tokens == 64


async def test_a_message_longer_than_allowed_is_refused() -> None:
    server = Server(max_message_characters=5)
    await server.send(ANN, chat_request("12345"))
    with pytest.raises(NotAllowed) as raised:
        await server.send(ANN, chat_request("123456"))
    assert (raised.value.reason, raised.value.high) == ("length", 5)
    answer = Turn(role=Role.ASSISTANT, content="a long answer of the model")
    turns = (Turn(role=Role.USER, content="1"), answer, Turn(role=Role.USER, content="2"))
    await server.send(ANN, replace(chat_request(), conversation=Conversation(turns=turns)))


async def passthrough(gateway: QuotaGateway, **body: Any) -> list[Any]:
    full_body = {"messages": [{"role": "user", "content": "Hi"}], **body}
    request = PassthroughRequest(model="m", body=full_body)
    async with aclosing(gateway.passthrough(request)) as items:
        return [item async for item in items]


async def test_the_api_has_the_same_limits() -> None:
    server = Server(
        ranges={"max_tokens": (1, 64)}, messages_per_minute=3, max_message_characters=10
    )
    gateway, bodies = server.gateway, server.backend.passthrough_bodies
    assert await passthrough(gateway) == [b"data"]
    assert bodies[0]["max_tokens"] == 64
    await passthrough(gateway, max_completion_tokens=10)
    assert "max_tokens" not in bodies[1]
    for body in ({"max_tokens": 65}, {"max_tokens": 1, "max_completion_tokens": 65}):
        with pytest.raises(NotAllowed):
            await passthrough(gateway, **body)
    with pytest.raises(NotAllowed):
        await passthrough(gateway, messages=[{"role": "user", "content": "x" * 11}])
    await passthrough(gateway)
    with pytest.raises(LimitReached):
        await passthrough(gateway)


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": "65"}, {"max_tokens": True}, {"max_tokens": 10.5}, {"max_tokens": [10]},
        {"max_tokens": float("nan")}, {"max_tokens": -1}, {"max_completion_tokens": "10"},
        {"max_tokens": -1, "max_completion_tokens": 10}, {"n_predict": -1},
        {"max_tokens": 10, "n_predict": 65}, {"n": 2},
        {"temperature": "9"}, {"temperature": True}, {"temperature": float("inf")},
    ],
)  # fmt: skip
async def test_the_api_refuses_values_that_an_endpoint_might_read_as_larger(
    body: dict[str, Any],
) -> None:
    server = Server(ranges={"max_tokens": (1, 64), "temperature": (0, 1)})
    with pytest.raises(NotAllowed):
        await passthrough(server.gateway, **body)
    assert server.backend.passthrough_bodies == []


async def test_null_at_the_api_means_no_value() -> None:
    server = Server(ranges={"max_tokens": (1, 64), "temperature": (0, 1)})
    nothing: dict[str, Any] = {"max_tokens": None, "max_completion_tokens": None, "n": None}
    await passthrough(server.gateway, temperature=None, **nothing)
    await passthrough(server.gateway, max_tokens=None, max_completion_tokens=10, n=1)
    bodies = server.backend.passthrough_bodies
    assert [body["max_tokens"] for body in bodies] == [64, None]
