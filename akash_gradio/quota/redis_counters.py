"""Shares counters, the cookies' secret and endpoint failures between replicas, through Redis.

While Redis can't be reached each replica counts for itself; it reconnects automatically. Needs
Redis 6 or later.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.quota.counters import LocalCounters

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

PREFIX: Final = "akash-gradio:"
TIMEOUT_S: Final = 0.5
"""Timeout of a Redis command, in seconds; a visitor waits for it."""
RECONNECT_S: Final = 5.0
"""Pause between two attempts to reach Redis, in seconds."""
SYNC_S: Final = 1.0
"""Interval at which endpoint failures are exchanged, in seconds."""
DOWN_TTL_S: Final = 3
"""How long an endpoint counts as down after its replica last reported it, in seconds."""
MAX_PENDING: Final = 10_000
"""Most additions that wait to be sent; later ones are counted in this process alone."""
SECRET_BYTES: Final = 32

TAKE: Final = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local window, limit, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ms - window)
local count = redis.call('ZCARD', KEYS[1])
local excess = count + amount - limit
if excess > 0 then
  local rank = math.min(excess, count) - 1
  if rank < 0 then return window end
  local oldest = redis.call('ZRANGE', KEYS[1], rank, rank, 'WITHSCORES')
  return tonumber(oldest[2]) + window - ms
end
if ARGV[4] ~= '' then
  for number = 1, amount do redis.call('ZADD', KEYS[1], ms, ARGV[4] .. number) end
  redis.call('PEXPIRE', KEYS[1], window)
end
return 0
"""
"""Counts uses in a sliding window, by Redis' own clock, since the replicas' clocks may differ.

Arguments: window in milliseconds, limit, amount, and a prefix for the members, "" to count
nothing. Returns the milliseconds to wait, 0 when the uses fit.
"""

ADD: Final = """
redis.call('INCRBYFLOAT', KEYS[1], ARGV[1])
redis.call('EXPIREAT', KEYS[1], ARGV[2])
"""
"""Adds to a sum and sets its expiry in one step: without an expiry a budget would stay used up.

Arguments: the amount, and the Unix time in seconds at which the sum is forgotten.
"""


class SharedSecret(Protocol):
    """A secret that the replicas agree on: `auth.signing.Signer`."""

    fixed: bool

    def adopt(self, secret: bytes) -> None:
        """Use this secret from now on."""
        ...


