from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from akash_gradio.domain.chat import Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import LimitReached, NotAllowed
from akash_gradio.domain.events import Queued
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.receipt import Count
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.gateway import PassthroughRequest
from akash_gradio.quota.counters import DAY_S, LocalCounters, end_of_day
from akash_gradio.quota.gateway import EXPECTED_TOKENS, QuotaGateway, UsageMeter
from akash_gradio.quota.request_limits import RequestLimits
from tests.web.fakes import FakeChatGateway, Gate, chat_request, full_answer, make_receipt

CARD = ModelCard(id="m", name="M", prompt_price=1.0, completion_price=2.0)
ANN, BEN = Visitor(id="ann", network="home"), Visitor(id="ben", network="home")


class Clock:
    """Noon of a day, until it is moved."""

    def __init__(self) -> None:
        self.now = 20_000 * DAY_S + DAY_S / 2

    def __call__(self) -> float:
        return self.now


class House:
    """A guard before an answerer that plays a script, and whose receipts are counted."""

    def __init__(self, *scripts: Any, **limits: Any) -> None:
        self.clock = Clock()
        self.counters = LocalCounters(self.clock)
        self.answerer = FakeChatGateway(*(scripts or (full_answer("Hello"),)))
        self.guard = QuotaGateway(self.answerer, RequestLimits(**limits), self.counters, self.clock)
        self.ledger = UsageMeter(self.counters, lambda model: CARD, self.clock)

    async def say(self, visitor: Visitor, request: Any = None, tokens: int = 0) -> list[Any]:
        with being(visitor):
            async with aclosing(self.guard.stream(request or chat_request())) as events:
                heard = [event async for event in events]
            count = Count(tokens=tokens, reported=True)
            self.ledger.observe(make_receipt(tokens_in=None, tokens_out=count))
        return heard


@contextmanager
def being(visitor: Visitor) -> Iterator[None]:
    token = CURRENT_VISITOR.set(visitor)
    yield
    CURRENT_VISITOR.reset(token)


async def test_without_limits_all_passes_as_it_is() -> None:
    house = House()
    assert [type(e).__name__ for e in await house.say(ANN)] == ["Started", "TextDelta", "Finished"]
    assert house.answerer.opened == house.answerer.closed == [chat_request()]


async def test_each_visitor_has_their_own_messages_in_any_minute() -> None:
    house = House(messages_per_minute=2)
    await house.say(ANN)
    house.clock.now += 20
    await house.say(ANN)
    with pytest.raises(LimitReached) as refused:
        await house.say(ANN)
    assert (refused.value.reason, refused.value.limit) == ("messages", 2)
    assert refused.value.retry_after_s == pytest.approx(40)
    await house.say(BEN)
    house.clock.now += 40
    await house.say(ANN)
    with pytest.raises(LimitReached):
        await house.say(ANN)
    assert len(house.answerer.opened) == 4


async def test_new_cookies_buy_a_household_no_more_than_its_share() -> None:
    house = House(messages_per_minute=1, network_factor=3)
    for number in range(3):
        await house.say(Visitor(id=f"new-{number}", network="home"))
    with pytest.raises(LimitReached):
        await house.say(Visitor(id="new-3", network="home"))
    await house.say(Visitor(id="elsewhere", network="other"))


async def test_a_days_tokens_end_at_midnight() -> None:
    house = House(tokens_per_day=2 * EXPECTED_TOKENS)
    await house.say(ANN, tokens=1999)
    await house.say(ANN, tokens=1)
    with pytest.raises(LimitReached) as refused:
        await house.say(ANN)
    assert (refused.value.reason, refused.value.retry_after_s) == ("tokens", DAY_S / 2)
    await house.say(BEN)
    house.clock.now += DAY_S / 2
    await house.say(ANN)


async def test_many_questions_at_once_do_not_outrun_a_days_tokens() -> None:
    gate = Gate()
    house = House([gate, *full_answer("x")], tokens_per_day=3 * EXPECTED_TOKENS)
    asking = [asyncio.ensure_future(house.say(ANN)) for _ in range(10)]
    running = set(asking)
    async with asyncio.timeout(10):  # more than three would wait for the gate without end
        while len(running) > 3:
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    gate.open()
    done = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(one, LimitReached) for one in done) == 7
    assert len(house.answerer.opened) == 3


