"""Reads request bodies with limits on their size and on pauses between their parts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from akash_gradio.http.asgi import Message, Receive, header

CHAT_BODY_BYTES: Final = 64 * 1024 * 1024
"""Largest body below `/page/`: a chat with its pictures. Most routes have a lower limit."""
DEFAULT_BODY_BYTES: Final = 256 * 1024
"""Largest body of any other request. The page uploads nothing to Gradio."""
MAX_PAUSE_S: Final = 30.0
"""Longest pause between two parts of a body, in seconds."""


class BodyError(Exception):
    """The body can't be read."""


class BodyTooLarge(BodyError):
    """The body is longer than the limit.

    Attributes:
        limit: The limit in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class BodyTooSlow(BodyError):
    """No part of the body was received within the longest pause."""


class ClientDisconnected(BodyError):
    """The client closed the connection before its body was complete."""


class BoundedReceive:
    """Wraps an ASGI `receive` and limits the body that comes through it.

    Attributes:
        error: Why reading was given up, None so far. An app may catch the exception and
            respond by itself, so a middleware looks here as well.
    """

    def __init__(
        self, receive: Receive, limit: int, *, max_pause_s: float | None = MAX_PAUSE_S
    ) -> None:
        """Initialize the wrapper.

        Args:
            receive: The server's.
            limit: Largest body, in bytes.
            max_pause_s: Longest pause between two parts, in seconds; None for no limit.
        """
        self._receive, self._limit, self._max_pause_s = receive, limit, max_pause_s
        self._size = 0
        self._complete = False
        self.error: BodyError | None = None

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            BodyTooLarge: The parts so far exceed the limit.
            BodyTooSlow: Nothing was received within the longest pause.
        """
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(self._max_pause_s):
                message = await self._receive()
        except TimeoutError:
            self.error = BodyTooSlow()
            raise self.error from None
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            self.error = BodyTooLarge(self._limit)
            raise self.error
        self._complete = not message.get("more_body", False)
        return message


async def read_body(receive: Receive, *, limit_bytes: int, content_length: str = "") -> bytes:
    """Read a whole body, without holding more than the limit in memory.

    Args:
        receive: Of the request.
        limit_bytes: Largest body.
        content_length: The header of that name; a larger one is refused before reading.

    Raises:
        BodyTooLarge: The body is larger than the limit.
        ClientDisconnected: The client closed the connection.
    """
    _check_content_length(content_length, limit_bytes)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def drain_body(
    receive: Receive, *, limit_bytes: int = DEFAULT_BODY_BYTES, max_pause_s: float = 5.0
) -> None:
    """Read and discard the body of a refused request, up to the limit.

    A connection that is closed with unread bytes is reset, and the client may never see the
    response.
    """
    bounded = BoundedReceive(receive, limit_bytes, max_pause_s=max_pause_s)
    with suppress(BodyError):
        await read_body(bounded, limit_bytes=limit_bytes)


def body_limit(path: str) -> int:
    """Return the largest body of a request for this path, in bytes."""
    return CHAT_BODY_BYTES if path.startswith("/page/") else DEFAULT_BODY_BYTES


def check_content_length(scope: Mapping[str, Any], limit: int) -> None:
    """Refuse a body by its announced length, before any of it is read.

    Raises:
        BodyTooLarge: Content-Length exceeds the limit.
    """
    _check_content_length(header(scope, "content-length"), limit)


def _check_content_length(value: str, limit: int) -> None:
    if value.isdecimal() and int(value[:20]) > limit:
        raise BodyTooLarge(limit)
