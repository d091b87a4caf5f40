"""Asks an endpoint, and notes each packet and its time. It alone knows the HTTP client here.

The gateway's transport hides what the checker is after: when bytes came, how a connection
failed, what the certificate is. So this one is apart, plain, and in no hurry.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from akash_gradio.check.probe_request import Ask, Heard, Piece, Reach
from akash_gradio.check.target import Target
from akash_gradio.gateway.content_encoding import InvalidEncoding, make_decoder

if TYPE_CHECKING:
    import httpx

MOST_BYTES: Final = 4 << 20
"""Of one answer: what the checker asks for is a thousand times shorter."""
SECONDS_OF_A_DAY: Final = 86_400


class ProbeClient:
    """Live: one client for one target. Use it with `async with`. clock: monotonic seconds."""

    def __init__(self, target: Target, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._client: httpx.AsyncClient | None = None
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        import httpx

        url = urlsplit(self._target.entry.url)
        # Certificates take a quarter of a second to load.
        self._tls = httpx.create_ssl_context() if url.scheme == "https" else None
        here = is_private(url.hostname or "", loopback_only=True)
        self._client = httpx.AsyncClient(
            verify=self._tls or False, timeout=None, follow_redirects=False, trust_env=not here
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(
        self,
        ask: Ask,
        *,
        deadline_s: float,
        enough: Callable[[bytes], bool] = lambda _so_far: False,
    ) -> Heard:
        """Ask, and hear the answer to its end, to the deadline, or until there is enough of it.

        Never raises but for cancellation.
        """
        listening = _Listening(ask, enough, self._clock)
        try:
            async with asyncio.timeout(deadline_s):
                await self._hear(ask, listening)
        except TimeoutError:
            listening.failure = "silent"
        return listening.heard()

    async def reach(self, *, deadline_s: float) -> Reach:
        """Name, connection, TLS and certificate, one after the other."""
        url = urlsplit(self._target.entry.url)
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        if _proxied(url.scheme, host):
            return Reach(proxy=True)
        began = self._clock()
        try:
            async with asyncio.timeout(deadline_s):
                found = await _reach(host, port, self._tls)
        except TimeoutError:
            found = Reach(failure="silent")
        return Reach(
            failure=found.failure,
            detail=found.detail,
            days_left=found.days_left,
            seconds=self._clock() - began,
        )

    async def _hear(self, ask: Ask, listening: _Listening) -> None:
        import httpx

        assert self._client is not None
        headers = self._target.headers(ask.key)
        try:
            async with self._client.stream(
                "GET" if ask.body is None else "POST",
                (ask.base or self._target.entry.url) + ask.path,
                headers=headers,
                content=ask.encoded,
            ) as response:
                listening.head(response)
                await listening.body(response.aiter_raw())
        except InvalidEncoding:
            listening.failure = "encoding"
        except httpx.RemoteProtocolError as error:
            listening.fails("no_http" if "disconnected" not in str(error) else "closed")
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            listening.fails("closed")


class _Listening:
    """Live: what is heard of one answer."""

    def __init__(
        self, ask: Ask, enough: Callable[[bytes], bool], clock: Callable[[], float]
    ) -> None:
        self.failure = ""
        self._ask, self._enough, self._clock = ask, enough, clock
        self._began = clock()
        self._status: int | None = None
        self._headers: dict[str, str] = {}
        self._pieces: list[Piece] = []
        self._size = 0

    def head(self, response: httpx.Response) -> None:
        self._status = response.status_code
        self._headers = {name.lower(): value for name, value in response.headers.items()}

    async def body(self, packets: AsyncIterator[bytes]) -> None:
        decode = make_decoder(self._headers.get("content-encoding"))
        async for packet in packets:
            for data in decode(packet) if decode else (packet,):
                self._pieces.append(Piece(at_s=self._clock() - self._began, data=data))
                self._size += len(data)
            if self._size > MOST_BYTES:
                self.failure = "too_long"
                return
            if self._enough(packet):
                self.failure = "stopped"
                return

    def fails(self, how: str) -> None:
        """Without a head it is what it is; in the body it is a cut."""
        self.failure = how if self._status is None else "cut"

    def heard(self) -> Heard:
        return Heard(
            ask=self._ask,
            status=self._status,
            headers=self._headers,
            pieces=tuple(self._pieces),
            failure=self.failure,
            seconds=self._clock() - self._began,
        )


async def _reach(host: str, port: int, tls: ssl.SSLContext | None) -> Reach:
    loop = asyncio.get_running_loop()
    try:
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Reach(failure="dns")
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=tls)
    except ssl.SSLCertVerificationError as error:
        return Reach(failure="certificate", detail=error.verify_message)
    except ConnectionRefusedError:
        return Reach(failure="refused")
    except (ssl.SSLError, ConnectionError):
        return Reach(failure="tls" if tls else "connect")
    except OSError:
        return Reach(failure="connect")
    try:
        return Reach(days_left=_days_left(writer) if tls else None)
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def _days_left(writer: asyncio.StreamWriter) -> int | None:
    link = writer.get_extra_info("ssl_object")
    until = (link.getpeercert() or {}).get("notAfter") if link is not None else None
    if not isinstance(until, str):
        return None
    return int((ssl.cert_time_to_seconds(until) - time.time()) // SECONDS_OF_A_DAY)


def _proxied(scheme: str, host: str) -> bool:
    import urllib.request

    if is_private(host, loopback_only=True) or urllib.request.proxy_bypass(host):
        return False
    proxies = urllib.request.getproxies()
    return bool(proxies.get(scheme) or proxies.get("all"))


def is_private(host: str, *, loopback_only: bool = False) -> bool:
    """Whether the host is this machine or, unless loopback_only, on a network of its own."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return not loopback_only and "." not in host
    return address.is_loopback or (not loopback_only and address.is_private)
