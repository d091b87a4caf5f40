"""What is reserved before a request is sent, and what it is charged for at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from akash_gradio.app import create_app
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.chat import ChatRequest, Conversation, Default, Role, Sampling, Turn
from akash_gradio.domain.errors import LimitReached, NotAllowed
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.gateway import PassthroughRequest
from akash_gradio.quota.admission import HELD_WAIT_S, LEAST_OUTPUT_TOKENS, price_problems
from akash_gradio.quota.counters import DAY_S, Demand, Hold, LocalCounters, Shortage
from akash_gradio.quota.gateway import QuotaGateway
from akash_gradio.quota.request_limits import RequestLimits
from tests.quota.fakes import FakeBackend, receipt_of
from tests.stubs import StubEndpoint, entry, settings_for
from tests.web.fakes import Gate, chat_request, full_answer, make_receipt

ANN, BEN = Visitor(id="ann", network="home"), Visitor(id="ben", network="home")
INPUT = 5
"""Estimated tokens of `chat_request()`: one of text, four of the template."""
CARDS = {
    "m": ModelCard(id="m", name="M", prompt_price=1.0, completion_price=2.0),
    "dear": ModelCard(id="dear", name="Dear", prompt_price=10.0, completion_price=20.0),
    "short": ModelCard(id="short", name="Short", token_limit=1000, max_tokens=None),
    "set": ModelCard(id="set", name="Set", max_tokens=300),
    "unpriced": ModelCard(id="unpriced", name="Unpriced"),
}


class Server:
    """A quota gateway in front of a fake; `remaining` says what is left of a budget."""

    def __init__(self, *scripts: Any, **limits: Any) -> None:
        options = {
            name: limits.pop(name) for name in ("fallbacks", "free_models") if name in limits
        }
        self.counters = LocalCounters()
        self.backend = FakeBackend(*(scripts or (full_answer("Hello"),)))
        self.waits: list[float] = []
        self.gateway = QuotaGateway(
            self.backend,
            RequestLimits(**limits),
            self.counters,
            CARDS.get,
            sleep=self._sleep,
            **options,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    async def send(self, request: ChatRequest | None = None, visitor: Visitor = ANN) -> None:
        CURRENT_VISITOR.set(visitor)
        async with aclosing(self.gateway.stream(request or chat_request())) as events:
            async for _event in events:
                pass

    async def post(self, **body: Any) -> None:
        CURRENT_VISITOR.set(ANN)
        full = {"messages": [{"role": "user", "content": "Hello"}], **body}
        request = PassthroughRequest(model=full.pop("model", "m"), body=full)
        async with aclosing(self.gateway.passthrough(request)) as items:
            async for _item in items:
                pass

    async def remaining(self, name: str = "tokens:ann", limit: float = 10_000) -> int:
        demand = Demand(name=name, limit=limit, fixed=0, per_token=1)
        hold = await self.counters.reserve([demand], 10**9, 0)
        if isinstance(hold, Shortage):
            return -1
        self.counters.settle(hold, {})
        return hold.output_tokens

    @property
    def sent_max_tokens(self) -> list[object]:
        return [request.sampling.max_tokens for request in self.backend.opened]


def sampling(max_tokens: int | Default) -> ChatRequest:
    return replace(chat_request(), sampling=Sampling(max_tokens=max_tokens))


# ── before the request ───────────────────────────────────────────────────────


async def test_a_running_request_holds_its_input_and_its_longest_output() -> None:
    gate = Gate()
    server = Server([gate, *full_answer("x")], tokens_per_day=10_000, app_tokens_per_day=50_000)
    task = asyncio.ensure_future(server.send(sampling(1000)))
    await gate.reached.wait()
    assert await server.remaining() == 10_000 - 1000 - INPUT
    assert await server.remaining("tokens:home", 100_000) == 100_000 - 1000 - INPUT
    assert await server.remaining("app-tokens", 50_000) == 50_000 - 1000 - INPUT
    server.backend.receipt = receipt_of(20, tokens_in=7)
    gate.open()
    await task
    assert await server.remaining() == 10_000 - 27
    assert await server.remaining("tokens:home", 100_000) == 100_000 - 27
    assert await server.remaining("app-tokens", 50_000) == 50_000 - 27


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (sampling(700), 700),
        (sampling(Default.ENDPOINT), 500),
        (sampling(Default.CATALOG), 500),
        (chat_request(model="set"), 300),
        (replace(chat_request(model="set"), sampling=Sampling(max_tokens=Default.ENDPOINT)), 500),
        (chat_request("x" * 2400, model="short"), 1000 - 604 * 1.25),
        (chat_request("x" * 4000, model="short"), LEAST_OUTPUT_TOKENS),
    ],
)
async def test_the_longest_output_is_sent_as_max_tokens(request_: ChatRequest, sent: int) -> None:
    server = Server(tokens_per_day=10_000, default_output_tokens=500)
    await server.send(request_)
    assert server.sent_max_tokens == [sent]


async def test_without_a_budget_nothing_is_added() -> None:
    server = Server(messages_per_minute=10, max_running=5)
    await server.send()
    await server.post()
    assert server.backend.opened == [chat_request()]
    assert "max_tokens" not in server.backend.passthrough_bodies[0]


async def test_an_answer_is_shortened_to_what_remains_of_a_budget() -> None:
    server = Server(tokens_per_day=1000)
    server.backend.receipt = receipt_of(700)
    await server.send()
    await server.send()
    assert server.sent_max_tokens == [1000 - INPUT, 300 - INPUT]


async def test_less_than_a_short_answer_is_refused_until_midnight() -> None:
    server = Server(tokens_per_day=1000)
    server.backend.receipt = receipt_of(1000 - INPUT - LEAST_OUTPUT_TOKENS + 1)
    await server.send()
    with pytest.raises(LimitReached) as raised:
        await server.send()
    assert (raised.value.reason, raised.value.limit) == ("tokens", 1000)
    assert 0 < raised.value.retry_after_s <= DAY_S
    await server.send(sampling(LEAST_OUTPUT_TOKENS - 1))  # that is all this one wants


async def test_a_request_waits_for_what_running_ones_hold_and_then_fails_with_a_short_delay() -> (
    None
):
    gate = Gate()
    server = Server([gate, *full_answer("x")], full_answer("y"), tokens_per_day=1000)
    task = asyncio.ensure_future(server.send())
    await gate.reached.wait()
    with pytest.raises(LimitReached) as raised:
        await server.send()
    assert (raised.value.reason, raised.value.retry_after_s) == ("reserved", HELD_WAIT_S)
    assert sum(server.waits) == HELD_WAIT_S
    waiting = asyncio.ensure_future(server.send())
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(task, waiting)
    assert len(server.backend.opened) == 2


@pytest.mark.parametrize("where", ["system", "history", "picture", "extra"])
async def test_everything_that_costs_input_is_reserved_as_input(where: str) -> None:
    turn, text = Turn(role=Role.USER, content="Hello"), "x" * 40_000
    request = chat_request()
    if where == "system":
        request = replace(request, conversation=Conversation(turns=(turn,), system=text))
    elif where == "history":
        history = (turn, Turn(role=Role.ASSISTANT, content=text), turn)
        request = replace(request, conversation=Conversation(turns=history))
    elif where == "picture":
        pictures = replace(turn, pictures=("data:image/png;base64,AAAA",) * 4)
        request = replace(request, conversation=Conversation(turns=(pictures,)))
    else:
        request = replace(request, extra={"documents": [{"text": text}]})
    server = Server(tokens_per_day=5000)
    with pytest.raises(LimitReached):
        await server.send(request)
    assert server.backend.opened == []


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "system", "content": "x" * 40_000}]},
        {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "x" * 40_000}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"arguments": "x" * 40_000}]}]},
        {"messages": [{"role": "x" * 40_000, "content": ""}]},
        {"messages": [{"role": "user", "content": [{"type": "refusal", "text": "x" * 40_000}]}]},
        {"messages": [{"role": "user", "content": {"a": "x" * 40_000}}]},
        {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png,", "detail": "x" * 40_000}}
        ]}]},
        {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": "data:text/plain," + "x" * 40_000}
        ]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}] * 4}]},
        {"tools": [{"type": "function", "function": {"description": "x" * 40_000}}]},
        {"response_format": {"schema": {"description": "x" * 40_000}}},
        {"chat_template_kwargs": {"documents": ["x" * 40_000]}},
        {"functions": [{"name": "x" * 40_000}]},
        {"metadata": {"a": "x" * 40_000}},
        {"user": "x" * 40_000},
    ],
)  # fmt: skip
async def test_everything_that_costs_input_at_the_api_is_reserved(body: dict[str, Any]) -> None:
    server = Server(tokens_per_day=5000)
    with pytest.raises(LimitReached):
        await server.post(**body)
    server = Server(max_request_characters=30_000)
    has_pictures = "image_url" in str(body)
    if not has_pictures or len(str(body)) > 30_000:
        with pytest.raises(NotAllowed, match="request_length"):
            await server.post(**body)
    assert server.backend.passthrough_bodies == []


async def test_the_data_of_a_picture_does_not_count_as_text() -> None:
    server = Server(tokens_per_day=5000, max_request_characters=1000)
    url = "data:image/jpeg;base64," + "A" * 400_000
    picture = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    await server.post(messages=[{"role": "user", "content": [picture]}], max_tokens=100)
    assert server.backend.passthrough_bodies[0]["max_tokens"] == 100


async def test_each_of_n_choices_may_be_as_long_as_the_longest() -> None:
    server = Server(tokens_per_day=1000)
    await server.post(n=5, max_tokens=10_000)
    assert server.backend.passthrough_bodies[0]["max_tokens"] == (1000 - INPUT) // 5
    with pytest.raises(LimitReached):
        await server.post(n=20)


async def test_every_name_of_max_tokens_is_shortened_at_the_api() -> None:
    server = Server(tokens_per_day=1000)
    await server.post(max_tokens=None, max_completion_tokens=5000, n_predict=10)
    body = server.backend.passthrough_bodies[0]
    assert (body["max_completion_tokens"], body["n_predict"]) == (1000 - INPUT, 10)
    assert body["max_tokens"] is None
    for value in ("10", 1.5, -1, True, 0):
        with pytest.raises(NotAllowed):
            await server.post(max_tokens=value)


# ── at the end of the request ────────────────────────────────────────────────

OK = Attempt(endpoint="one", model="m", reason="weighted", outcome="ok", elapsed_ms=5)


def attempts(*outcomes: str) -> tuple[Attempt, ...]:
    return tuple(replace(OK, outcome=outcome) for outcome in outcomes)


def unanswered(*outcomes: str) -> Receipt:
    return Receipt(requested_model="m", attempts=attempts(*outcomes), finish="cancelled")


@pytest.mark.parametrize(
    ("receipt", "streamed", "charged"),
    [
        (None, True, 0),
        (unanswered(), True, 0),
        (unanswered("cancelled"), True, INPUT),
        (unanswered("EndpointTimeout", "cancelled"), True, 2 * INPUT),
        (unanswered("EndpointRefused", "EndpointUnreachable"), True, 0),
        (unanswered("RequestRefused"), True, 0),
        (unanswered("EndpointRefused", "cancelled"), True, INPUT),
        (unanswered("cancelled"), False, INPUT + 1000),
        (unanswered("EndpointRefused"), False, 0),
        (receipt_of(20, tokens_in=7), True, 27),
        (receipt_of(20, tokens_in=7), False, 27),
        (receipt_of(20, 7, attempts=attempts("EndpointTimeout", "ok")), True, 27 + INPUT),
        (receipt_of(20, 7, attempts=attempts("EndpointUnreachable")), True, 27),
        (make_receipt(tokens_in=Count(tokens=1, reported=False), tokens_out=None), True, INPUT),
    ],
)
async def test_a_request_is_charged_for_what_endpoints_processed(
    receipt: Receipt | None, streamed: bool, charged: int
) -> None:
    server = Server(tokens_per_day=10_000)
    server.backend.receipt = receipt
    await server.send(replace(sampling(1000), stream=streamed))
    assert await server.remaining() == 10_000 - charged


@pytest.mark.parametrize("end", ["error", "cancel", "close"])
async def test_a_reservation_is_settled_whatever_the_end_is(end: str) -> None:
    gate = Gate()
    script = [RuntimeError()] if end == "error" else [gate, *full_answer("x")]
    server = Server(script, tokens_per_day=10_000)
    server.backend.receipt = unanswered("cancelled")
    if end == "close":
        server = Server(full_answer("x"), tokens_per_day=10_000)
        server.backend.receipt = unanswered("cancelled")
        CURRENT_VISITOR.set(ANN)
        events = server.gateway.stream(chat_request())
        await anext(events)
        await events.aclose()
    else:
        task = asyncio.ensure_future(server.send())
        if end == "cancel":
            await gate.reached.wait()
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await server.remaining() == 10_000 - INPUT


async def test_a_request_that_leaves_the_queue_is_charged_nothing() -> None:
    gate = Gate()
    server = Server([gate, *full_answer("x")], tokens_per_day=10_000, max_running=1)
    server.backend.receipt = receipt_of(0)
    running = asyncio.ensure_future(server.send(visitor=BEN))
    await gate.reached.wait()
    CURRENT_VISITOR.set(ANN)
    queued = server.gateway.stream(chat_request())
    await anext(queued)
    assert await server.remaining() < 10_000
    await queued.aclose()
    assert await server.remaining() == 10_000
    gate.open()
    await running


async def test_a_hold_is_settled_once() -> None:
    counters = LocalCounters()
    hold = await counters.reserve([Demand(name="a", limit=9, fixed=1, per_token=1)], 3, 1)
    assert isinstance(hold, Hold)
    counters.settle(hold, {"a": 2.0})
    counters.settle(hold, {"a": 2.0})
    left = await counters.reserve([Demand(name="a", limit=9, fixed=0, per_token=1)], 100, 1)
    assert isinstance(left, Hold)
    assert left.output_tokens == 7


# ── money ────────────────────────────────────────────────────────────────────


async def test_money_is_reserved_at_the_catalogs_prices() -> None:
    server = Server(app_cost_per_day=0.001)  # 500 tokens of output at 2 dollars per million
    await server.send()
    assert server.sent_max_tokens == [497]
    server.backend.receipt = receipt_of(480)
    await server.send()
    with pytest.raises(LimitReached) as raised:
        await server.send(sampling(1000))
    assert (raised.value.reason, raised.value.limit) == ("app_cost", 0)


async def test_money_is_reserved_at_the_price_of_the_most_expensive_fallback() -> None:
    server = Server(app_cost_per_day=0.01, fallbacks=("dear",))
    await server.send()
    assert server.sent_max_tokens == [497]
    await server.send(replace(chat_request(), fallback=False))
    assert server.sent_max_tokens[1] == 4096


async def test_a_model_without_prices_is_refused_where_the_cost_is_limited() -> None:
    server = Server(
        app_cost_per_day=1.0, fallbacks=("dear", "unpriced"), free_models=frozenset({"f"})
    )
    for model in ("unpriced", "unknown"):
        with pytest.raises(NotAllowed) as raised:
            await server.send(chat_request(model=model))
        assert raised.value.reason == "price"
        with pytest.raises(NotAllowed):
            await server.post(model=model)
    await server.send(chat_request(model="f"))
    await server.send()
    assert [request.fallback for request in server.backend.opened] == [False, False]


async def test_an_api_key_has_budgets_of_its_own() -> None:
    server = Server(tokens_per_day=100, fallbacks=("unpriced", "dear"))
    key = Visitor(id="key:ann", tokens_per_day=2000, cost_per_day=0.01)
    await server.send(visitor=key)
    assert server.sent_max_tokens == [497]  # at the price of the fallback with a price
    assert not server.backend.opened[0].fallback  # since the other one has none
    await server.send(sampling(70), ANN)
    server.backend.receipt = receipt_of(1990)
    await server.send(visitor=key)
    with pytest.raises(LimitReached) as raised:
        await server.send(sampling(1000), key)
    assert (raised.value.reason, raised.value.limit) == ("tokens", 2000)
    dear = Visitor(id="key:ben", tokens_per_day=10_000, cost_per_day=0.001)
    server.backend.receipt = receipt_of(1000, answering_model="m")
    await server.send(replace(chat_request(), fallback=False), visitor=dear)
    with pytest.raises(LimitReached) as raised:
        await server.send(replace(chat_request(), fallback=False), visitor=dear)
    assert (raised.value.reason, raised.value.limit) == ("cost", 0.001)
    with pytest.raises(NotAllowed):
        await server.send(chat_request(model="unpriced"), visitor=dear)
    await Server().send(chat_request(model="unpriced"))


async def test_a_budget_of_a_key_is_enough_to_admit_requests() -> None:
    keys = [{"name": "a", "key": "key-a", "limits": {"tokensPerDay": 300}}, "key-b"]
    async with StubEndpoint() as stub:
        settings = settings_for(entry(stub), GATEWAY_API_KEYS=json.dumps(keys))
        app = create_app(settings, page=False, environment={})
        async with app.lifespan():
            transport = httpx.ASGITransport(app.asgi())
            async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:

                async def status(key: str, text: str) -> int:
                    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
                    headers = {"authorization": f"Bearer {key}"}
                    path = "/v1/chat/completions"
                    return (await client.post(path, json=body, headers=headers)).status_code

                assert await status("key-a", "Hello") == 200
                assert stub.chats[0].json["max_tokens"] == 300 - INPUT
                assert await status("key-a", "x" * 1200) == 429
                assert await status("key-b", "x" * 1200) == 200
                assert "max_tokens" not in stub.chats[1].json


def test_models_without_prices_are_a_problem_at_the_start() -> None:
    settings = read_settings({"COST_PER_DAY": "5"})
    (problem,) = price_problems(settings, tuple(CARDS.values()))
    assert problem.where == "COST_PER_DAY"
    assert "Without prices: short, set, unpriced" in str(problem)
    assert price_problems(settings, (CARDS["m"],)) == ()
    assert price_problems(read_settings({}), tuple(CARDS.values())) == ()
    allowed = read_settings({"COST_PER_DAY": "5", "ALLOWED_MODELS": "m"})
    assert price_problems(allowed, tuple(CARDS.values())) == ()


# ── time ─────────────────────────────────────────────────────────────────────


class Clocks:
    """A monotonic and a wall clock."""

    def __init__(self) -> None:
        self.monotonic, self.wall = 1000.0, 20_000.5 * DAY_S
        self.counters = LocalCounters(lambda: self.monotonic, lambda: self.wall)

    async def use(self, tokens: int) -> None:
        demand = Demand(name="a", limit=100, fixed=tokens, per_token=1)
        hold = await self.counters.reserve([demand], 0, 0)
        assert isinstance(hold, Hold)
        self.counters.settle(hold, {"a": tokens})

    async def free(self) -> int:
        hold = await self.counters.reserve(
            [Demand(name="a", limit=100, fixed=0, per_token=1)], 1000, 0
        )
        assert isinstance(hold, Hold)
        self.counters.settle(hold, {})
        return hold.output_tokens


@pytest.mark.parametrize("days", [-400, -1, -0.01, 0.01, 1, 400])
async def test_a_wall_clock_that_is_set_changes_no_window_and_locks_no_budget(days: float) -> None:
    clocks = Clocks()
    for _ in range(3):
        assert await clocks.counters.take("messages:a", 3, 60) == 0.0
    await clocks.use(100)
    clocks.wall += days * DAY_S
    assert await clocks.counters.take("messages:a", 3, 60) == pytest.approx(60)
    clocks.monotonic += 60
    assert await clocks.counters.take("messages:a", 3, 60) == 0.0
    assert await clocks.free() == (0 if abs(days) < 0.5 else 100)
    shortage = await clocks.counters.reserve(
        [Demand(name="a", limit=0, fixed=1, per_token=1)], 1, 1
    )
    assert isinstance(shortage, Shortage)
    assert 0 < shortage.wait_s <= DAY_S


async def test_a_clock_corrected_around_midnight_finds_both_days_again() -> None:
    clocks = Clocks()
    clocks.wall = 20_001 * DAY_S - 1
    await clocks.use(60)
    clocks.wall += 2
    await clocks.use(30)
    clocks.wall -= 2
    assert await clocks.free() == 40
    clocks.wall += 2
    assert await clocks.free() == 70


async def test_a_request_over_midnight_is_charged_to_the_day_of_its_admission() -> None:
    clocks = Clocks()
    clocks.wall = 20_001 * DAY_S - 1
    hold = await clocks.counters.reserve(
        [Demand(name="a", limit=100, fixed=10, per_token=1)], 50, 1
    )
    assert isinstance(hold, Hold)
    clocks.wall += 2
    assert await clocks.free() == 100
    clocks.counters.settle(hold, {"a": 60})
    assert await clocks.free() == 100
    clocks.wall -= 2
    assert await clocks.free() == 40


async def test_counters_drop_the_least_recently_used_names() -> None:
    counters = LocalCounters(max_names=100)

    async def free(name: str) -> int:
        hold = await counters.reserve([Demand(name=name, limit=9, fixed=0, per_token=1)], 9, 0)
        assert isinstance(hold, Hold)
        counters.settle(hold, {})
        return hold.output_tokens

    used: Mapping[str, float]
    for number in range(1000):
        await counters.take(f"messages:{number}", 1, 60)
        name = f"tokens:{number}"
        hold = await counters.reserve([Demand(name=name, limit=9, fixed=0, per_token=1)], 1, 0)
        assert isinstance(hold, Hold)
        used = {name: 1.0}
        counters.settle(hold, used)
    assert (await free("tokens:900"), await free("tokens:899")) == (8, 9)
    assert await counters.take("messages:899", 1, 60) == 0.0
    assert await counters.take("messages:999", 1, 60) > 0.0