class RedisCounters:
    """`Counters` of all replicas together, for one event loop. Start it with `open`.

    Attributes:
        alone: Whether Redis can't be reached, so that this process counts for itself.
    """

    def __init__(
        self, client: Redis, local: LocalCounters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Connect nothing yet.

        Args:
            client: The Redis client.
            local: Counters for the time without Redis.
            clock: Monotonic seconds.
        """
        self._client, self._local, self._clock = client, local, clock
        self._retry_at = 0.0
        self._pending: asyncio.Queue[tuple[str, float, float]] = asyncio.Queue(MAX_PENDING)
        self._id, self._number = secrets.token_hex(8), 0
        self.alone = False

    async def take(self, name: str, limit: int, window_s: float, *, amount: int = 1) -> float:
        """See `Counters.take`."""
        self._number += 1
        prefix = f"{self._id}-{self._number}-"
        wait_s = await self._take(name, limit, window_s, amount, prefix)
        if wait_s is None:
            return await self._local.take(name, limit, window_s, amount=amount)
        return wait_s

    async def wait_s(self, name: str, limit: int, window_s: float) -> float:
        """See `Counters.wait_s`."""
        wait_s = await self._take(name, limit, window_s, 1, "")
        return await self._local.wait_s(name, limit, window_s) if wait_s is None else wait_s

    async def release(self, name: str, *, amount: int = 1) -> None:
        """See `Counters.release`."""
        await self._local.release(name, amount=amount)
        await self._run(self._client.zremrangebyrank, PREFIX + name, -amount, -1)

    async def reset(self, name: str) -> None:
        """See `Counters.reset`."""
        await self._local.reset(name)
        await self._run(self._client.delete, PREFIX + name)

    async def total(self, name: str) -> float:
        """See `Counters.total`."""
        shared = await self._run(self._client.get, PREFIX + name)
        local = await self._local.total(name)
        return local if self.alone else float(shared or 0.0)

    def add(self, name: str, amount: float, until: float) -> None:
        """See `Counters.add`. This process counts too, for the time without Redis."""
        self._local.add(name, amount, until)
        with suppress(asyncio.QueueFull):
            self._pending.put_nowait((name, amount, until))

    async def flush(self) -> None:
        """Wait until all additions were sent."""
        await self._pending.join()

    async def agree_on(self, secret: SharedSecret) -> None:
        """Agree with the other replicas on one secret for the cookies: the first one's."""
        if secret.fixed:
            return
        key = f"{PREFIX}secret"
        await self._run(self._client.set, key, secrets.token_bytes(SECRET_BYTES), nx=True)
        shared = await self._run(self._client.get, key)
        if shared:
            secret.adopt(shared)
            secret.fixed = True

    @asynccontextmanager
    async def open(
        self,
        secret: SharedSecret,
        endpoints: Callable[[], tuple[EndpointStatus, ...]],
        pause: Callable[[str, float], None],
    ) -> AsyncIterator[None]:
        """Share with the other replicas until the context ends.

        Args:
            secret: Secret of the cookies.
            endpoints: Returns the state of this replica's endpoints.
            pause: Pauses an endpoint, given by its alias, for so many seconds.
        """
        await self.agree_on(secret)
        tasks = [
            asyncio.create_task(self._send_additions()),
            asyncio.create_task(self._synchronize(secret, endpoints, pause)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Exception):
                await self._client.aclose()

    async def sync_endpoints(
        self,
        endpoints: Callable[[], tuple[EndpointStatus, ...]],
        pause: Callable[[str, float], None],
    ) -> None:
        """Report the endpoints that are down here; pause those that are down elsewhere."""
        for status in endpoints():
            key = f"{PREFIX}down:{status.alias}"
            if status.state is EndpointState.DOWN and status.models is not None:
                await self._run(self._client.set, key, b"1", ex=DOWN_TTL_S)
            elif await self._run(self._client.exists, key):
                pause(status.alias, SYNC_S * 2)

    async def _take(
        self, name: str, limit: int, window_s: float, amount: int, prefix: str
    ) -> float | None:
        """Run `TAKE`; return seconds, None without Redis."""
        arguments = (int(window_s * 1000), limit, amount, prefix)
        wait_ms = await self._run(self._client.eval, TAKE, 1, PREFIX + name, *arguments)
        if wait_ms is None:
            return None
        return max(0.001, wait_ms / 1000) if wait_ms else 0.0

    async def _send_additions(self) -> None:
        while True:
            name, amount, until = await self._pending.get()
            await self._run(self._client.eval, ADD, 1, PREFIX + name, amount, int(until))
            self._pending.task_done()

    async def _synchronize(
        self,
        secret: SharedSecret,
        endpoints: Callable[[], tuple[EndpointStatus, ...]],
        pause: Callable[[str, float], None],
    ) -> None:
        while True:
            await self.sync_endpoints(endpoints, pause)
            await self.agree_on(secret)
            await asyncio.sleep(SYNC_S)

    async def _run(self, command: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Run a command; return None while Redis can't be reached."""
        import redis.exceptions

        if self._clock() < self._retry_at:
            return None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                result = await command(*arguments, **named)
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            if not self.alone:
                logger.warning("redis.lost", extra={"outcome": type(error).__name__})
            self.alone, self._retry_at = True, self._clock() + RECONNECT_S
            return None
        if self.alone:
            logger.info("redis.reconnected")
            self.alone = False
        return result


def open_redis_counters(
    url: str, local: LocalCounters, clock: Callable[[], float] = time.monotonic
) -> RedisCounters:
    """Return counters that connect to Redis with their first command.

    Args:
        url: `redis://...` or `rediss://...`.
        local: Counters for the time without Redis.
        clock: Monotonic seconds.
    """
    from redis.asyncio import Redis

    client: Redis = Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, protocol=2
    )
    return RedisCounters(client, local, clock)
