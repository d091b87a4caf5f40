"""How much a request may bring, and how slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from akash_gradio.http.asgi import Message, Receive, header

LARGE_BYTES: Final = 64 * 1024 * 1024
"""Of a chat with its pictures; the page's own addresses have tighter limits of their own."""
SMALL_BYTES: Final = 256 * 1024
"""Of anything else, Gradio's uploads too: the page makes none."""
SILENCE_S: Final = 30.0
"""That a body may make between two packets."""


class Unfit(Exception):
    """The body can't be taken."""


class TooLarge(Unfit):
    """It is longer than is accepted. limit: bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class TooSlow(Unfit):
    """It stopped coming."""


class Body:
    """Live: counts what comes in. Its `receive` stands in the place of the server's.

    limit: bytes. silence_s: seconds without a packet, while the body is not whole.
    fault: why it was given up, None while it is well. An app behind the edge may make an
    answer of its own out of the exception; the edge looks here.
    """

    def __init__(self, receive: Receive, limit: int, silence_s: float = SILENCE_S) -> None:
        self._receive, self._limit, self._silence_s = receive, limit, silence_s
        self._size = 0
        self._whole = False
        self.fault: Unfit | None = None

    async def receive(self) -> Message:
        """The next message. Raises TooLarge, TooSlow."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._silence_s):
                message = await self._receive()
        except TimeoutError:
            self.fault = TooSlow()
            raise self.fault from None
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            self.fault = TooLarge(self._limit)
            raise self.fault
        self._whole = not message.get("more_body", False)
        return message


async def read_away(receive: Receive, limit: int = SMALL_BYTES, silence_s: float = 5.0) -> None:
    """Read a small body that nobody wants, up to the limit.

    A connection that is closed with bytes unread is reset, and the client may never see why.
    """
    body = Body(receive, limit, silence_s)
    with suppress(Unfit):
        while (await body.receive()).get("more_body", False):
            pass


def limit_of(path: str) -> int:
    """Bytes that a request for this path may bring."""
    return LARGE_BYTES if path.startswith("/page/") else SMALL_BYTES


def check_length(scope: Mapping[str, Any], limit: int) -> None:
    """Look at what is announced, before any of it is read. Raises TooLarge."""
    length = header(scope, "content-length")
    if length.isdigit() and int(length[:20]) > limit:
        raise TooLarge(limit)
