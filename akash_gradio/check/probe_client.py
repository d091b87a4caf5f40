"""An HTTP client that records when each chunk of a response arrived.

The gateway's transport hides what the checker needs: when bytes arrived, how a connection failed,
and the certificate. This client is separate, simple, and not optimized for speed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from akash_gradio.check.probe_request import (
    BodyChunk,
    ConnectionResult,
    ProbeRequest,
    ProbeResponse,
)
from akash_gradio.check.target import Target
from akash_gradio.gateway.content_encoding import InvalidEncoding, make_decoder
from akash_gradio.http.proxies import EnvironmentProxies

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES: Final = 4 << 20
"""Upper bound of one response. Expected responses are a thousand times shorter."""
SECONDS_PER_DAY: Final = 86_400


class ProbeClient:
    """A client for one target, used with `async with`."""

    def __init__(self, target: Target, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._client: httpx.AsyncClient | None = None
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        import httpx

        url = urlsplit(self._target.entry.url)
        # Loading certificates takes a quarter of a second, so it's done only for https.
        self._tls = httpx.create_ssl_context() if url.scheme == "https" else None
        self._client = httpx.AsyncClient(
            verify=self._tls or False,
            timeout=None,
            follow_redirects=False,
            proxy=EnvironmentProxies().for_url(self._target.entry.url) or None,
            trust_env=False,
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
        request: ProbeRequest,
        *,
        timeout_s: float,
        stop_when: Callable[[bytes], bool] = lambda _chunk: False,
    ) -> ProbeResponse:
        """Send a request and read the response. Raises nothing except on cancellation.

        Args:
            request: The request.
            timeout_s: Time limit for the whole response, in seconds.
            stop_when: Called with each chunk of the body; True stops reading.

        Returns:
            The response as far as it was received.
        """
        recorder = _ResponseRecorder(request, stop_when, self._clock)
        try:
            async with asyncio.timeout(timeout_s):
                await self._record(request, recorder)
        except TimeoutError:
            recorder.interruption = "silent"
        return recorder.response()

    async def connect(self, *, timeout_s: float) -> ConnectionResult:
        """Resolve the name, connect, negotiate TLS and verify the certificate."""
        url = urlsplit(self._target.entry.url)
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        if EnvironmentProxies().for_url(self._target.entry.url):
            return ConnectionResult(proxy=True)
        started_at = self._clock()
        try:
            async with asyncio.timeout(timeout_s):
                result = await _connect(host, port, self._tls)
        except TimeoutError:
            result = ConnectionResult(failure="silent")
        return replace(result, seconds=self._clock() - started_at)

    async def _record(self, request: ProbeRequest, recorder: _ResponseRecorder) -> None:
        import httpx

        assert self._client is not None
        try:
            async with self._client.stream(
                "GET" if request.body is None else "POST",
                self._target.url(request),
                headers=self._target.headers(wrong_key=request.wrong_key),
                content=request.encoded,
            ) as response:
                recorder.head(response)
                await recorder.body(response.aiter_raw())
        except InvalidEncoding:
            recorder.interruption = "encoding"
        except httpx.RemoteProtocolError as error:
            recorder.fail("no_http" if "disconnected" not in str(error) else "closed")
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            recorder.fail("closed")


class _ResponseRecorder:
    """Collects one response while it is received."""

    def __init__(
        self, request: ProbeRequest, stop_when: Callable[[bytes], bool], clock: Callable[[], float]
    ) -> None:
        self.interruption = ""
        self._request, self._stop_when, self._clock = request, stop_when, clock
        self._started_at = clock()
        self._status: int | None = None
        self._headers: dict[str, str] = {}
        self._chunks: list[BodyChunk] = []
        self._size = 0

    def head(self, response: httpx.Response) -> None:
        self._status = response.status_code
        self._headers = {name.lower(): value for name, value in response.headers.items()}

    async def body(self, raw_chunks: AsyncIterator[bytes]) -> None:
        decode = make_decoder(self._headers.get("content-encoding"))
        async for raw in raw_chunks:
            for data in decode(raw) if decode else (raw,):
                self._chunks.append(BodyChunk(at_s=self._clock() - self._started_at, data=data))
                self._size += len(data)
            if self._size > MAX_BODY_BYTES:
                self.interruption = "too_long"
                return
            if self._stop_when(raw):
                self.interruption = "stopped"
                return

    def fail(self, interruption: str) -> None:
        """Record a failure; within the body every failure is `cut`."""
        self.interruption = interruption if self._status is None else "cut"

    def response(self) -> ProbeResponse:
        return ProbeResponse(
            request=self._request,
            status=self._status,
            headers=self._headers,
            chunks=tuple(self._chunks),
            interruption=self.interruption,
            seconds=self._clock() - self._started_at,
        )


async def _connect(host: str, port: int, tls: ssl.SSLContext | None) -> ConnectionResult:
    loop = asyncio.get_running_loop()
    try:
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ConnectionResult(failure="dns")
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=tls)
    except ssl.SSLCertVerificationError as error:
        return ConnectionResult(failure="certificate", detail=error.verify_message)
    except ConnectionRefusedError:
        return ConnectionResult(failure="refused")
    except (ssl.SSLError, ConnectionError):
        return ConnectionResult(failure="tls" if tls else "connect")
    except OSError:
        return ConnectionResult(failure="connect")
    try:
        return ConnectionResult(days_left=_days_left(writer) if tls else None)
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def _days_left(writer: asyncio.StreamWriter) -> int | None:
    tls = writer.get_extra_info("ssl_object")
    not_after = (tls.getpeercert() or {}).get("notAfter") if tls is not None else None
    if not isinstance(not_after, str):
        return None
    return int((ssl.cert_time_to_seconds(not_after) - time.time()) // SECONDS_PER_DAY)


def is_private(host: str) -> bool:
    """Return whether a host is this machine or on a private network.

    A name without a dot counts as private, as in a Compose network.
    """
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host
