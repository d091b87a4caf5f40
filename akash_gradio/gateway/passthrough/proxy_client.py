"""Requests to endpoints through a proxy, by httpx's transport.

httpx's client is left out: it would follow its own rules for cookies, logins and redirects.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from akash_gradio.domain.errors import (
    EndpointError,
    EndpointMalformed,
    EndpointTimeout,
    EndpointUnreachable,
)
from akash_gradio.gateway.passthrough.http_client import KEEPALIVE_S
from akash_gradio.gateway.passthrough.sink import Sink

_LIMITS: Final = httpx.Limits(keepalive_expiry=KEEPALIVE_S)  # endpoints have their own limits


class ProxyClient:
    """Connections through the proxies of the environment.

    Args:
        tls_context: Returns the context of TLS connections.
    """

    def __init__(self, tls_context: Callable[[], ssl.SSLContext]) -> None:
        self._tls_context = tls_context
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    async def request(
        self,
        proxy: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        alias: str,
        connect_timeout_s: float,
    ) -> ProxiedResponse:
        """Send a request, and wait for the head of its response.

        Args:
            proxy: The URL of the proxy. Its login is sent to it as a header.
            url: The URL of the request.
            headers: All headers but `Host` and the length.
            body: The body of a POST, None for a GET.
            alias: The endpoint, for error messages.
            connect_timeout_s: Limit for connecting.

        Raises:
            EndpointError: No response was received.
            ValueError: The proxy is of an unsupported kind, or an address is invalid.
        """
        if proxy not in self._transports:
            self._transports[proxy] = httpx.AsyncHTTPTransport(
                verify=self._tls_context(), proxy=httpx.Proxy(proxy), limits=_LIMITS
            )
        failure: EndpointError
        try:
            request = httpx.Request(
                "GET" if body is None else "POST",
                url,
                headers=dict(headers),
                content=body,
                extensions={"timeout": {"connect": connect_timeout_s}},
            )
            response = await self._transports[proxy].handle_async_request(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = _open_error(alias, error, connect_timeout_s)
        else:
            return ProxiedResponse(alias, response)
        raise failure

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.aclose()


class ProxiedResponse:
    """A response, see `gateway.transport.UpstreamResponse`."""

    def __init__(self, alias: str, response: httpx.Response) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers.items())
        self._alias, self._response = alias, response
        self._pieces = response.aiter_raw()
        self._received_at = time.monotonic()

    @property
    def lag_s(self) -> float:
        """See `UpstreamResponse.lag_s`."""
        return time.monotonic() - self._received_at

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        failure: EndpointError
        try:
            piece = await anext(self._pieces, b"")
        except httpx.RemoteProtocolError:
            failure = EndpointMalformed(self._alias, "cut")
        except httpx.HTTPError:
            failure = EndpointUnreachable(self._alias, "reset")
        else:
            self._received_at = time.monotonic()
            return piece
        raise failure

    async def pipe_to(self, sink: Sink) -> None:
        """Return at once: the bytes are received by a task."""

    async def aclose(self) -> None:
        """Close the socket at once if the body wasn't read to its end."""
        await self._response.aclose()


def _open_error(alias: str, error: Exception, connect_timeout_s: float) -> EndpointError:
    if isinstance(error, httpx.ConnectTimeout):
        return EndpointTimeout(alias, "connect", connect_timeout_s)
    if isinstance(error, httpx.ReadError | httpx.WriteError):
        return EndpointUnreachable(alias, "reset")
    if isinstance(error, httpx.RemoteProtocolError):
        return EndpointMalformed(alias, "shape")
    if isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error):
        return EndpointUnreachable(alias, "tls")
    return EndpointUnreachable(alias, "connect")
