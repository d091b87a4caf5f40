"""Two replicas' counters over a real Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from akash_gradio.auth.signing import Signer
from akash_gradio.domain.ports import EndpointState
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.redis_counters import RECONNECT_S, open_redis_counters
from tests.quota.redis_server import RedisServer
from tests.web.fakes import Clock, endpoint_status

TOMORROW = time.time() + 86_400


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


class Pair:
    """Two replicas. clock: of both, for when they look for a lost Redis again."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.one, self.two = (
            open_redis_counters(url, LocalCounters(), self.clock) for _ in range(2)
        )
        self.signers = Signer(), Signer()


@pytest.fixture
async def pair(redis: RedisServer) -> AsyncIterator[Pair]:
    pair = Pair(redis.url)
    async with AsyncExitStack() as stack:
        for shared, signer in zip((pair.one, pair.two), pair.signers, strict=True):
            nothing: Callable[[], tuple[()]] = tuple
            sharing = shared.open(signer, nothing, lambda *_: None)
            await stack.enter_async_context(sharing)
        yield pair


async def test_a_visitor_has_one_share_at_both_replicas(pair: Pair) -> None:
    assert await pair.one.take("messages:ann", 3, 60) == 0.0
    assert await pair.two.take("messages:ann", 3, 60) == 0.0
    assert await pair.one.take("messages:ann", 3, 60) == 0.0
    wait_s = await pair.two.take("messages:ann", 3, 60)
    assert 50 < wait_s <= 60
    assert await pair.two.take("messages:ben", 3, 60) == 0.0


async def test_a_days_sums_are_added_up_and_forgotten_at_their_end(pair: Pair) -> None:
    pair.one.add("tokens:ann", 10, TOMORROW)
    pair.two.add("tokens:ann", 5.5, TOMORROW)
    pair.one.add("tokens:old", 7, time.time() - 10)
    await pair.one.flush()
    await pair.two.flush()
    assert await pair.one.total("tokens:ann") == await pair.two.total("tokens:ann") == 15.5
    assert await pair.two.total("tokens:old") == 0.0


async def test_a_cookie_of_one_replica_is_read_by_the_other(pair: Pair) -> None:
    one, two = pair.signers
    assert two.read("who", one.sign("who", "ann", TOMORROW), time.time()) == "ann"
    assert one.opaque("user:ann") == two.opaque("user:ann")
    assert Signer().read("who", one.sign("who", "ann", TOMORROW), time.time()) is None


async def test_an_endpoint_that_is_down_at_one_replica_rests_at_the_other(pair: Pair) -> None:
    down, well = endpoint_status("m", state=EndpointState.DOWN), endpoint_status("m", alias="us-1")
    rested: list[str] = []

    def rest(alias: str, _seconds: float) -> None:
        rested.append(alias)

    await pair.two.sync_endpoints(lambda: (endpoint_status("m"), well), rest)
    assert rested == []
    await pair.one.sync_endpoints(lambda: (down, well), rest)
    assert rested == []
    await pair.two.sync_endpoints(lambda: (endpoint_status("m"), well), rest)
    assert rested == ["eu-1"]


async def test_without_redis_each_replica_goes_on_alone_and_comes_back(
    pair: Pair, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    pair.one.add("tokens:ann", 10, TOMORROW)
    await pair.one.flush()
    redis.kill()
    assert await pair.one.take("messages:ann", 1, 60) == 0.0
    assert pair.one.alone
    assert await pair.one.take("messages:ann", 1, 60) > 0.0
    assert await pair.two.take("messages:ann", 1, 60) == 0.0
    assert await pair.one.total("tokens:ann") == 10.0
    assert [record.message for record in caplog.records].count("redis.lost") == 2
    redis.start()
    pair.clock.now_s += RECONNECT_S + 1
    assert await pair.one.take("messages:cas", 1, 60) == 0.0
    assert not pair.one.alone
    assert await pair.two.take("messages:cas", 1, 60) > 0.0
