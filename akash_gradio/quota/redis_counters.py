"""Shares counters, the cookies' secret and endpoint failures between replicas, through Redis.

While Redis can't be reached each replica counts for itself; it reconnects automatically. Needs
Redis 6 or later.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.quota.counters import Demand, Hold, LocalCounters, Shortage

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
REPLICAS: Final = f"{PREFIX}replica:"
"""Prefix of the keys that exist while a replica has reservations and runs."""
REPLICA_TTL_S: Final = 30
"""How long a replica's reservations outlive it, in seconds."""
MAX_PENDING: Final = 10_000
"""Most settlements that wait to be sent; later ones are counted in this process alone."""
SECRET_BYTES: Final = 32

TAKE: Final = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local window, limit, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ms - window)
redis.call('ZREMRANGEBYSCORE', KEYS[1], ms + 1000, '+inf')
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
Uses in the future are dropped: that clock was set back, and would refuse visitors for as long.

Arguments: window in milliseconds, limit, amount, and a prefix for the members, "" to count
nothing. Returns the milliseconds to wait, 0 when the uses fit.
"""

RESERVE: Final = """
local now = redis.call('TIME')
local day = math.floor(now[1] / 86400)
local left = 86400 - now[1] % 86400
local replicas, replica, id = ARGV[1], ARGV[2], ARGV[3]
local output, least = tonumber(ARGV[4]), tonumber(ARGV[5])

local function fits(limit, taken, fixed, per_token)
  local free = limit - taken - fixed
  if free < 0 then return -1 end
  if per_token == 0 then return output end
  return math.min(output, math.floor(free / per_token))
end

local granted, short = output, 0
for i, name in ipairs(KEYS) do
  local key = name .. ':' .. day
  local limit = tonumber(ARGV[3 * i + 3])
  local fixed = tonumber(ARGV[3 * i + 4])
  local per_token = tonumber(ARGV[3 * i + 5])
  local used, held = 0, 0
  local fields = redis.call('HGETALL', key)
  for f = 1, #fields, 2 do
    if fields[f] == 'used' then
      used = tonumber(fields[f + 1])
    elseif fields[f] == replica or redis.call('EXISTS', replicas .. fields[f]) == 1 then
      held = held + tonumber(fields[f + 1])
    else
      redis.call('HDEL', key, fields[f])
    end
  end
  local fitting = fits(limit, used + held, fixed, per_token)
  if fitting < least then
    if fits(limit, used, fixed, per_token) < least then return {-1, i, 0, left} end
    short = i
  end
  granted = math.min(granted, fitting)
end
if short > 0 then return {-1, short, 1, left} end
local hold = {day}
for i, name in ipairs(KEYS) do
  local key = name .. ':' .. day
  local amount = tonumber(ARGV[3 * i + 4]) + tonumber(ARGV[3 * i + 5]) * granted
  redis.call('HINCRBYFLOAT', key, replica, string.format('%.17g', amount))
  redis.call('EXPIRE', key, 172800)
  hold[i + 1] = amount