async def test_the_whole_page_has_a_days_tokens_and_dollars() -> None:
    house = House(app_tokens_per_day=100)
    await house.say(ANN, tokens=100)
    with pytest.raises(LimitReached) as refused:
        await house.say(BEN)
    assert (refused.value.reason, refused.value.limit) == ("app_tokens", 0)
    house = House(app_cost_per_day=0.5)
    await house.say(ANN, tokens=249_999)
    await house.say(BEN, tokens=1)
    with pytest.raises(LimitReached, match="app_cost"):
        await house.say(BEN)


async def test_an_answer_that_was_stopped_is_counted_too() -> None:
    house = House(tokens_per_day=EXPECTED_TOKENS)
    with being(ANN):
        events = house.guard.stream(chat_request())
        await anext(events)
        house.ledger.observe(make_receipt(tokens_out=Count(tokens=5000, reported=False)))
        await events.aclose()
    assert house.answerer.closed == [chat_request()]
    with pytest.raises(LimitReached):
        await house.say(ANN)


async def test_who_waits_is_told_their_place_and_comes_in_order() -> None:
    first = Gate()
    house = House(
        [first, *full_answer("one")], full_answer("two"), full_answer("three"), max_running=1
    )
    one = asyncio.ensure_future(house.say(ANN))
    await first.reached.wait()
    places: dict[str, list[int]] = {"two": [], "three": []}
    ended: list[str] = []
    in_line = asyncio.Event()

    async def wait(name: str) -> None:
        with being(BEN):
            async with aclosing(house.guard.stream(chat_request(name))) as events:
                async for event in events:
                    if isinstance(event, Queued):
                        places[name].append(event.position)
                        in_line.set()
        ended.append(name)

    waiting = []
    for name in places:
        waiting.append(asyncio.ensure_future(wait(name)))
        await in_line.wait()
        in_line.clear()
    assert places == {"two": [1], "three": [2]}
    first.open()
    await asyncio.gather(one, *waiting)
    assert places == {"two": [1, 0], "three": [2, 0]}
    assert ended == ["two", "three"]


async def test_who_leaves_the_line_or_is_cut_off_gives_their_place_away() -> None:
    first = Gate()
    house = House([first, *full_answer("one")], full_answer("two"), max_running=1, max_waiting=2)
    one = asyncio.ensure_future(house.say(ANN))
    await first.reached.wait()
    line = [house.guard.stream(chat_request(f"{n}")) for n in range(2)]
    assert [await anext(events) for events in line] == [Queued(1), Queued(2)]
    with pytest.raises(LimitReached) as full:
        await anext(house.guard.stream(chat_request("too many")))
    assert full.value.reason == "queue"
    await line[0].aclose()
    assert await anext(line[1]) == Queued(1)
    first.open()
    await one
    await line[1].aclose()  # its turn has come, and it does not know yet
    assert len(await house.say(BEN)) == 3


async def test_only_allowed_models_are_asked() -> None:
    house = House(models=frozenset({"other"}), messages_per_minute=1)
    with pytest.raises(NotAllowed) as refused:
        await house.say(ANN)
    assert refused.value.reason == "model"
    await house.say(ANN, chat_request(model="other"))
    assert [request.model for request in house.answerer.opened] == ["other"]


@pytest.mark.parametrize(
    ("sampling", "fits"),
    [
        (Sampling(temperature=1.0), True),
        (Sampling(temperature=1.1), False),
        (Sampling(), True),
        (Sampling(max_tokens=64), True),
        (Sampling(max_tokens=65), False),
    ],
)
async def test_values_outside_of_what_the_host_allows_are_refused(
    sampling: Sampling, fits: bool
) -> None:
    house = House(ranges={"temperature": (0, 1), "max_tokens": (1, 64)})
    request = replace(chat_request(), sampling=sampling)
    if not fits:
        with pytest.raises(NotAllowed):
            await house.say(ANN, request)
        assert house.answerer.opened == []
        return
    await house.say(ANN, request)
    assert house.answerer.opened[0].sampling.max_tokens == 64


