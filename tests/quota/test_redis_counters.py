"""The counters of two replicas with one Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from akash_gradio.auth.signing import Signer
from akash_gradio.domain.ports import EndpointState
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.redis_counters import (
    PREFIX,
    RECONNECT_S,
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


async def test_sums_are_added_for_both_replicas_and_expire(replicas: Replicas) -> None:
    one, two = replicas.one, replicas.two
    one.add("tokens:ann", 10, TOMORROW)
    two.add("tokens:ann", 5.5, TOMORROW)
    one.add("tokens:old", 7, time.time() - 10)
    await one.flush()
    await two.flush()
    assert await one.total("tokens:ann") == await two.total("tokens:ann") == 15.5
    assert await two.total("tokens:old") == 0.0


class LosesConnection:
    """A client of Redis that loses the connection at each command of one name."""

    def __init__(self, client: Any, command: str) -> None:
        self._client, self._command = client, command

    def __getattr__(self, name: str) -> Any:
        async def lose(*_arguments: object) -> None:
            raise ConnectionError

        return lose if name == self._command else getattr(self._client, name)


async def test_a_sum_expires_even_if_the_connection_is_lost_after_adding(
    redis: RedisServer,
) -> None:
    client = Redis.from_url(redis.url, protocol=2)
    unstable: Any = LosesConnection(client, "expireat")
    counters = RedisCounters(unstable, LocalCounters())
    async with counters.open(Signer(), lambda: (), lambda *_: None):
        counters.add("tokens:ann", 10, TOMORROW)
        await counters.flush()
        assert await client.ttl(f"{PREFIX}tokens:ann") > 0


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
    one.add("tokens:ann", 10, TOMORROW)
    await one.flush()
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
    assert await one.total("tokens:ann") == 10.0
    assert [record.message for record in caplog.records].count("redis.lost") == 2
    redis.start()
    replicas.clock.now_s += RECONNECT_S + 1
    assert await one.take("messages:cas", 1, 60) == 0.0
    assert not one.alone
    assert await two.take("messages:cas", 1, 60) > 0.0