end
redis.call('HSET', replicas .. replica, id, cjson.encode(hold))
redis.call('EXPIRE', replicas .. replica, tonumber(ARGV[6 + 3 * #KEYS]))
return {granted, 0, 0, left, day}
"""
"""Reserves an amount in several daily budgets, or in none. The day is that of Redis' clock.

A budget is a hash: what is `used`, and what each replica holds. What is held by a replica that
doesn't exist any more is dropped. `fits` is `counters.fitting_output`.

Arguments: prefix of the replicas' keys, this replica, the reservation's id, longest and shortest
output in tokens; limit, input and amount per token of each budget; seconds until a replica that
doesn't report itself counts as gone. Returns the granted tokens (-1 for a refusal), the number of
the budget that is short, whether running requests hold what is missing, the seconds left of the
day, and the day.
"""

SETTLE: Final = """
local replica_key, id, replica, day = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local value = redis.call('HGET', replica_key, id)
local hold = nil
if value then
  hold = cjson.decode(value)
  day = hold[1]
  redis.call('HDEL', replica_key, id)
end
for i, name in ipairs(KEYS) do
  local key = name .. ':' .. day
  if hold then
    local left = redis.call('HINCRBYFLOAT', key, replica, string.format('%.17g', -hold[i + 1]))
    if tonumber(left) < 1e-12 then redis.call('HDEL', key, replica) end
  end
  if tonumber(ARGV[i + 4]) > 0 then
    redis.call('HINCRBYFLOAT', key, 'used', ARGV[i + 4])
    redis.call('EXPIRE', key, 172800)
  end
end
return 0
"""
"""Replaces a reservation by what was used; what isn't held any more is not released again.

Arguments: the key of the replica, the reservation's id, the replica, the day if the reservation is
unknown; the used amount of each budget.
"""


class SharedSecret(Protocol):
    """A secret that the replicas agree on: `auth.signing.Signer`."""

    fixed: bool

    def adopt(self, secret: bytes) -> None:
        """Use this secret from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settlement:
    """Arguments of `SETTLE`."""

    id: int
    names: tuple[str, ...]
    day: int
    used: Mapping[str, float]


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
        self._pending: asyncio.Queue[_Settlement] = asyncio.Queue(MAX_PENDING)
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

    async def reserve(self, demands: Sequence[Demand], output: int, least: int) -> Hold | Shortage:
        """See `Counters.reserve`. This process counts too, for the time without Redis."""
        self._number += 1
        shared_id, names = self._number, tuple(demand.name for demand in demands)
        # Undoes a reservation that Redis made, but whose reply was lost.
        undo = _Settlement(id=shared_id, names=names, day=0, used=EMPTY_MAPPING)
        sends = self._clock() >= self._retry_at
        try:
            reply = await self._reserve(demands, output, least, shared_id)
        except asyncio.CancelledError:
            self._send_later(undo)
            raise
        if reply is None:
            if sends:
                self._send_later(undo)
            return await self._local.reserve(demands, output, least)
        granted, short, held, left_s, *day = reply
        if granted < 0:
            return Shortage(names[short - 1], held=bool(held), wait_s=left_s)
        amounts = {d.name: d.fixed + d.per_token * granted for d in demands}
        return self._local.hold(day[0], granted, amounts, shared_id=shared_id)

    def settle(self, hold: Hold, used: Mapping[str, float]) -> None:
        """See `Counters.settle`. It is sent to Redis later, and until Redis receives it."""
        if self._local.settle(hold, used):
            names = tuple(hold.amounts)
            self._send_later(_Settlement(id=hold.shared_id, names=names, day=hold.day, used=used))

    async def flush(self) -> None:
        """Wait until all settlements were sent."""
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
            asyncio.create_task(self._send_settlements()),
            asyncio.create_task(self._synchronize(secret, endpoints, pause)),
        ]
        try:
            yield
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * TIMEOUT_S):
                    await self.flush()
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

    async def _reserve(
        self, demands: Sequence[Demand], output: int, least: int, shared_id: int
    ) -> list[int] | None:
        """Run `RESERVE`; return None without Redis."""
        budgets = [part for d in demands for part in (d.limit, d.fixed, d.per_token)]
        reply: list[int] | None = await self._run(
            self._client.eval, RESERVE, len(demands), *(PREFIX + d.name for d in demands),
            REPLICAS, self._id, shared_id, output, least, *budgets, REPLICA_TTL_S,
        )  # fmt: skip
        return reply

    def _send_later(self, settlement: _Settlement) -> None:
        with suppress(asyncio.QueueFull):
            self._pending.put_nowait(settlement)

    async def _send_settlements(self) -> None:
        while True:
            item = await self._pending.get()
            if not await self._settle(item):
                await asyncio.sleep(SYNC_S)
                self._send_later(item)
            self._pending.task_done()

    async def _settle(self, item: _Settlement) -> bool:
        """Run `SETTLE`; return False without Redis."""
        used = [item.used.get(name, 0.0) for name in item.names]
        keys = [PREFIX + name for name in item.names]
        arguments = (REPLICAS + self._id, item.id, self._id, item.day, *used)
        result = await self._run(self._client.eval, SETTLE, len(keys), *keys, *arguments)
        return result is not None

    async def _synchronize(
        self,
        secret: SharedSecret,
        endpoints: Callable[[], tuple[EndpointStatus, ...]],
        pause: Callable[[str, float], None],
    ) -> None:
        while True:
            await self.sync_endpoints(endpoints, pause)
            await self.agree_on(secret)
            await self._run(self._client.expire, REPLICAS + self._id, REPLICA_TTL_S)
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
