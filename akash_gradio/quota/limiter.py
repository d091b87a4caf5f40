"""The rate limiter of visitors' messages, API keys, votes and sign-in attempts.

It counts in `Counters`: in this process, or in Redis for all replicas together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.visitor import Visitor
from akash_gradio.quota.counters import Counters

MINUTE_S: Final = 60.0
NETWORK_FACTOR: Final = 10
"""How many times one visitor's limit all visitors of one network have together: a new cookie
makes a new visitor, but not a new network."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` uses within any `window_s` seconds.

    Attributes:
        name: What is limited, e.g. `messages`. Names the counter, and the reason of
            `LimitReached`.
        limit: Number of uses.
        window_s: Length of the sliding window in seconds.
    """

    name: str
    limit: int
    window_s: float = MINUTE_S


class RateLimiter:
    """Counts uses by subject, in sliding windows.

    A subject is what is limited: a visitor's id, a key's name, a network.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def admit(
        self, limit: RateLimit, subject: str, *, amount: int = 1, factor: int = 1
    ) -> None:
        """Count `amount` uses, all of them or none.

        Args:
            limit: The limit.
            subject: Who is limited.
            amount: Number of uses.
            factor: How many times the limit this subject has.

        Raises:
            LimitReached: The uses exceed the limit; nothing was counted.
        """
        key, scaled_limit = _key(limit, subject), limit.limit * factor
        wait_s = await self._counters.take(key, scaled_limit, limit.window_s, amount=amount)
        if wait_s > 0:
            raise LimitReached(limit.name, limit=limit.limit, retry_after_s=wait_s)

    async def admit_visitor(
        self,
        limit: RateLimit,
        visitor: Visitor,
        *,
        amount: int = 1,
        network_factor: int = NETWORK_FACTOR,
    ) -> None:
        """Count uses of a visitor and, where it is known, of the visitor's network.

        Args:
            limit: The limit of one visitor.
            visitor: Who is limited.
            amount: Number of uses.
            network_factor: How many times the limit the network has.

        Raises:
            LimitReached: The visitor or the network exceeds its limit; nothing was counted.
        """
        await self.admit(limit, visitor.id, amount=amount)
        if not visitor.network:
            return
        try:
            await self.admit(limit, visitor.network, amount=amount, factor=network_factor)
        except LimitReached:
            await self.release(limit, visitor.id, amount=amount)
            raise

    async def wait_s(self, limit: RateLimit, subject: str) -> float:
        """Return the seconds until the subject's next use is admitted, 0.0 for now."""
        return await self._counters.wait_s(_key(limit, subject), limit.limit, limit.window_s)

    async def release(self, limit: RateLimit, subject: str, *, amount: int = 1) -> None:
        """Take back the subject's latest uses."""
        await self._counters.release(_key(limit, subject), amount=amount)

    async def reset(self, limit: RateLimit, subject: str) -> None:
        """Forget all uses of the subject."""
        await self._counters.reset(_key(limit, subject))


def _key(limit: RateLimit, subject: str) -> str:
    return f"{limit.name}:{subject}"
