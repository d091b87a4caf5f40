"""The counters of two replicas with one Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from akash_gradio.auth.signing import Signer
from akash_gradio.domain.ports import EndpointState
from akash_gradio.quota import redis_counters
from akash_gradio.quota.counters import Demand, Hold, LocalCounters, Shortage
from akash_gradio.quota.redis_counters import (
    PREFIX,
    RECONNECT_S,
    REPLICA_TTL_S,
    REPLICAS,
    RedisCounters,
    open_redis_counters,
)
from tests.quota.redis_server import RedisServer
from tests.web.fakes import Clock, endpoint_status

TOMORROW = time.time() + 86_400


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not look like a lost Redis."""
    monkeypatch.setattr(redis_counters, "TIMEOUT_S", 10.0)


class Replicas:
    """Two replicas. The clock decides when they try to reach a lost Redis again."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.one, self.two = (
            open_redis_counters(url, LocalCounters(), self.clock) for _ in range(2)
        )
        self.signers = Signer(), Signer()


@pytest.fixture
async def replicas(redis: RedisServer) -> AsyncIterator[Replicas]:
    replicas = Replicas(redis.url)
    async with AsyncExitStack() as stack:
        for counters, signer in zip((replicas.one, replicas.two), replicas.signers, strict=True):
            await stack.enter_async_context(counters.open(signer, lambda: (), lambda *_: None))
        yield replicas


async def test_uses_are_counted_for_both_replicas(replicas: Replicas) -> None:
    assert await replicas.one.take("messages:ann", 3, 60) == 0.0
    assert await replicas.two.take("messages:ann", 3, 60) == 0.0
    assert await replicas.one.take("messages:ann", 3, 60) == 0.0
    wait_s = await replicas.two.take("messages:ann", 3, 60)
    assert 50 < wait_s <= 60
    assert await replicas.two.take("messages:ben", 3, 60) == 0.0


def tokens(limit: float, fixed: float = 0, name: str = "tokens:ann") -> Demand:
    return Demand(name=name, limit=limit, fixed=fixed, per_token=1)


async def reserve(counters: RedisCounters, *demands: Demand, output: int = 100) -> Hold:
    hold = await counters.reserve(demands, output, 1)
    assert isinstance(hold, Hold), hold
    return hold


async def refused(counters: RedisCounters, *demands: Demand, output: int = 1) -> Shortage:
    shortage = await counters.reserve(demands, output, output)
    assert isinstance(shortage, Shortage), shortage
    return shortage


async def test_replicas_reserve_from_the_same_budgets(replicas: Replicas) -> None:
    one, two = replicas.one, replicas.two
    first = await reserve(one, tokens(1000, 10), tokens(150, 10, "app-tokens"))
    assert (first.output_tokens, dict(first.amounts)) == (
        100, {"tokens:ann": 110, "app-tokens": 110},
    )  # fmt: skip
    second = await reserve(two, tokens(1000, 10), tokens(150, 10, "app-tokens"))
    assert second.output_tokens == 30
    shortage = await refused(one, tokens(1000), tokens(150, 0, "app-tokens"))
    assert (shortage.name, shortage.held) == ("app-tokens", True)
    assert 0 < shortage.wait_s <= 86_400
    one.settle(first, {"tokens:ann": 30, "app-tokens": 150})
    two.settle(second, {})
    await one.flush()
    await two.flush()
    shortage = await refused(two, tokens(1000), tokens(150, 0, "app-tokens"))
    assert (shortage.name, shortage.held) == ("app-tokens", False)
    assert (await reserve(two, tokens(130))).output_tokens == 100


async def test_many_reservations_at_once_at_both_replicas_never_exceed_a_budget(
    replicas: Replicas,
) -> None:
    results = await asyncio.gather(
        *(
            counters.reserve([tokens(1000, 7)], 90, 90)
            for counters in (replicas.one, replicas.two) * 25
        )
    )
    holds = [result for result in results if isinstance(result, Hold)]
    assert sum(hold.amounts["tokens:ann"] for hold in holds) == 97 * 10


async def test_a_cost_adds_up_to_its_budget(replicas: Replicas) -> None:
    cents = Demand(name="app-cost", limit=1.0, fixed=0.1, per_token=1e-6)
    for _ in range(9):
        hold = await reserve(replicas.one, cents, output=1000)
        replicas.one.settle(hold, {"app-cost": 0.1})
    await replicas.one.flush()
    larger = Demand(name="app-cost", limit=1.0, fixed=0.09, per_token=1e-6)
    assert not (await refused(replicas.two, larger, output=10_002)).held
    assert 9_990 <= (await reserve(replicas.two, larger, output=20_000)).output_tokens <= 10_001


async def test_the_reservations_of_a_replica_that_crashed_expire(
    replicas: Replicas, redis: RedisServer
) -> None:
    crashed = open_redis_counters(redis.url, LocalCounters(), replicas.clock)
    hold = await reserve(crashed, tokens(100))
    assert (await refused(replicas.one, tokens(100))).held
    client = Redis.from_url(redis.url, protocol=2)
    keys = await client.keys(f"{REPLICAS}*")
    assert [0 < await client.ttl(key) <= REPLICA_TTL_S for key in keys] == [True]
    await client.delete(*keys)  # what Redis does after that time
    kept = await reserve(replicas.one, tokens(100))
    # It was alive after all: its use counts, and the other's reservation stays.
    async with crashed.open(Signer(), lambda: (), lambda *_: None):
        crashed.settle(hold, {"tokens:ann": 40})
        await crashed.flush()
    assert not (await refused(replicas.two, tokens(100), output=61)).held
    replicas.one.settle(kept, {})
    await replicas.one.flush()
    assert (await reserve(replicas.two, tokens(100))).output_tokens == 60
    await client.aclose()


class LosesReplies:
    """A client of Redis that loses the replies to scripts after they were executed."""

    def __init__(self, client: Any) -> None:
        self._client, self.loses = client, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def eval(self, *arguments: Any) -> Any:
        reply = await self._client.eval(*arguments)
        if self.loses:
            raise ConnectionError
        return reply


async def test_a_reservation_whose_reply_is_lost_is_undone(
    replicas: Replicas, redis: RedisServer
) -> None:
    unstable: Any = LosesReplies(Redis.from_url(redis.url, protocol=2))
    counters = RedisCounters(unstable, LocalCounters(), replicas.clock)
    local = await reserve(counters, tokens(100))
    assert local.shared_id == 0
    assert (await refused(replicas.one, tokens(100))).held
    unstable.loses = False
    replicas.clock.now_s += RECONNECT_S + 1
    async with counters.open(Signer(), lambda: (), lambda *_: None):
        await counters.flush()
        assert (await reserve(replicas.one, tokens(100))).output_tokens == 100
        counters.settle(local, {"tokens:ann": 25})  # used while Redis was lost: counts there too
        await counters.flush()
    assert not (await refused(replicas.two, tokens(100), output=76)).held


async def test_a_cancelled_request_leaves_no_reservation(replicas: Replicas) -> None:
    for turns in range(12):
        task = asyncio.ensure_future(replicas.one.reserve([tokens(100)], 100, 1))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            hold = await task
            assert isinstance(hold, Hold)
            replicas.one.settle(hold, {})
        await replicas.one.flush()
        hold = await reserve(replicas.two, tokens(100))
        assert hold.output_tokens == 100
        replicas.two.settle(hold, {})
        await replicas.two.flush()


async def test_what_was_used_until_the_shutdown_is_sent(
    replicas: Replicas, redis: RedisServer
) -> None:
    leaving = open_redis_counters(redis.url, LocalCounters(), replicas.clock)
    async with leaving.open(Signer(), lambda: (), lambda *_: None):
        for _ in range(20):
            hold = await reserve(leaving, tokens(1000), output=30)
            leaving.settle(hold, {"tokens:ann": 30})
    assert (await reserve(replicas.one, tokens(1000), output=1000)).output_tokens == 400


async def test_budgets_expire(replicas: Replicas, redis: RedisServer) -> None:
    hold = await reserve(replicas.one, tokens(100))
    replicas.one.settle(hold, {"tokens:ann": 1})
    await replicas.one.flush()
    client = Redis.from_url(redis.url, protocol=2)
    (key,) = await client.keys(f"{PREFIX}tokens:ann*")
    assert 86_400 < await client.ttl(key) <= 2 * 86_400
    await client.aclose()


async def test_uses_after_the_clock_of_redis_was_set_back_do_not_lock_out(
    replicas: Replicas, redis: RedisServer
) -> None:
    client = Redis.from_url(redis.url, protocol=2)
    in_an_hour = (time.time() + 3600) * 1000
    await client.zadd(f"{PREFIX}messages:ann", {f"{n}": in_an_hour for n in range(3)})
    assert await replicas.one.take("messages:ann", 3, 60) == 0.0
    await client.aclose()


async def test_a_cookie_of_one_replica_is_valid_at_the_other(replicas: Replicas) -> None:
    one, two = replicas.signers
    assert two.read("purpose", one.sign("purpose", "ann", TOMORROW), time.time()) == "ann"
    assert one.opaque("user:ann") == two.opaque("user:ann")
    assert Signer().read("purpose", one.sign("purpose", "ann", TOMORROW), time.time()) is None


async def test_an_endpoint_that_is_down_at_one_replica_is_paused_at_the_other(
    replicas: Replicas,
) -> None:
    down, ready = endpoint_status("m", state=EndpointState.DOWN), endpoint_status("m", alias="us-1")
    paused: list[str] = []

    def pause(alias: str, _seconds: float) -> None:
        paused.append(alias)

    await replicas.two.sync_endpoints(lambda: (endpoint_status("m"), ready), pause)
    assert paused == []
    await replicas.one.sync_endpoints(lambda: (down, ready), pause)
    assert paused == []
    await replicas.two.sync_endpoints(lambda: (endpoint_status("m"), ready), pause)
    assert paused == ["eu-1"]


async def test_without_redis_each_replica_counts_for_itself_and_reconnects(
    replicas: Replicas, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = replicas.one, replicas.two
    hold = await reserve(one, tokens(100), output=10)
    redis.kill()
    assert await one.take("messages:ann", 1, 60) == 0.0
    assert one.alone
    assert await one.take("messages:ann", 1, 60) > 0.0
    assert await one.wait_s("messages:ann", 1, 60) > 0.0
    await one.release("messages:ann")
    assert await one.take("messages:ann", 1, 60) == 0.0
    await one.reset("messages:ann")
    assert await one.take("messages:ann", 1, 60) == 0.0
    assert await two.take("messages:ann", 1, 60) == 0.0
    assert (await reserve(one, tokens(100))).output_tokens == 90
    one.settle(hold, {"tokens:ann": 8})
    assert (await refused(one, tokens(100), output=93)).name == "tokens:ann"
    assert [record.message for record in caplog.records].count("redis.lost") == 2
    redis.start()
    replicas.clock.now_s += RECONNECT_S + 1
    assert await one.take("messages:cas", 1, 60) == 0.0
    assert not one.alone
    assert await two.take("messages:cas", 1, 60) > 0.0
    await one.flush()  # the use of the time without Redis
    assert (await reserve(two, tokens(100))).output_tokens == 92
