"""What replicas share through Redis: counts, the cookies' secret, endpoints that are down.

When Redis can't be reached each replica goes on alone with its own counts, says so, and
comes back by itself. Needs Redis 6 or later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.auth.signing import SECRET_BYTES, Signer
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.quota.counters import LocalCounters

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

PREFIX: Final = "akash-gradio:"
ANSWER_S: Final = 0.5
"""That Redis may take for anything; a visitor waits for it."""
AGAIN_S: Final = 5.0
"""Between two tries to reach it while it is lost."""
BEAT_S: Final = 1.0
"""Between two looks at the endpoints of the other replicas."""
DOWN_S: Final = 3
"""That an endpoint stays down for the others after its replica last said so."""
MOST_PENDING: Final = 10_000

TAKE: Final = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local window, most = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ms - window)
local count = redis.call('ZCARD', KEYS[1])
if count >= most then
  local oldest = redis.call('ZRANGE', KEYS[1], count - most, count - most, 'WITHSCORES')
  return tonumber(oldest[2]) + window - ms
end
redis.call('ZADD', KEYS[1], ms, ARGV[3])
redis.call('PEXPIRE', KEYS[1], window)
return 0
"""
"""One more in the window, by Redis' own clock: the replicas' may differ. In milliseconds."""


class RedisCounters:
    """Live `Counters` of all replicas together. Use `open`; lives on one event loop.

    client: of Redis. alone: Redis is lost just now.
    """

    def __init__(
        self, client: Redis, own: LocalCounters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._own, self._clock = client, own, clock
        self._lost_until = 0.0
        self._pending: asyncio.Queue[tuple[str, float, float]] = asyncio.Queue(MOST_PENDING)
        self._number = 0
        self.alone = False

    async def take(self, name: str, most: int, window_s: float) -> float:
        """See `Counters.take`."""
        self._number += 1
        member = f"{id(self)}-{self._clock()}-{self._number}"
        arguments = (int(window_s * 1000), most, member)
        wait_ms = await self._ask(self._client.eval, TAKE, 1, PREFIX + name, *arguments)
        if wait_ms is None:
            return await self._own.take(name, most, window_s)
        return max(0.001, wait_ms / 1000) if wait_ms else 0.0

    async def total(self, name: str) -> float:
        """See `Counters.total`."""
        found = await self._ask(self._client.get, PREFIX + name)
        own = await self._own.total(name)
        return own if self.alone else float(found or 0.0)

    def add(self, name: str, amount: float, until: float) -> None:
        """See `Counters.add`. Counted here too, for when Redis is lost."""
        self._own.add(name, amount, until)
        with suppress(asyncio.QueueFull):
            self._pending.put_nowait((name, amount, until))

    async def written(self) -> None:
        """Wait until all that was added has been sent."""
        await self._pending.join()

    async def agree_on(self, signer: Signer) -> None:
        """One secret for the cookies of all replicas: the first one's."""
        if signer.fixed:
            return
        import secrets

        key = f"{PREFIX}secret"
        await self._ask(self._client.set, key, secrets.token_bytes(SECRET_BYTES), nx=True)
        agreed = await self._ask(self._client.get, key)
        if agreed:
            signer.adopt(agreed)
            signer.fixed = True

    @asynccontextmanager
    async def open(
        self,
        signer: Signer,
        endpoints: Callable[[], tuple[EndpointStatus, ...]],
        rest: Callable[[str, float], None],
    ) -> AsyncIterator[None]:
        """Share until it is left. rest: gives an endpoint, by its alias, so many seconds' rest."""
        await self.agree_on(signer)
        tasks = [
            asyncio.create_task(self._write()),
            asyncio.create_task(self._watch(signer, endpoints, rest)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Exception):
                await self._client.aclose()

    async def _write(self) -> None:
        while True:
            name, amount, until = await self._pending.get()
            key, expires = PREFIX + name, int(until)
            await self._ask(self._client.incrbyfloat, key, amount)
            await self._ask(self._client.expireat, key, expires)
            self._pending.task_done()

    async def _watch(
        self,
        signer: Signer,
        endpoints: Callable[[], tuple[EndpointStatus, ...]],
        rest: Callable[[str, float], None],
    ) -> None:
        while True:
            await self.tell_and_hear(endpoints, rest)
            await self.agree_on(signer)
            await asyncio.sleep(BEAT_S)

    async def tell_and_hear(
        self,
        endpoints: Callable[[], tuple[EndpointStatus, ...]],
        rest: Callable[[str, float], None],
    ) -> None:
        """Say which endpoints are down here; let those rest that are down elsewhere."""
        for status in endpoints():
            key = f"{PREFIX}down:{status.alias}"
            if status.state is EndpointState.DOWN and status.models is not None:
                await self._ask(self._client.set, key, b"1", ex=DOWN_S)
            elif await self._ask(self._client.exists, key):
                rest(status.alias, BEAT_S * 2)

    async def _ask(self, command: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Redis' answer; None when it is lost."""
        import redis.exceptions

        if self._clock() < self._lost_until:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await command(*arguments, **named)
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            if not self.alone:
                logger.warning("shared.lost", extra={"outcome": type(error).__name__})
            self.alone, self._lost_until = True, self._clock() + AGAIN_S
            return None
        if self.alone:
            logger.info("shared.found")
            self.alone = False
        return answer


def open_redis_counters(
    url: str, own: LocalCounters, clock: Callable[[], float] = time.monotonic
) -> RedisCounters:
    """url: `redis://…` or `rediss://…`. Nothing is asked yet."""
    from redis.asyncio import Redis

    client: Redis = Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, protocol=2
    )
    return RedisCounters(client, own, clock)