async def test_a_message_may_be_so_long_and_no_longer() -> None:
    house = House(max_message_characters=5)
    await house.say(ANN, chat_request("12345"))
    with pytest.raises(NotAllowed) as refused:
        await house.say(ANN, chat_request("123456"))
    assert (refused.value.reason, refused.value.high) == ("length", 5)
    answered = Turn(role=Role.ASSISTANT, content="a long answer of the model")
    turns = (Turn(role=Role.USER, content="1"), answered, Turn(role=Role.USER, content="2"))
    await house.say(ANN, replace(chat_request(), conversation=Conversation(turns=turns)))


class Relays(FakeChatGateway):
    def __init__(self) -> None:
        super().__init__(())
        self.bodies: list[Any] = []

    async def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[Any, None]:
        self.bodies.append(dict(request.body))
        yield b"data"


async def relayed(guard: QuotaGateway, **body: Any) -> list[Any]:
    full = {"messages": [{"role": "user", "content": "Hi"}], **body}
    async with aclosing(guard.passthrough(PassthroughRequest(model="m", body=full))) as pieces:
        return [piece async for piece in pieces]


async def test_the_api_has_the_same_limits() -> None:
    source = Relays()
    limits = RequestLimits(
        ranges={"max_tokens": (1, 64)}, messages_per_minute=3, max_message_characters=10
    )
    guard = QuotaGateway(source, limits, LocalCounters())
    assert await relayed(guard) == [b"data"]
    assert source.bodies[0]["max_tokens"] == 64
    await relayed(guard, max_completion_tokens=10)
    assert "max_tokens" not in source.bodies[1]
    for body in ({"max_tokens": 65}, {"max_tokens": 1, "max_completion_tokens": 65}):
        with pytest.raises(NotAllowed):
            await relayed(guard, **body)
    with pytest.raises(NotAllowed):
        await relayed(guard, messages=[{"role": "user", "content": "x" * 11}])
    await relayed(guard)
    with pytest.raises(LimitReached):
        await relayed(guard)


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": "65"}, {"max_tokens": True}, {"max_tokens": 10.5}, {"max_tokens": [10]},
        {"max_tokens": float("nan")}, {"max_tokens": -1}, {"max_completion_tokens": "10"},
        {"max_tokens": -1, "max_completion_tokens": 10}, {"n_predict": -1},
        {"max_tokens": 10, "n_predict": 65}, {"n": 2}, {"n": "2"},
        {"temperature": "9"}, {"temperature": True}, {"temperature": float("inf")},
    ],
)  # fmt: skip
async def test_the_api_takes_nothing_for_a_value_that_an_endpoint_might_read_as_more(
    body: dict[str, Any],
) -> None:
    source = Relays()
    limits = RequestLimits(ranges={"max_tokens": (1, 64), "temperature": (0, 1)})
    guard = QuotaGateway(source, limits, LocalCounters())
    with pytest.raises(NotAllowed):
        await relayed(guard, **body)
    assert source.bodies == []


async def test_null_at_the_api_is_as_good_as_no_value() -> None:
    source = Relays()
    limits = RequestLimits(ranges={"max_tokens": (1, 64), "temperature": (0, 1)})
    guard = QuotaGateway(source, limits, LocalCounters())
    await relayed(guard, max_tokens=None, max_completion_tokens=None, temperature=None, n=None)
    await relayed(guard, max_tokens=None, max_completion_tokens=10, n=1)
    assert [body["max_tokens"] for body in source.bodies] == [64, None]


async def test_counting_more_visitors_than_there_is_room_for_forgets_the_oldest() -> None:
    counters = LocalCounters(max_names=100)
    for number in range(1000):
        await counters.take(f"messages:{number}", 1, 60)
        counters.add(f"tokens:{number}", 1, end_of_day(2e9))
    assert (await counters.total("tokens:899"), await counters.total("tokens:900")) == (0.0, 1.0)
    assert await counters.take("messages:899", 1, 60) == 0.0
    assert await counters.take("messages:999", 1, 60) > 0.0
