"""Reads request bodies, with limits on their sizes, on their pace, and on all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from akash_gradio.domain.errors import UserError
from akash_gradio.domain.size_limits import (
    BODIES_BYTES,
    BODY_PACE_BYTES,
    BODY_PACE_S,
    UNCOUNTED_BODY_BYTES,
)
from akash_gradio.http.asgi import Receive

LEASE: Final = "akash_gradio.body_lease"
"""Key of the ASGI scope: the `BodyLease` of the request, where the middleware opened one."""
DRAINED_BYTES: Final = 256 * 1024
DRAIN_S: Final = 5.0
BUSY_RETRY_S: Final = 10.0
EVICTED_TO: Final = 0.9
"""Share of the total that is left after bodies were given up. It leaves room for some parts, so
that not each of them sorts all bodies."""


class BodyError(UserError):
    """The body can't be read. The connection is closed, since the rest of it is unread."""


class BodyTooLarge(BodyError):
    """The body is longer than the limit.

    Attributes:
        limit: The limit in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__("body_too_large", {"limit": f"{limit / 1_000_000:.1f}"}, 413)
        self.limit = limit


class BodyTooSlow(BodyError):
    """The body arrived more slowly than the lowest accepted pace."""

    def __init__(self) -> None:
        super().__init__("body_too_slow", status=408)


class BodiesFull(BodyError):
    """All bodies together are too large, and this one's sender has the largest part of them."""

    def __init__(self) -> None:
        super().__init__("bodies_full", {"retry_after_s": BUSY_RETRY_S}, 503)


class ClientDisconnected(Exception):
    """The client closed the connection before its body was complete."""


class BodyLease:
    """The part of a `BodyBudget` that one request holds.

    Attributes:
        owner: Who sends it: an opaque id of a network, a visitor or a key.
        size: The counted bytes.
    """

    __slots__ = ("_budget", "_deadline", "_received", "evicted", "owner", "size")

    def __init__(self, budget: BodyBudget, owner: str) -> None:
        self._budget, self.owner = budget, owner
        self.size = self._received = 0
        self.evicted = False
        self._deadline: asyncio.Timeout | None = None

    async def read(self, receive: Receive, limit_bytes: int) -> bytes:
        """Read a whole body; its bytes are counted until `release`.

        Raises:
            BodyTooLarge: The body is larger than the limit.
            BodyTooSlow: It arrives too slowly.
            BodiesFull: All bodies together are too large.
            ClientDisconnected: The client closed the connection.
        """
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(BODY_PACE_S) as self._deadline:
                await self._read_parts(receive, parts, limit_bytes)
        except TimeoutError:
            raise (BodiesFull() if self.evicted else BodyTooSlow()) from None
        else:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            # An exception keeps this frame alive, which must not keep the body alive.
            parts.clear()
            self._deadline = None

    async def _read_parts(self, receive: Receive, parts: list[bytes], limit_bytes: int) -> None:
        deadline, loop = self._deadline, asyncio.get_running_loop()
        assert deadline is not None
        since_deadline, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            part, more = message.get("body", b""), message.get("more_body", False)
            self._received += len(part)
            if self._received > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            if more or self._received > UNCOUNTED_BODY_BYTES:
                self._budget.add(self, self._received - self.size)
            parts.append(part)
            since_deadline += len(part)
            if since_deadline >= BODY_PACE_BYTES:
                since_deadline = 0
                deadline.reschedule(loop.time() + BODY_PACE_S)

    def release(self) -> None:
        """Count the bytes no longer."""
        self._budget.take_back(self)

    def evict(self) -> None:
        """Give the body up, so that its bytes are free."""
        self.evicted = True
        self._budget.take_back(self)
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())

    @property
    def is_reading(self) -> bool:
        """Whether the body is still being read, so that it can be given up."""
        return self._deadline is not None and not self.evicted


class BodyBudget:
    """The bytes of all bodies that are in memory at once.

    When they are too many, unfinished bodies of the sender with the most bytes are given up, the
    largest first. So they take no place from other senders. A body that is small and complete isn't
    counted.

    Attributes:
        total_bytes: Most counted bytes.
        held_bytes: The bytes that are counted now.
    """

    def __init__(self, total_bytes: int = BODIES_BYTES) -> None:
        """Initialize the budget.

        Args:
            total_bytes: Most counted bytes.
        """
        self.total_bytes = total_bytes
        self._leases: set[BodyLease] = set()
        self.held_bytes = 0

    @contextmanager
    def lease(self, owner: str) -> Iterator[BodyLease]:
        """Open a lease for one request, and release it at its end."""
        lease = BodyLease(self, owner)
        try:
            yield lease
        finally:
            self.take_back(lease)

    def add(self, lease: BodyLease, size: int) -> None:
        """Count more bytes of a body that is being read.

        Raises:
            BodiesFull: There is no room for them.
        """
        if lease.evicted:
            raise BodiesFull
        self._leases.add(lease)
        lease.size += size
        self.held_bytes += size
        if self.held_bytes > self.total_bytes:
            for victim in self._largest_first():
                victim.evict()
                if self.held_bytes <= self.total_bytes * EVICTED_TO:
                    break
            if lease.evicted:
                raise BodiesFull

    def take_back(self, lease: BodyLease) -> None:
        """Forget the bytes of a lease."""
        self.held_bytes -= lease.size
        lease.size = 0
        self._leases.discard(lease)

    def _largest_first(self) -> list[BodyLease]:
        """Return the unfinished bodies, those of the sender with the most bytes first."""
        sums: dict[str, int] = {}
        for lease in self._leases:
            sums[lease.owner] = sums.get(lease.owner, 0) + lease.size
        reading = (lease for lease in self._leases if lease.is_reading)
        return sorted(reading, key=lambda lease: (sums[lease.owner], lease.size), reverse=True)


PROCESS_BODIES: Final = BodyBudget()
"""The bodies of this process, whichever of its servers and routes reads them."""


async def read_body(
    receive: Receive,
    *,
    limit_bytes: int,
    content_length: str = "",
    owner: str = "",
    lease: BodyLease | None = None,
) -> bytes:
    """Read a whole body, without holding more than the limit in memory.

    Args:
        receive: Of the request.
        limit_bytes: Largest body.
        content_length: The header of that name; a larger one is refused before reading.
        owner: Who sends it, if there is no lease.
        lease: Counts the bytes until the caller releases it. Without one they are counted while
            the body is read.

    Raises:
        BodyTooLarge: The body is larger than the limit.
        BodyTooSlow: It arrives too slowly.
        BodiesFull: All bodies together are too large.
        ClientDisconnected: The client closed the connection.
    """
    if content_length.isdecimal() and int(content_length[:20]) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    if lease is not None:
        return await lease.read(receive, limit_bytes)
    with PROCESS_BODIES.lease(owner) as own:
        return await own.read(receive, limit_bytes)


async def drain_body(receive: Receive) -> None:
    """Read and discard some of the body of a refused request.

    A connection that is closed with unread bytes is reset, and the client may never see the
    response.
    """
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while size < DRAINED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
