"""The rate limiter in one process, and what two replicas share through one Redis."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from akash_gradio.auth.session import SIGN_IN_LIMIT
from akash_gradio.auth.signing import Signer
from akash_gradio.compare.votes.sqlite import SqliteVotes
from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.gateway import QuotaGateway
from akash_gradio.quota.limiter import NETWORK_FACTOR, RateLimit, RateLimiter
from akash_gradio.quota.redis_counters import RedisCounters, open_redis_counters
from akash_gradio.quota.request_limits import RequestLimits
from akash_gradio.web.vote_routes import VOTE_LIMIT, VoteRoutes
from tests.api.serving import chat_body, serving
from tests.quota.fakes import FakeBackend
from tests.quota.redis_server import RedisServer
from tests.stubs import StubEndpoint, entry, settings_for
from tests.web.client import security_stack, wrap
from tests.web.fakes import (
    Clock,
    FakeChatGateway,
    chat_request,
    endpoint_status,
    full_answer,
    make_deps,
)

LIMIT = RateLimit("test", limit=3, window_s=60)
TOKEN = "let-me-in-9f3"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(LocalCounters(clock))


async def test_uses_are_admitted_up_to_the_limit_in_any_window(
    limiter: RateLimiter, clock: Clock
) -> None:
    await limiter.admit(LIMIT, "ann")
    clock.now_s += 20
    await limiter.admit(LIMIT, "ann", amount=2)
    with pytest.raises(LimitReached) as raised:
        await limiter.admit(LIMIT, "ann")
    error = raised.value
    assert (error.reason, error.limit) == ("test", 3)
    assert error.retry_after_s == pytest.approx(40)
    assert await limiter.wait_s(LIMIT, "ann") == pytest.approx(40)
    await limiter.admit(LIMIT, "ben")
    clock.now_s += 40
    assert await limiter.wait_s(LIMIT, "ann") == 0.0
    await limiter.admit(LIMIT, "ann")


async def test_several_uses_are_counted_together_or_not_at_all(
    limiter: RateLimiter, clock: Clock
) -> None:
    await limiter.admit(LIMIT, "ann", amount=2)
    with pytest.raises(LimitReached):
        await limiter.admit(LIMIT, "ann", amount=2)
    await limiter.admit(LIMIT, "ann")
    with pytest.raises(LimitReached) as raised:
        await limiter.admit(LIMIT, "ben", amount=4)
    assert raised.value.retry_after_s == 60


async def test_a_network_has_ten_times_the_limit_of_a_visitor(limiter: RateLimiter) -> None:
    for number in range(NETWORK_FACTOR):
        await limiter.admit_visitor(LIMIT, Visitor(id=f"new-{number}", network="home"), amount=3)
    with pytest.raises(LimitReached) as raised:
        await limiter.admit_visitor(LIMIT, Visitor(id="newest", network="home"))
    assert raised.value.limit == 3
    await limiter.admit_visitor(LIMIT, Visitor(id="elsewhere", network="other"))


async def test_a_use_refused_for_the_network_does_not_count_for_the_visitor(
    limiter: RateLimiter, clock: Clock
) -> None:
    for number in range(NETWORK_FACTOR):
        await limiter.admit_visitor(LIMIT, Visitor(id=f"new-{number}", network="home"), amount=3)
    clock.now_s += 50
    ann = Visitor(id="ann", network="home")
    for _ in range(3):
        with pytest.raises(LimitReached):
            await limiter.admit_visitor(LIMIT, ann, amount=2)
    clock.now_s += 10
    await limiter.admit_visitor(LIMIT, ann, amount=3)


async def test_uses_can_be_released_and_reset(limiter: RateLimiter) -> None:
    for _ in range(5):
        await limiter.admit(LIMIT, "ann")
        await limiter.release(LIMIT, "ann")
    await limiter.admit(LIMIT, "ann", amount=3)
    await limiter.reset(LIMIT, "ann")
    await limiter.admit(LIMIT, "ann", amount=3)
    await limiter.release(LIMIT, "nothing counted")


# ── two replicas with one Redis ─────────────────────────────────────────────


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
async def replicas(redis: RedisServer) -> AsyncIterator[tuple[RedisCounters, RedisCounters]]:
    """The counters of two replicas."""
    one, two = (open_redis_counters(redis.url, LocalCounters()) for _ in range(2))
    async with AsyncExitStack() as stack:
        for counters in (one, two):
            await stack.enter_async_context(counters.open(Signer(), lambda: (), lambda *_: None))
        yield one, two


Replicas = tuple[RedisCounters, RedisCounters]


async def test_replicas_share_all_operations_of_the_limiter(replicas: Replicas) -> None:
    one, two = map(RateLimiter, replicas)
    await one.admit(LIMIT, "ann", amount=2)
    await two.admit(LIMIT, "ann")
    for limiter in (one, two):
        assert 50 < await limiter.wait_s(LIMIT, "ann") <= 60
        with pytest.raises(LimitReached):
            await limiter.admit(LIMIT, "ann")
    await two.release(LIMIT, "ann", amount=2)
    await one.admit(LIMIT, "ann")
    assert await one.wait_s(LIMIT, "ann") == 0.0
    with pytest.raises(LimitReached):
        await one.admit(LIMIT, "ann", amount=2)
    await one.admit(LIMIT, "ann")
    await two.reset(LIMIT, "ann")
    await one.admit(LIMIT, "ann", amount=3)
    with pytest.raises(LimitReached):
        await two.admit(LIMIT, "ben", amount=4)


async def test_replicas_share_the_limit_of_a_visitors_messages(replicas: Replicas) -> None:
    limits = RequestLimits(messages_per_minute=3)
    one, two = (
        QuotaGateway(FakeBackend(full_answer("Hello")), limits, counters) for counters in replicas
    )
    CURRENT_VISITOR.set(Visitor(id="ann", network="home"))

    async def send(gateway: QuotaGateway) -> None:
        async with aclosing(gateway.stream(chat_request())) as events:
            async for _event in events:
                pass

    for gateway in (one, two, one):
        await send(gateway)
    for gateway in (one, two):
        with pytest.raises(LimitReached):
            await send(gateway)


async def test_replicas_share_the_limit_of_an_api_key(replicas: Replicas) -> None:
    keys = json.dumps([{"name": "ann", "key": "key-of-ann", "limits": {"requestsPerMinute": 3}}])
    async with StubEndpoint() as stub, AsyncExitStack() as stack:
        settings = settings_for(entry(stub), GATEWAY_API_KEYS=keys)
        one, two = [
            await stack.enter_async_context(serving(settings, counters=counters))
            for counters in replicas
        ]

        async def status(replica: object) -> int:
            assert replica in (one, two)
            server = one if replica is one else two
            response = await server.ask(chat_body(), authorization="Bearer key-of-ann")
            if response.status == 429:
                assert response.error["message"] == "This API key can make 3 requests per minute."
            return response.status

        assert [await status(replica) for replica in (one, two, one)] == [200] * 3
        assert [await status(replica) for replica in (one, two)] == [429] * 2


async def test_replicas_share_the_limit_of_votes(replicas: Replicas, tmp_path: Path) -> None:
    statuses = [endpoint_status("m", "n")]
    store = SqliteVotes(tmp_path / "votes.sqlite3")
    clients = []
    for counters in replicas:
        deps = make_deps(FakeChatGateway(statuses=statuses), tmp_path, votes=store).compare
        routes = VoteRoutes(replace(deps, limiter=RateLimiter(counters))).routes()
        transport = httpx.ASGITransport(Starlette(routes=routes))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://page.example"))
    CURRENT_VISITOR.set(Visitor(id="ann", network="home"))

    async def status(number: int) -> int:
        vote = {"when": "2026-11-26T04:00:00Z", "a": "m", "b": "n", "outcome": "a"}
        votes = [{**vote, "id": f"v{number}-{item}"} for item in range(6)]
        client = clients[number % 2]
        return (await client.post("/page/compare/votes", json={"votes": votes})).status_code

    requests = VOTE_LIMIT.limit // 6
    assert [await status(number) for number in range(requests)] == [200] * requests
    assert [await status(number) for number in range(2)] == [429] * 2


async def test_replicas_share_the_limit_of_sign_in_attempts(replicas: Replicas) -> None:
    signer, clients = Signer("the same"), []
    for counters in replicas:
        stack = security_stack({"ACCESS_TOKEN": TOKEN}, counters=counters, signer=signer)
        transport = httpx.ASGITransport(wrap(stack))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://page.example"))

    async def status(number: int, secret: str) -> int:
        response = await clients[number % 2].post("/page/sign-in", data={"secret": secret})
        return response.status_code

    attempts = SIGN_IN_LIMIT.limit
    for number in range(attempts - 1):
        assert await status(number, f"guess-{number}") == 401
    assert await status(0, TOKEN) == 303  # the right secret resets the attempts at both
    for number in range(attempts):
        assert await status(number, f"guess-{number}") == 401
    assert [await status(number, TOKEN) for number in range(2)] == [429] * 2


async def test_a_session_that_ended_at_one_replica_ended_at_all(replicas: Replicas) -> None:
    signer, clients = Signer("the same"), []
    for counters in replicas:
        stack = security_stack({"ACCESS_TOKEN": TOKEN}, counters=counters, signer=signer)
        transport = httpx.ASGITransport(wrap(stack))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://page.example"))
    one, two = clients
    await one.post("/page/sign-in", data={"secret": TOKEN})
    two.cookies.set("ag_session", one.cookies["ag_session"])
    assert (await two.get("/page/boot")).status_code == 200
    await one.post("/page/sign-out")
    assert (await two.get("/page/boot")).status_code == 401
